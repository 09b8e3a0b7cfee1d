// Self-referential weight matrix, forward and backward.  Reference: srwm_lite/srwm.py
//
//     y | q | k | b = W u;   q = softmax(q);   k = softmax(k);   b = sigmoid(b)
//     c = W (q - k);   W = W + (b c) ⊗ k            every row of c with the b of its block
//
// The matrix lies column by column, R = V + 2 K + 4 rows in Q vectors, in the nearest
// cache. Forward goes over it twice a step: once for c, and once to write and to ask what
// the next input finds. Only q, k, b and c are kept for later.
//
// Backward walks from the end and takes every write back, W_{t-1} = W_t - (b c) ⊗ k, so
// memory is O(T) rows. With G = dL/dW_t and e = dL/dc:
//
//     e = G k,  db = e . c,  e = b e,  dk = Gᵀ (b c)
//     dq = W_{t-1}ᵀ e,  dk = dk - dq
//     z = (dy | dq, dk behind the softmax | db behind the sigmoid)
//     du = W_{t-1}ᵀ z,  G = G + z ⊗ u + e ⊗ (q - k)
//
// Unlike srwm.cu it keeps no copies of W on the way: if W grows by many orders of size,
// which takes frozen keys, float32 loses the start, and only the emulated kernel is right.
//
// Shapes: u, q, k (B, T, H, K); y (B, T, H, V); b (B, T, H, 4); c (B, T, H, R); W (B, H, R, K).
#include <algorithm>
#include <cmath>
#include "vectors.h"

typedef Vec<LANES> Lanes;

template <int Q> struct Matrices {             // columns of Q vectors; 0: any number
    Int rows, columns, vectors = Q ? Q : (rows + LANES - 1) / LANES;
    std::vector<Lanes> x;
    Matrices(Int R, Int K) : rows(R), columns(K), x(K * vectors) {}
    Lanes* operator[](Int i) { return &x[i * (Q ? Q : vectors)]; }
    void load(Matrix W)
    {
        std::fill(x.begin(), x.end(), Lanes{});
        for (Int i = 0; W.first && i < columns; i++)
            for (Int r = 0; r < rows; r++) ((real*)(*this)[i])[r] = *W.at(r, i).first;
    }
    void store(Matrix W)
    {
        for (Int i = 0; i < columns; i++)
            for (Int r = 0; r < rows; r++) *W.at(r, i).first = ((real*)(*this)[i])[r];
    }
};

struct Sizes {
    Int T, K, V, R;
    Int begin(int block) const { return block < 3 ? (block > 0) * V + (block > 1) * K : V + 2 * K; }
    Int length(int block) const { return block == 0 ? V : block < 3 ? K : 4; }
};

template <int Q> struct Rowwise {              // R numbers, one for each row
    std::vector<Lanes> any;
    Lanes fixed[Q ? Q : 1];
    explicit Rowwise(Int n) : any(Q ? 0 : n) { clear(n); }
    Lanes& operator[](Int m) { return Q ? fixed[m] : any[m]; }
    real* numbers() { return (real*)&(*this)[0]; }
    void clear(Int n) { for (Int m = 0; m < n; m++) (*this)[m] = Lanes{}; }
    void load(const real* p, Int R) { memcpy(numbers(), p, R * sizeof(real)); }
};

static real total(const real* p, Int n)        // sum in lanes, then the rest
{
    Lanes s = {};
    Int i = 0;
    for (; i + LANES <= n; i += LANES) s += load<LANES>(p + i);
    real x = halved(s);
    for (; i < n; i++) x += p[i];
    return x;
}

static void softmax(real* z, Int n)
{
    real most = z[0], all = 0;
    for (Int i = 1; i < n; i++) most = z[i] > most ? z[i] : most;
    for (Int i = 0; i < n; i++) z[i] = std::exp(z[i] - most);
    for (Int i = 0; i < n; i++) all += z[i];
    for (Int i = 0; i < n; i++) z[i] /= all;
}

template <int Q>                               // every row by the strength of its block
static void strengthen(Rowwise<Q>& x, const real* b, const real* live, const Sizes& n)
{
    for (int block = 0; block < 4; block++) {
        const real s = b[block] * live[block];
        real* p = x.numbers() + n.begin(block);
        for (Int r = 0; r < n.length(block); r++) p[r] *= s;
    }
}

