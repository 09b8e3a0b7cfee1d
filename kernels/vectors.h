// Vectors, rows of a sequence, and matrices cut into tiles. For GCC and Clang.
//
// `real` is float or double, chosen on the compiler's command line (-Dreal=float).
// Sums run over the rows of a tile, lane by lane: no order of addition is left to the
// compiler, no -ffast-math is needed, and NaN and infinity travel as they must.
#pragma once
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#if defined(__AVX512F__)
constexpr int BYTES = 64, ROWS = 16;           // ROWS vectors fit into the registers
#elif defined(__AVX__)
constexpr int BYTES = 32, ROWS = 8;
#elif defined(__aarch64__)
constexpr int BYTES = 16, ROWS = 16;
#else
constexpr int BYTES = 16, ROWS = 8;
#endif
constexpr int LANES = BYTES / sizeof(real);

#ifdef __clang__
#define UNROLLED _Pragma("clang loop unroll(full)")  // GCC does it unasked
#else
#define UNROLLED
#endif

#define INLINE inline __attribute__((always_inline))  // numbers then stay in registers

typedef int64_t Int;
struct Size { Int T, H, K, V; };

template <int L> struct Vector {
    typedef real type __attribute__((vector_size(L * sizeof(real))));
};
template <int L> using Vec = typename Vector<L>::type;

template <int L> static inline Vec<L> load(const real* p)
{
    Vec<L> x;
    memcpy(&x, p, sizeof x);
    return x;
}

template <class V> static inline void store(real* p, V x) { memcpy(p, &x, sizeof x); }

template <int L> static inline Vec<L> load(const real* p, Int n, real rest)
{                                              // at most n numbers, the rest filled up
    if (n >= L) return load<L>(p);
    Vec<L> x = Vec<L>{} + rest;
    memcpy(&x, p, n * sizeof(real));
    return x;
}

template <class V> static inline void store(real* p, Int n, V x)
{
    memcpy(p, &x, n * sizeof(real) < sizeof x ? n * sizeof(real) : sizeof x);
}

template <class V, class F> static inline real fold(V x, F&& join)
{                                              // halves joined until one number is left
    constexpr int L = sizeof(V) / sizeof(real);
    if constexpr (L == 1) return x[0];
    else {
        Vec<L / 2> low, high;
        memcpy(&low, &x, sizeof low);
        memcpy(&high, (char*)&x + sizeof low, sizeof high);
        return fold(join(low, high), join);
    }
}

template <class V> static inline real sum(V x)
{
    return fold(x, [](auto a, auto b) { return a + b; });
}

template <int N, class V> INLINE Vec<N> halved(V x)  // in a tree of halves, down to N sums
{
    constexpr int L = sizeof(V) / sizeof(real);
    if constexpr (L == N) {
        return x;
    } else {
        Vec<L / 2> low, high;
        memcpy(&low, &x, sizeof low);
        memcpy(&high, (const char*)&x + sizeof low, sizeof high);
        return halved<N>(low + high);
    }
}

// Lanes of a where bit S of their number is 0, of b where it is 1, each plus the lane
// that differs in this bit.
template <int S, class V, size_t... I> INLINE V joined(V a, V b, std::index_sequence<I...>)
{
    const V here = {(I & S ? b[I] : a[I])...}, there = {(I & S ? b[I ^ S] : a[I ^ S])...};
    return here + there;
}

// The sums of N vectors, one in each lane, in log N rounds; x is used up.
template <int N, int S = N / 2, class V> INLINE Vec<N> sums(V* x)
{
    constexpr int L = sizeof(V) / sizeof(real);
    if constexpr (S == 0) {
        return halved<N>(x[0]);
    } else {
        UNROLLED for (int i = 0; i < S; i++)
            x[i] = joined<S>(x[i], x[i + S], std::make_index_sequence<L>{});
        return sums<N, S / 2>(x);
    }
}

struct Rows {                                  // a row for each time step
    real* first;
    Int step;
    real* operator[](Int t) const { return first + t * step; }
    Rows operator+(Int offset) const { return {first + offset, step}; }
    Rows reversed(Int T) const { return {first + (T - 1) * step, -step}; }
};

struct Matrix {                                // transposed without moving a number
    real* first;
    Int row, column;
    Matrix transposed() const { return {first, column, row}; }
    Matrix at(Int i, Int j) const
    {
        return {first ? first + i * row + j * column : first, row, column};
    }
    template <int L> Vec<L> load(Int i) const  // L numbers of row i; no matrix: zeros
    {
        Vec<L> x = {};
        for (int j = 0; first && j < L; j++) x[j] = first[i * row + j * column];
        return x;
    }
    template <int L> void store(Int i, Vec<L> x) const
    {
        for (int j = 0; first && j < L; j++) first[i * row + j * column] = x[j];
    }
};

struct Array {                                 // a tensor and its strides, in elements
    real* data;
    Int b, t, h;
};

struct Sequence {                              // what one batch entry and head sees of it
    const Array* x;
    Int b, h;
    Rows rows(int i) const { return {x[i].data + b * x[i].b + h * x[i].h, x[i].t}; }
    Matrix matrix(int i) const                 // (B, H, V, K): t is the stride of V
    {
        const Array& W = x[i];
        return {W.data ? W.data + b * W.b + h * W.h : nullptr, W.t, 1};
    }
};

template <class F>                             // sequence n is batch n / H, head n % H
static void for_each(const Array* x, Int H, Int first, Int last, F&& run)
{
    for (Int n = first; n < last; n++) run(Sequence{x, n / H, n % H});
}

template <int N> struct Number { static constexpr int value = N; };

template <int N, class F>                      // from, from + N, ... and what is left over
static void cut(Int from, Int to, F&& run)
{
    for (; from + N <= to; from += N) run(Number<N>{}, from);
    if constexpr (N > 1) cut<(N > 4 ? N / 2 : 1)>(from, to, run);
}
