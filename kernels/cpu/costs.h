// What the memory system must do for a kernel, counted by place in the code.
//
// One instruction of one warp is one request. In global memory it moves whole sectors of
// 32 bytes; in shared memory, 32 banks of 4 bytes each give one word at a time, and lanes
// that want different words of one bank wait for each other: a bank conflict.
#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <vector>

typedef uintptr_t Place;                         // an address in the code

struct Cost { long requests, lanes, units, ideal; };

class Costs {
public:
    typedef std::tuple<Place, bool, int, bool> Key;      // place, shared, size, write
    std::map<Key, Cost> of;

    // A thread's n-th visit to a place belongs with its neighbours' n-th visits.
    void add(Key key, int thread, uintptr_t p)
    {
        const int turn = visits[{std::get<0>(key), thread}]++;
        requests[{key, thread / 32, turn}].push_back(p);
    }

    void settle()
    {
        for (const auto& [who, at] : requests) {
            const auto& key = std::get<0>(who);
            const int size = std::get<2>(key);
            const auto [units, ideal] = std::get<1>(key) ? waves(at, size)
                                                         : sectors(at, size);
            Cost& c = of[key];
            c.requests++, c.lanes += at.size(), c.units += units, c.ideal += ideal;
        }
        requests.clear();
        visits.clear();
    }

private:
    std::map<std::pair<Place, int>, int> visits;
    std::map<std::tuple<Key, int, int>, std::vector<uintptr_t>> requests;

    static std::pair<long, long> sectors(const std::vector<uintptr_t>& at, int size)
    {
        const std::set<uintptr_t> items(at.begin(), at.end());
        std::set<uintptr_t> found;
        for (uintptr_t p : items)
            for (uintptr_t s = p / 32; s <= (p + size - 1) / 32; s++) found.insert(s);
        return {found.size(), (items.size() * size + 31) / 32};
    }

    static std::pair<long, long> waves(const std::vector<uintptr_t>& at, int size)
    {
        long units = 0, ideal = 0;
        const size_t together = std::max(1, 128 / size);
        for (size_t i = 0; i < at.size(); i += together, ideal++) {
            std::set<uintptr_t> words;
            for (size_t j = i; j < std::min(at.size(), i + together); j++)
                for (uintptr_t w = at[j] / 4; w <= (at[j] + size - 1) / 4; w++)
                    words.insert(w);
            int busy[32] = {};
            for (uintptr_t w : words) busy[w % 32]++;
            units += *std::max_element(busy, busy + 32);
        }
        return {units, ideal};
    }
};