template <int Q>
static void forward_one(const Sequence& s, const Sizes& n)
{
    const Rows u = s.rows(0), y = s.rows(3), q = s.rows(4), k = s.rows(5), b = s.rows(6),
               c = s.rows(7);
    const real* live = s.x[2].data;
    Matrices<Q> W(n.R, n.K);
    W.load(s.matrix(1));
    const Int N = Q ? Q : W.vectors;
    Rowwise<Q> z(N), w(N);
    for (Int i = 0; i < n.K; i++)
        for (Int m = 0; m < N; m++) z[m] += u[0][i] * W[i][m];
    for (Int t = 0; t < n.T; t++) {
        const real* from = z.numbers();
        memcpy(y[t], from, n.V * sizeof(real));
        memcpy(q[t], from + n.V, n.K * sizeof(real));
        memcpy(k[t], from + n.V + n.K, n.K * sizeof(real));
        softmax(q[t], n.K);
        softmax(k[t], n.K);
        for (int i = 0; i < 4; i++) b[t][i] = 1 / (1 + std::exp(-from[n.V + 2 * n.K + i]));
        w.clear(N);
        for (Int i = 0; i < n.K; i++) {
            const real d = q[t][i] - k[t][i];
            for (Int m = 0; m < N; m++) w[m] += d * W[i][m];
        }
        memcpy(c[t], w.numbers(), n.R * sizeof(real));
        strengthen(w, b[t], live, n);
        z.clear(N);
        const real *next = u[t + 1 < n.T ? t + 1 : t], *key = k[t];
        for (Int i = 0; i < n.K; i++)
            for (Int m = 0; m < N; m++) {
                W[i][m] += key[i] * w[m];
                z[m] += next[i] * W[i][m];
            }
    }
    W.store(s.matrix(8));
}

static void behind_softmax(const real* p, real* dp, Int n)
{
    real inside = 0;
    for (Int i = 0; i < n; i++) inside += p[i] * dp[i];
    for (Int i = 0; i < n; i++) dp[i] = p[i] * (dp[i] - inside);
}

template <int Q>
static void backward_one(const Sequence& s, const Sizes& n)
{
    const Rows u = s.rows(0), q = s.rows(3), k = s.rows(4), b = s.rows(5), c = s.rows(6),
               dy = s.rows(7), du = s.rows(9);
    const real* live = s.x[2].data;
    Matrices<Q> W(n.R, n.K), G(n.R, n.K);
    W.load(s.matrix(1));
    G.load(s.matrix(8));
    const Int N = Q ? Q : W.vectors;
    Rowwise<Q> found(N), w(N), e(N), z(N);
    for (Int t = n.T - 1; t >= 0; t--) {
        const real *u_t = u[t], *q_t = q[t], *k_t = k[t];
        real *dz = z.numbers(), *dq = dz + n.V, *dk = dq + n.K, *db = dk + n.K;
        found.load(c[t], n.R);
        w.load(c[t], n.R);
        strengthen(w, b[t], live, n);
        e.clear(N);
        for (Int i = 0; i < n.K; i++) {
            Lanes a = {};
            for (Int m = 0; m < N; m++) {
                e[m] += k_t[i] * G[i][m];
                a += G[i][m] * w[m];
            }
            dk[i] = halved(a);
        }
        for (Int m = 0; m < N; m++) found[m] *= e[m];
        for (int i = 0; i < 4; i++)
            db[i] = total(found.numbers() + n.begin(i), n.length(i)) * live[i] * b[t][i] * (1 - b[t][i]);
        strengthen(e, b[t], live, n);
        for (Int i = 0; i < n.K; i++) {
            Lanes a = {};
            for (Int m = 0; m < N; m++) {
                W[i][m] -= k_t[i] * w[m];
                a += W[i][m] * e[m];
            }
            dq[i] = halved(a);
            dk[i] -= dq[i];
        }
        memcpy(dz, dy[t], n.V * sizeof(real));
        behind_softmax(q_t, dq, n.K);
        behind_softmax(k_t, dk, n.K);
        for (Int i = 0; i < n.K; i++) {
            const real d = q_t[i] - k_t[i];
            Lanes a = {};
            for (Int m = 0; m < N; m++) {
                a += W[i][m] * z[m];
                G[i][m] += u_t[i] * z[m] + d * e[m];
            }
            du[t][i] = halved(a);
        }
    }
    G.store(s.matrix(10));
}

static Sizes sizes(const Size* size) { return {size->T, size->K, size->V, size->V + 2 * size->K + 4}; }

#define FOR_SEQUENCES(one)                                                             \
    const Sizes n = sizes(size);                                                       \
    const Int Q = (n.R + LANES - 1) / LANES;                                           \
    for_each(x, size->H, first, last, [=](Sequence s) {                                \
        Q == 2 ? one<2>(s, n) : Q == 4 ? one<4>(s, n) : Q == 7 ? one<7>(s, n)          \
        : Q == 13 ? one<13>(s, n) : one<0>(s, n);                                      \
    });

// x: u, W, live, y, q, k, b, c, W_T
extern "C" void forward(const Array* x, const Size* size, Int first, Int last)
{
    FOR_SEQUENCES(forward_one)
}

// x: u, W_T, live, q, k, b, c, dy, dW_T, du, dW
extern "C" void backward(const Array* x, const Size* size, Int first, Int last)
{
    FOR_SEQUENCES(backward_one)
}
