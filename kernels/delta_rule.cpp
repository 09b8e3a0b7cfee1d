// Delta rule, forward and backward, plain and gated.  Reference: srwm_lite/delta_rule.py
//
//     W = alpha W                    (only if compiled with -DGATED=1)
//     W = W + beta (v - W k) ⊗ k
//     y = W q
//
// Forward: a block of values does not touch the others, so L rows of W stay in vectors for
// the whole sequence. Each step goes over them once: it writes, answers the query, and
// asks what the next key finds. Only the errors e = v - W k are kept for later.
//
// Backward, with u = beta e what was written and G = dL/dW, in three walks over time:
//
//     undo      from the end     G += dy ⊗ q;   de = beta G k;   G -= de ⊗ k;   G *= alpha
//               gives dv = de, dbeta = (G k) . e and, at the start, dW
//     written   from the end     the same G, its writes now known:   dk  = Gᵀ u
//     stored    from the start   W again, its writes known:          dk -= W_{t-1}ᵀ de
//                                                                    dq  = W_tᵀ dy
//
// No W is kept over time and none is divided back: memory is O(T) rows, NaN goes where it
// goes in the loop, alpha may be 0. Only dalpha = <G, W_{t-1}> meets W on the way back: W
// is computed again in chunks of sqrt(T) steps.
//
// Shapes: q, k (B, T, H, K); v, y (B, T, H, V); beta, alpha (B, T, H); any strides, last
// axis dense; W (B, H, V, K).
#include <algorithm>
#include <cmath>
#include "vectors.h"

#ifndef GATED
#define GATED 0
#endif

struct Walk {                                  // one sequence; the numbers are places in x
    Sequence x;
    Int T, K;
    Rows u;
    Rows q = x.rows(0), k = x.rows(1), v = x.rows(2), beta = x.rows(3), alpha = x.rows(4),
         y = x.rows(5), e = x.rows(6), dy = x.rows(7), dq = x.rows(8), dk = x.rows(9),
         dv = x.rows(10), dbeta = x.rows(11), dalpha = x.rows(12);
    Matrix W = x.matrix(13), W_T = x.matrix(14), dW_T = x.matrix(15), dW = x.matrix(16);
};

static inline void add(real* to, real x, bool first) { *to = first ? x : *to + x; }

template <int KEYS, int L> struct Block {      // K columns of W, L rows; KEYS 0: any K
    Vec<L> fixed[KEYS ? KEYS : 1];
    std::vector<Vec<L>> any;
    explicit Block(Int K) : any(KEYS ? 0 : K) {}
    Vec<L>& operator[](Int i) { return KEYS ? fixed[i] : any[i]; }
};

template <int KEYS, int L>
static void forward_block(const Walk& s, Int j)
{
    constexpr int R = KEYS ? 2 : 1;            // short chains of sums, not one long
    const Int K = KEYS ? KEYS : s.K;
    const Matrix W = s.W.at(j, 0).transposed(), W_T = s.W_T.at(j, 0).transposed();
    Block<KEYS, L> S(K);
    Vec<L> found = {};
    for (Int i = 0; i < K; i++) {
        S[i] = W.load<L>(i);
        if (GATED) S[i] *= *s.alpha[0];
        found += s.k[0][i] * S[i];
    }
    for (Int t = 0; t < s.T; t++) {
        const Int next = t + 1 < s.T ? t + 1 : t;
        const real *q = s.q[t], *k = s.k[t], *k_next = s.k[next];
        const real alpha = GATED && next > t ? *s.alpha[next] : 1;
        const Vec<L> e = load<L>(s.v[t] + j) - found, u = *s.beta[t] * e;
        Vec<L> y[R] = {}, a[R] = {};
        UNROLLED for (Int i = 0; i < K; i += R)
            for (int r = 0; r < R; r++) {
                S[i + r] += k[i + r] * u;
                y[r] += q[i + r] * S[i + r];
                if (GATED) S[i + r] *= alpha;
                a[r] += k_next[i + r] * S[i + r];
            }
        found = R > 1 ? a[0] + a[R - 1] : a[0];
        store(s.e[t] + j, e);
        store(s.y[t] + j, R > 1 ? y[0] + y[R - 1] : y[0]);
    }
    for (Int i = 0; i < K; i++) W_T.store<L>(i, S[i]);
}

