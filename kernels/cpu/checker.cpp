// Watch every memory access of a kernel that runs on the CPU.
//
// The kernel is compiled with -fsanitize=thread, so the compiler calls __tsan_read4 and its
// like before every access. Instead of the sanitizer we link this file. It knows blocks:
//
//   out of bounds     outside every array argument and outside shared memory
//   uninitialised     a read of shared memory that this block has not written
//   race              two threads, one address, at least one write, no barrier between
//   race of blocks    two blocks, one address, at least one write
//   cost              sectors a global request, bank conflicts a shared one (costs.h)
//   event             who touches what, in order, between which barriers
//
// Each finding is told once for a pair of places in the source. A place is written as
// @address@, an item as {argument:byte:size}; Python turns them into lines and names.
#include "costs.h"
#include "image.h"
#include "fibers.h"
#include <cstdio>
#include <string>

namespace {
using cpu::Fiber;
enum Space { GLOBAL = 0, DYNAMIC = -1, STATIC = -2 };   // stand for arguments too

struct Touch {                                   // the last access of one kind
    int block = -1, thread = -1;
    unsigned epoch = 0, warp_epoch = 0;
    bool atomic = false;
    Place place = 0;
};
struct Cell { Touch write, read, other_read; };  // of 4 bytes; readers: two threads of them
struct Region { uintptr_t first, end; Space space; int argument; std::vector<Cell> cells; };
struct Event { int block, barrier, thread, argument; long byte; int size, write; Place at; };

std::vector<Region> regions;
std::vector<Event> events;
size_t most_events;
Costs costs;
std::map<Place, std::string> touched_first;      // the item, at every place
std::set<std::tuple<int, Place, Place>> told;
std::string findings;
uintptr_t stacks, stacks_end;
Image image;
unsigned epoch;                                  // one more at every barrier, in any block
int barriers;                                    // in this block
bool watching, inside;

std::string mark(Place place)
{
    char s[40];
    std::snprintf(s, sizeof s, "@%lx@", place - 1 - image.first);
    return s;
}

std::string thread(int number)
{
    char s[80];
    const uint3 i = cpu::fibers[number].index;
    std::snprintf(s, sizeof s, "thread (%u,%u,%u)", i.x, i.y, i.z);
    return s;
}

std::string item(const Region& r, uintptr_t p, int size)
{
    char s[60];
    std::snprintf(s, sizeof s, "{%d:%zu:%d}", r.argument, p - r.first, size);
    return s;
}

void tell(int kind, Place a, Place b, const std::string& text)
{
    if (told.size() < 10000 && told.insert({kind, a, b}).second) findings += text + "\n";
}

void tell_race(const Region& r, uintptr_t p, int size, bool write, Place at,
               const Touch& other, bool other_writes)
{
    const bool blocks = other.block != cpu::block_number;
    const auto who = [&](int block, int number) {
        return blocks ? "block " + std::to_string(block) : thread(number);
    };
    tell(blocks ? 3 : 2, at, other.place,
         std::string(blocks ? "race of blocks: " : "race: ")
         + who(cpu::block_number, cpu::self->number) + (write ? " writes " : " reads ")
         + item(r, p, size) + " at " + mark(at) + ", which " + who(other.block, other.thread)
         + (other_writes ? " writes" : " reads") + " at " + mark(other.place)
         + (blocks ? "" : ", with no barrier between"));
}

void tell_outside(uintptr_t p, int size, bool write, Place at)
{
    std::string where = "far from every array";
    long nearest = 4096;                         // as wide as the gaps between arrays
    for (const Region& r : regions) {
        const long past = p - r.end, before = r.first - p;
        const long away = std::max(past, before);
        if (away < 0 || away >= nearest) continue;
        nearest = away;
        where = std::to_string(away) + (past >= 0 ? " bytes past the end of "
                                                  : " bytes before the start of ")
            + item(r, r.first, 0);
    }
    tell(0, at, 0, "out of bounds: " + thread(cpu::self->number) + " of block "
         + std::to_string(cpu::block_number) + (write ? " writes " : " reads ")
         + std::to_string(size) + " bytes " + where + " at " + mark(at));
    if (nearest < 4096) return;
    cpu::fail("stopped there, for it would crash");
    inside = false;
    cpu::stop();
}

bool ordered(const Touch& before)                // could nobody be in doubt who was first?
{
    const Fiber& me = *cpu::self;
    if (before.thread < 0) return true;
    if (before.block != cpu::block_number) return false;
    if (before.thread == me.number || before.epoch != epoch) return true;
    return before.thread / 32 == me.warp && before.warp_epoch < me.warp_epoch;
}

void touch(Region& r, Cell& c, uintptr_t p, int size, bool write, bool atomic, Place at)
{
    if (r.space != GLOBAL && !write && c.write.thread < 0)
        tell(1, at, 0, "uninitialised: " + thread(cpu::self->number) + " reads "
             + item(r, p, size) + ", which its block has not written, at " + mark(at));
    if (!(atomic && c.write.atomic) && !ordered(c.write))
        tell_race(r, p, size, write, at, c.write, true);
    const Touch now{cpu::block_number, cpu::self->number, epoch, cpu::self->warp_epoch,
                    atomic, at};
    if (write) {
        for (const Touch* reader : {&c.read, &c.other_read})
            if (!ordered(*reader)) tell_race(r, p, size, true, at, *reader, false);
        c = Cell{now, {}, {}};
    } else if (c.read.thread < 0 || c.read.thread == now.thread || ordered(c.read)) {
        c.read = now;
    } else {
        c.other_read = now;
    }
}

Region* region_of(uintptr_t p)
{
    for (Region& r : regions)
        if (p >= r.first && p < r.end) return &r;
    return nullptr;
}

void access(uintptr_t p, int size, bool write, bool atomic, Place at)
{
    if (!watching || !cpu::self || inside) return;
    if (p >= stacks && p < stacks_end) return;   // a thread's own variables
    if (p >= image.first && p < image.end) return;     // constants
    inside = true;                               // we may call code that is watched too
    Region* r = region_of(p);
    if (!r || p + size > r->end) tell_outside(r ? r->end : p, size, write, at);
    if (r) {
        const size_t last = std::min((p + size - 1 - r->first) / 4, r->cells.size() - 1);
        for (size_t i = (p - r->first) / 4; i <= last; i++)
            touch(*r, r->cells[i], p, size, write, atomic, at);
        if (events.size() < most_events)
            events.push_back({cpu::block_number, barriers, cpu::self->number, r->argument,
                              long(p - r->first), size, write, at});
        touched_first.try_emplace(at, item(*r, p, size));
        costs.add({at, r->space != GLOBAL, size, write}, cpu::self->number, p);
    }
    inside = false;
}

void add_region(char* p, size_t bytes, Space space, int argument)
{
    const auto first = reinterpret_cast<uintptr_t>(p);
    if (bytes)
        regions.push_back({first, first + bytes, space, argument,
                           std::vector<Cell>((bytes + 3) / 4)});
}

}  // namespace

