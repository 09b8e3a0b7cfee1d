// What the kernels share whose steps must wait for one another: sizes, room to work in,
// products of a row with a matrix, a step of the delta rule, earlier fast weights.
//
// A matrix here is rows of numbers, each padded with zeros to whole vectors. It is walked
// in panels, two vectors wide where it can be: a number of a row then serves both.
#pragma once
#include <algorithm>
#include <cmath>
#include "vectors.h"

namespace {

template <int L> constexpr Int padded(Int n) { return (n + L - 1) / L * L; }

template <int D> struct Sizes {                // known to the compiler
    static constexpr int L = D < LANES ? D : LANES;
    static constexpr Int K = D, V = D, K_row = padded<L>(D), V_row = padded<L>(D);
    Int T, H;
    Sizes(const Size* s) : T(s->T), H(s->H) {}
};

template <> struct Sizes<0> {                  // any
    static constexpr int L = LANES;
    Int T, H, K, V, K_row = padded<L>(K), V_row = padded<L>(V);
    Sizes(const Size* s) : T(s->T), H(s->H), K(s->K), V(s->V) {}
};

template <class F> void with_size(const Size* size, F&& run)
{
    switch (size->K == size->V ? size->K : 0) {
    case 4: return run(Number<4>{});
    case 8: return run(Number<8>{});
    case 16: return run(Number<16>{});
    case 32: return run(Number<32>{});
    case 64: return run(Number<64>{});
    default: return run(Number<0>{});
    }
}

struct Space {                                 // numbers, zero at first, on vector bounds
    std::vector<Vec<LANES>> x;
    explicit Space(Int n) : x((n + LANES - 1) / LANES) {}
    operator real*() { return (real*)x.data(); }
};

void copy(Matrix from, Int rows, Int columns, real* to, Int row)
{
    for (Int i = 0; i < rows; i++)
        for (Int j = 0; j < row; j++)
            to[i * row + j] = from.first && j < columns ? *from.at(i, j).first : 0;
}

void copy(const real* from, Int row, Int rows, Int columns, Matrix to)
{
    for (Int i = 0; i < rows; i++)
        for (Int j = 0; j < columns; j++) *to.at(i, j).first = from[i * row + j];
}

inline void copy(const real* from, Int n, real* to) { memcpy(to, from, n * sizeof(real)); }

// The rows of one head lie far apart, and a processor guesses only at times which comes
// next: we ask for it some steps ahead.
constexpr Int AHEAD = 8;

INLINE void fetch(const Rows& x, Int t, Int T, Int n)
{
    if (t < 0 || t >= T) return;
    for (Int i = 0; i < n; i += 64 / sizeof(real)) __builtin_prefetch(x[t] + i);
}

template <int L, int M> struct Panel {         // M vectors side by side
    static constexpr int chains = 4 / M;       // short chains of sums, not one long
    Vec<L> x[M];
    static Panel at(const real* p, Int n = M * L)
    {
        Panel a;
        for (int m = 0; m < M; m++) a.x[m] = load<L>(p + m * L, n - m * L, 0);
        return a;
    }
    void to(real* p, Int n = M * L) const
    {
        for (int m = 0; m < M; m++) store(p + m * L, n - m * L, x[m]);
    }
    friend Panel operator+(Panel a, const Panel& b)
    {
        for (int m = 0; m < M; m++) a.x[m] += b.x[m];
        return a;
    }
    friend Panel operator-(Panel a, const Panel& b)
    {
        for (int m = 0; m < M; m++) a.x[m] -= b.x[m];
        return a;
    }
    friend Panel operator*(Panel a, const Panel& b)
    {
        for (int m = 0; m < M; m++) a.x[m] *= b.x[m];
        return a;
    }
    friend Panel operator*(real s, Panel a)
    {
        for (int m = 0; m < M; m++) a.x[m] *= s;
        return a;
    }
    Panel& operator+=(const Panel& b) { return *this = *this + b; }
};

template <int L, int ROW, class F>             // ROW: its length, or 0 if that is not known
inline void in_panels(Int row, F&& use)
{
    Int j = 0;
    if constexpr (!ROW || ROW >= 2 * L)
        for (; j + 2 * L <= row; j += 2 * L) use(Panel<L, 2>{}, j);
    if constexpr (!ROW || ROW % (2 * L))
        if (j < row) use(Panel<L, 1>{}, j);
}

template <class P, int R> inline P total(const P (&chain)[R])
{
    P sum = chain[0];
    for (int r = 1; r < R; r++) sum += chain[r];
    return sum;
}

template <int L> inline real dot(const real* x, const real* y, Int n)
{
    Vec<L> sums = {};
    for (Int i = 0; i < n; i += L)
        sums += load<L>(x + i, n - i, 0) * load<L>(y + i, n - i, 0);
    return sum(sums);
}

// y = xᵀ A for n rows of A: use(j, y_j ...) with each panel of y.
template <int L, int ROW, class F>
inline void product(const real* x, Int n, const real* A, Int row, F&& use)
{
    in_panels<L, ROW>(row, [&](auto panel, Int j) {
        using P = decltype(panel);
        constexpr int R = P::chains;
        P y[R] = {};
        Int i = 0;
        for (; i + R <= n; i += R)
            UNROLLED for (int r = 0; r < R; r++)
                y[r] += x[i + r] * P::at(A + (i + r) * row + j);
        for (; i < n; i++) y[0] += x[i] * P::at(A + i * row + j);
        use(j, total(y));
    });
}

// e = v - W k;  W += beta e ⊗ k;  use(j, y_j ...) with each panel of y = W q.
// Wᵀ is held: K rows of V numbers.
template <int D, class F>
INLINE void write_and_read(real* W, const Sizes<D>& n, const real* q, const real* k,
                           const real* v, real beta, real* e, F&& use)
{
    constexpr int L = Sizes<D>::L;
    const Int row = n.V_row;
    in_panels<L, D>(row, [&](auto panel, Int j) {
        using P = decltype(panel);
        constexpr int R = D ? P::chains : 1;
        P found[R] = {}, read[R] = {};
        for (Int i = 0; i < n.K; i += R)
            UNROLLED for (int r = 0; r < R; r++)
                found[r] += k[i + r] * P::at(W + (i + r) * row + j);
        const P error = P::at(v + j, n.V - j) - total(found), u = beta * error;
        for (Int i = 0; i < n.K; i += R)
            UNROLLED for (int r = 0; r < R; r++) {
                real* at = W + (i + r) * row + j;
                const P w = P::at(at) + k[i + r] * u;
                w.to(at);
                read[r] += q[i + r] * w;
            }
        use(j, total(read));
        error.to(e + j, n.V - j);
    });
}

// The fast weights before any step, asked from the end. Between two kept ones, sqrt(T)
// steps apart, they are written again. Nothing is divided or taken back: what a large
// value has covered comes out as it was, and NaN does not spread to earlier times.
template <int D> struct Past {
    static constexpr int L = Sizes<D>::L;
    Sizes<D> n;
    Int rows = n.V, size = rows * n.K_row, C = std::ceil(std::sqrt(double(n.T)));
    Space kept{C * size}, chunk{C * size};
    Rows k, u;                                 // what each step wrote: u ⊗ k

    void write(Int t, const real* W, real* after) const
    {
        in_panels<L, D>(n.K_row, [&](auto panel, Int j) {
            using P = decltype(panel);
            const P k_t = P::at(k[t] + j, n.K - j);
            for (Int i = 0, at = j; i < rows; i++, at += n.K_row)
                (P::at(W + at) + u[t][i] * k_t).to(after + at);
        });
    }
    void start(Matrix W, Rows k_, Rows u_)
    {
        k = k_, u = u_;
        copy(W, rows, n.K, chunk, n.K_row);
        for (Int t = 0; t < n.T; write(t++, chunk, chunk))
            if (t % C == 0) copy(chunk, size, kept + t / C * size);
    }
    const real* before(Int t)
    {
        const Int c = t / C * C;
        if (t == n.T - 1 || t % C == C - 1) {
            copy(kept + t / C * size, size, chunk);
            for (Int r = c; r < t; r++)
                write(r, chunk + (r - c) * size, chunk + (r - c + 1) * size);
        }
        return chunk + (t - c) * size;
    }
};

}  // namespace
