// Linear attention, forward and backward.  Reference: srwm_lite/linear_attention.py
//
//     W += v ⊗ k;   y = W q
//
// A tile of W (a few rows of keys, one vector of values) stays in the registers for the
// whole sequence. Transposing W is a swap of two strides, walking back in time is a
// negative stride, and so the backward pass is three more linear attentions:
//
//     dq_t = W_tᵀ dy_t               write k under v, read with dy
//     dv_t = G_t k_t                 from the end: write dy under q, read with k
//     dk_t = G_tᵀ v_t                from the end: write q under dy, read with v
//
// with G_t = dL/dW_t = dL/dW_T + sum over s >= t of dy_s ⊗ q_s.
//
// Shapes: q, k (B, T, H, K); v, y (B, T, H, V), any strides, last axis dense;
// W (B, H, V, K). Sequence n is batch n / H, head n % H.
#include "vectors.h"

template <int N>                               // N keys by LANES values of W
static void tile(Int T, Rows q, Rows k, Rows v, Rows y, Matrix W, Matrix W_T,
                 Int lanes, bool add)
{
    Vec S[N];
    load(S, W, N, lanes);
    for (Int t = 0; t < T; t++) {
        const real *q_t = q[t], *k_t = k[t];
        const Vec v_t = load(v[t], lanes);
        Vec y_t = add ? load(y[t], lanes) : Vec{};
        for (int i = 0; i < N; i++) {
            S[i] += k_t[i] * v_t;
            y_t += q_t[i] * S[i];
        }
        store(y[t], y_t, lanes);
    }
    if (W_T.first) store(W_T, S, N, lanes);
}

static void attend(Int T, Int K, Int V, Rows q, Rows k, Rows v, Rows y,
                   Matrix W, Matrix W_T)
{
    for (Int j = 0; j < V; j += LANES)
        for (Int i = 0, n = ROWS; i < K; i += n) {
            while (n > K - i) n /= 2;
            const auto run = n == 16 ? tile<16> : n == 8 ? tile<8> : n == 4 ? tile<4>
                           : n == 2 ? tile<2> : tile<1>;
            run(T, q + i, k + i, v + j, y + j, W.at(j, i).transposed(),
                W_T.at(j, i).transposed(), V - j, i > 0);
        }
}

// x: q, k, v, W, y, W_T
extern "C" void forward(const Array* x, const Size* size, Int first, Int last)
{
    const auto [T, H, K, V] = *size;
    for (Int n = first; n < last; n++) {
        const Int b = n / H, h = n % H;
        attend(T, K, V, x[0].rows(b, h), x[1].rows(b, h), x[2].rows(b, h),
               x[4].rows(b, h), x[3].matrix(b, h), x[5].matrix(b, h));
    }
}

// x: q, k, v, W, dy, dW_T, dq, dk, dv, dW
extern "C" void backward(const Array* x, const Size* size, Int first, Int last)
{
    const auto [T, H, K, V] = *size;
    for (Int n = first; n < last; n++) {
        const Int b = n / H, h = n % H;
        const Rows q = x[0].rows(b, h), k = x[1].rows(b, h), v = x[2].rows(b, h),
                   dy = x[4].rows(b, h);
        const Matrix G = x[5].matrix(b, h), none = {};
        attend(T, V, K, dy, v, k, x[6].rows(b, h), x[3].matrix(b, h).transposed(), none);
        attend(T, V, K, v.reversed(T), dy.reversed(T), q.reversed(T),
               x[7].rows(b, h).reversed(T), G.transposed(), none);
        attend(T, K, V, k.reversed(T), q.reversed(T), dy.reversed(T),
               x[8].rows(b, h).reversed(T), G, x[9].matrix(b, h));
    }
}