template <int L> struct Past {                 // L rows of every W_{t-1}, asked from the end
    const Walk& s;
    Int j, C, K = s.K;
    std::vector<Vec<L>> kept, chunk;

    Past(const Walk& s_, Int j_)
        : s(s_), j(j_), C(std::ceil(std::sqrt(double(s.T)))), kept(C * K), chunk(C * K)
    {
        std::vector<Vec<L>> S(K);
        for (Int i = 0; i < K; i++) S[i] = s.W.at(j, 0).transposed().template load<L>(i);
        for (Int t = 0; t < s.T; step(t++, S.data(), S.data()))
            if (t % C == 0) std::copy(S.begin(), S.end(), &kept[t / C * K]);
    }
    void step(Int t, const Vec<L>* S, Vec<L>* after) const
    {
        const Vec<L> u = *s.beta[t] * load<L>(s.e[t] + j);
        for (Int i = 0; i < K; i++) after[i] = *s.alpha[t] * S[i] + s.k[t][i] * u;
    }
    const Vec<L>* before(Int t)
    {
        if (t == s.T - 1 || t % C == C - 1) {
            std::copy_n(&kept[t / C * K], K, &chunk[0]);
            for (Int r = t - t % C; r < t; r++)
                step(r, &chunk[r % C * K], &chunk[(r % C + 1) * K]);
        }
        return &chunk[t % C * K];
    }
};

template <int KEYS, int L>
static void undo_block(const Walk& s, Int j)
{
    constexpr int R = KEYS ? 2 : 1;
    const Int K = KEYS ? KEYS : s.K, end = s.T - 1;
    const Matrix dW = s.dW.at(j, 0).transposed(), dW_T = s.dW_T.at(j, 0).transposed();
    Block<KEYS, L> G(K);
    std::vector<Past<L>> past;
    if (GATED) past.emplace_back(s, j);
    Vec<L> du = {};
    for (Int i = 0; i < K; i++) {
        G[i] = dW_T.load<L>(i);
        G[i] += s.q[end][i] * load<L>(s.dy[end] + j);
        du += s.k[end][i] * G[i];
    }
    for (Int t = end; t >= 0; t--) {
        const Vec<L> e = load<L>(s.e[t] + j), de = *s.beta[t] * du;
        const Vec<L>* before = GATED ? past[0].before(t) : nullptr;
        const real* k = s.k[t];
        const real alpha = GATED ? *s.alpha[t] : 1;
        Vec<L> a[R] = {}, fading = {};
        const auto undo = [&](Int i) {
            G[i] -= k[i] * de;
            if (GATED) fading += G[i] * before[i];
            if (GATED) G[i] *= alpha;
        };
        add(s.dbeta[t], sum(du * e), j == 0);
        store(s.dv[t] + j, de);
        store(s.u[t] + j, *s.beta[t] * e);
        if (t == 0) {
            for (Int i = 0; i < K; i++) undo(i);
        } else {
            const real *q_next = s.q[t - 1], *k_next = s.k[t - 1];
            const Vec<L> dy = load<L>(s.dy[t - 1] + j);
            UNROLLED for (Int i = 0; i < K; i += R)
                for (int r = 0; r < R; r++) {
                    undo(i + r);
                    G[i + r] += q_next[i + r] * dy;
                    a[r] += k_next[i + r] * G[i + r];
                }
            du = R > 1 ? a[0] + a[R - 1] : a[0];
        }
        if (GATED) add(s.dalpha[t], sum(fading), j == 0);
    }
    for (Int i = 0; i < K; i++) dW.store<L>(i, G[i]);
}