namespace cpu {
void watch_launch(char* shared, size_t n, char* tls, size_t tls_n, char* stack, size_t m)
{
    add_region(shared, n, DYNAMIC, DYNAMIC);
    add_region(tls, tls_n, STATIC, STATIC);
    stacks = reinterpret_cast<uintptr_t>(stack), stacks_end = stacks + m;
    image = own_image();
}

void watch_block()
{
    costs.settle();
    epoch++, barriers = 0;
    for (Region& r : regions)
        if (r.space != GLOBAL) std::fill(r.cells.begin(), r.cells.end(), Cell());
}

void watch_barrier() { epoch++, barriers++; }

void watch_atomic(void* p, int size, void* place)
{
    access(reinterpret_cast<uintptr_t>(p), size, true, true,
           reinterpret_cast<Place>(place));
}
}  // namespace cpu

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT void check_begin(int n, char** arrays, const long* bytes, long trace)
{
    regions.clear(), told.clear(), findings.clear(), events.clear();
    costs.of.clear(), touched_first.clear();
    most_events = trace, watching = true, epoch = 0;
    for (int i = 0; i < n; i++) add_region(arrays[i], bytes[i], GLOBAL, i);
}

EXPORT const char* check_end()
{
    costs.settle();
    watching = false;
    char s[200];
    for (const auto& [key, c] : costs.of) {
        const auto [at, shared, size, write] = key;
        std::snprintf(s, sizeof s, "cost %s %s %s %ld %ld %ld %ld\n", mark(at).c_str(),
                      touched_first[at].c_str(), write ? "write" : "read", c.requests,
                      c.lanes, c.units, c.ideal);
        findings += s;
    }
    for (const Event& e : events) {
        std::snprintf(s, sizeof s, "event %s {%d:%ld:%d} %s %d %d %d\n",
                      mark(e.at).c_str(), e.argument, e.byte, e.size,
                      e.write ? "write" : "read", e.block, e.barrier, e.thread);
        findings += s;
    }
    return findings.c_str();
}

#define HERE reinterpret_cast<Place>(__builtin_return_address(0))
#define HOOK(name, write, size) \
    extern "C" void __tsan_##name(void* p) \
    { access(reinterpret_cast<uintptr_t>(p), size, write, false, HERE); }
#define HOOKS(n) HOOK(read##n, false, n) HOOK(write##n, true, n) \
    HOOK(unaligned_read##n, false, n) HOOK(unaligned_write##n, true, n)
HOOKS(1) HOOKS(2) HOOKS(4) HOOKS(8) HOOKS(16)
#define RANGE(name, write) \
    extern "C" void __tsan_##name##_range(void* p, long n) \
    { access(reinterpret_cast<uintptr_t>(p), int(n), write, false, HERE); }
RANGE(read, false) RANGE(write, true)
extern "C" void __tsan_init() {}
extern "C" void __tsan_func_entry(void*) {}
extern "C" void __tsan_func_exit() {}
