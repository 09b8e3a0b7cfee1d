// exp, tanh, the logistic function and softmax, a vector at a time.
//
//     exp(x) = 2^n (1 + p)      n = round(x / log 2),   r = x - n log 2
//                               p = exp(r) - 1 by Taylor's series, |r| <= log(2) / 2
//     tanh(x) = -m / (2 + m)    m = exp(-2 |x|) - 1 = 2^n p + (2^n - 1), nothing cancels
//
// Errors stay below 1.1 units in the last place for exp, 3 for tanh. NaN, infinity,
// overflow and underflow come out as in the C library.
#pragma once
#include <limits>
#include "vectors.h"

namespace {

constexpr bool SINGLE = sizeof(real) == 4;
constexpr int MANTISSA = SINGLE ? 23 : 52, TERMS = SINGLE ? 6 : 12;
constexpr real INFINITE = std::numeric_limits<real>::infinity();

template <class V> using Whole = decltype(V{} < V{});      // integers of the same width

template <class V> struct Parts { V p; Whole<V> n; };      // exp(x) = 2^n (1 + p)

template <class V> inline Parts<V> parts(V x)
{
    constexpr real series[] = {1. / 2, 1. / 6, 1. / 24, 1. / 120, 1. / 720, 1. / 5040,
                               1. / 40320, 1. / 362880, 1. / 3628800, 1. / 39916800,
                               1. / 479001600, 1. / 6227020800};
    constexpr real log_2 = SINGLE ? 0.693359375 : 0.693145751953125;  // ends in zeros
    constexpr real log_2_rest = SINGLE ? -2.12194440e-4 : 1.42860682030941723212e-6;
    constexpr real inverse = 1.4426950408889634074;
    constexpr real units = real(Int(3) << (MANTISSA - 1));  // so large, it has no halves
    const V shifted = x * inverse + units, n = shifted - units;
    const V r = (x - n * log_2) - n * log_2_rest, r2 = r * r;
    V sum = {};
    for (int i = TERMS - 2; i >= 0; i -= 2)
        sum = sum * r2 + (series[i + 1] * r + series[i]);
    return {r + r2 * sum, (Whole<V>)shifted - (Whole<V>)(V{} + units)};
}

template <class V> inline V power_of_two(Whole<V> n)
{
    constexpr int bias = SINGLE ? 127 : 1023;
    return (V)((n + bias) << MANTISSA);
}

template <class V> inline V clamp(V x, real low, real high)  // NaN stays NaN
{
    x = x < low ? V{} + low : x;
    return x > high ? V{} + high : x;
}

template <class V> inline V exponential(V x)
{
    const auto [p, n] = parts(clamp(x, SINGLE ? -105 : -746, SINGLE ? 89 : 710));
    const Whole<V> half = n >> 1;                          // 2^n itself may overflow
    return (1 + p) * power_of_two<V>(half) * power_of_two<V>(n - half);
}

template <class V> inline V hyperbolic_tangent(V x)
{
    const V m = x < 0 ? 2 * x : -2 * x;
    const auto [p, n] = parts(m < -40 ? V{} - 40 : m);
    const V scale = power_of_two<V>(n), minus = scale * p + (scale - 1);
    const V y = minus / (2 + minus);
    return x < 0 ? y : -y;
}

template <class V> inline V logistic(V x) { return 1 / (1 + exponential(-x)); }

// p = softmax(x) for a row of n numbers. After p, zeros up to a whole vector.
template <int L> inline void softmax(const real* x, Int n, real* p)
{
    Vec<L> top = load<L>(x, n, -INFINITE), total = {};
    for (Int i = L; i < n; i += L) {
        const Vec<L> more = load<L>(x + i, n - i, -INFINITE);
        top = more > top ? more : top;
    }
    const real highest = fold(top, [](auto a, auto b) { return a > b ? a : b; });
    for (Int i = 0; i < n; i += L) {
        const Vec<L> e = exponential(load<L>(x + i, n - i, -INFINITE) - highest);
        total += e;
        store(p + i, e);
    }
    const real scale = 1 / sum(total);
    for (Int i = 0; i < n; i += L) store(p + i, scale * load<L>(p + i));
}

// dx from dp, p = softmax(x), in place; dp has zeros up to a whole vector.
template <int L> inline void undo_softmax(const real* p, Int n, real* dp)
{
    Vec<L> both = {};
    for (Int i = 0; i < n; i += L) both += load<L>(p + i, n - i, 0) * load<L>(dp + i);
    const real mean = sum(both);
    for (Int i = 0; i < n; i += L)
        store(dp + i, load<L>(p + i, n - i, 0) * (load<L>(dp + i) - mean));
}

}  // namespace