template <int N, int L>                        // N rows of W by L columns
static void written(const Walk& s, Int i0, Int j)
{
    Vec<L> G[N];
    for (int i = 0; i < N; i++) G[i] = s.dW_T.at(i0, j).load<L>(i);
    for (Int t = s.T - 1; t >= 0; t--) {
        const real *dy = s.dy[t] + i0, *de = s.dv[t] + i0, *u = s.u[t] + i0;
        const Vec<L> q = load<L>(s.q[t] + j), k = load<L>(s.k[t] + j);
        Vec<L> even = {}, odd = {};
        UNROLLED for (int i = 0; i < N; i++) {
            G[i] += dy[i] * q;
            (i % 2 ? odd : even) += u[i] * G[i];
            G[i] -= de[i] * k;
            if (GATED) G[i] *= *s.alpha[t];
        }
        real* dk = s.dk[t] + j;
        store(dk, i0 ? load<L>(dk) + (even + odd) : even + odd);
    }
}

template <int N, int L>
static void stored(const Walk& s, Int i0, Int j)
{
    Vec<L> S[N];
    for (int i = 0; i < N; i++) S[i] = s.W.at(i0, j).load<L>(i);
    for (Int t = 0; t < s.T; t++) {
        const real *dy = s.dy[t] + i0, *de = s.dv[t] + i0, *u = s.u[t] + i0;
        const Vec<L> k = load<L>(s.k[t] + j);
        Vec<L> before = {}, after = {};
        UNROLLED for (int i = 0; i < N; i++) {
            if (GATED) S[i] *= *s.alpha[t];
            before += de[i] * S[i];
            S[i] += u[i] * k;
            after += dy[i] * S[i];
        }
        real *dk = s.dk[t] + j, *dq = s.dq[t] + j;
        store(dk, load<L>(dk) - before);
        store(dq, i0 ? load<L>(dq) + after : after);
    }
}

// The rows of one head lie far apart. If they are needed more than once, it pays to touch
// those of all heads first, in the order of memory: the cache then fills several times
// faster than one head at a time.
static void touch(Sequence s, const Size& size, int i)
{
    const Array& x = s.x[i];
    const Int end = (size.T - 1) * x.t + (size.H - 1) * x.h;
    if (s.h || size.V <= LANES || end > 4 * size.T * size.H * size.V) return;
    volatile const real* p = s.rows(i)[0];
    for (Int n = 0; n <= end && n < 1 << 18; n += 64 / sizeof(real)) (void)p[n];
}

template <int L> constexpr int known(int K) { return L == LANES ? K : 0; }

#define WITH_KEYS(block)        /* K known to the compiler, where that pays */         \
    (K == 16 ? block<known<L.value>(16), L.value>                                      \
     : K == 32 ? block<known<L.value>(32), L.value>                                    \
     : K == 64 ? block<known<L.value>(64), L.value> : block<0, L.value>)

extern "C" void forward(const Array* x, const Size* size, Int first, Int last)
{
    const Int K = size->K, V = size->V;
    for_each(x, size->H, first, last, [=](Sequence s) {
        for (int i : {0, 1, 2, 5, 6}) touch(s, *size, i);
        const Walk walk{s, size->T, K, {}};
        cut<LANES>(0, V, [&](auto L, Int j) { WITH_KEYS(forward_block)(walk, j); });
    });
}

extern "C" void backward(const Array* x, const Size* size, Int first, Int last)
{
    const Int K = size->K, V = size->V;
    std::vector<real> u(size->T * V);
    for_each(x, size->H, first, last, [&](Sequence s) {
        for (int i : {0, 1, 6, 7}) touch(s, *size, i);
        const Walk walk{s, size->T, K, {u.data(), V}};
        cut<LANES>(0, V, [&](auto L, Int j) { WITH_KEYS(undo_block)(walk, j); });
        cut<LANES>(0, K, [&](auto L, Int j) {
            cut<ROWS>(0, V, [&](auto N, Int i) { written<N.value, L.value>(walk, i, j); });
            cut<ROWS>(0, V, [&](auto N, Int i) { stored<N.value, L.value>(walk, i, j); });
        });
    });
}
