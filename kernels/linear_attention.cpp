// Linear attention, forward and backward.  Reference: srwm_lite/linear_attention.py
//
//     W += v ⊗ k;   y = W q
//
// A tile of W (N keys by L values) stays in the registers for the whole sequence.
// Transposing W is a swap of two strides, walking back in time is a negative stride, and
// so the backward pass is linear attention three times:
//
//     dq_t = W_tᵀ dy_t               write k under v, read with dy
//     dv_t = G_t k_t                 from the end: write dy under q, read with k
//     dk_t = G_tᵀ v_t                from the end: write q under dy, read with v
//
// with G_t = dL/dW_t = dL/dW_T + sum over s >= t of dy_s ⊗ q_s.
//
// Shapes: q, k (B, T, H, K); v, y (B, T, H, V), any strides, last axis dense;
// W (B, H, V, K).
#include "vectors.h"

template <int N, int L>
static void tile(Int T, Rows q, Rows k, Rows v, Rows y, Matrix W, Matrix W_T, bool add)
{
    Vec<L> S[N];
    for (int i = 0; i < N; i++) S[i] = W.load<L>(i);
    for (Int t = 0; t < T; t++) {
        const real *q_t = q[t], *k_t = k[t];
        const Vec<L> v_t = load<L>(v[t]);
        Vec<L> even = {}, odd = {};            // two short chains of sums, not one long
        UNROLLED for (int i = 0; i < N; i++) {
            S[i] += k_t[i] * v_t;
            (i % 2 ? odd : even) += q_t[i] * S[i];
        }
        store(y[t], add ? load<L>(y[t]) + (even + odd) : even + odd);
    }
    for (int i = 0; i < N; i++) W_T.store<L>(i, S[i]);
}

static void attend(Int T, Int K, Int V, Rows q, Rows k, Rows v, Rows y,
                   Matrix W, Matrix W_T)
{
    cut<LANES>(0, V, [=](auto L, Int j) {
        cut<ROWS>(0, K, [=](auto N, Int i) {
            tile<N.value, L.value>(T, q + i, k + i, v + j, y + j, W.at(j, i).transposed(),
                                   W_T.at(j, i).transposed(), i > 0);
        });
    });
}

// x: q, k, v, W, y, W_T
extern "C" void forward(const Array* x, const Size* size, Int first, Int last)
{
    const Int T = size->T, K = size->K, V = size->V;
    for_each(x, size->H, first, last, [=](Sequence s) {
        attend(T, K, V, s.rows(0), s.rows(1), s.rows(2), s.rows(4), s.matrix(3),
               s.matrix(5));
    });
}

// x: q, k, v, W, dy, dW_T, dq, dk, dv, dW
extern "C" void backward(const Array* x, const Size* size, Int first, Int last)
{
    const Int T = size->T, K = size->K, V = size->V;
    for_each(x, size->H, first, last, [=](Sequence s) {
        const Rows q = s.rows(0), k = s.rows(1), v = s.rows(2), dy = s.rows(4),
                   q_back = q.reversed(T), dy_back = dy.reversed(T);
        const Matrix W = s.matrix(3), G = s.matrix(5), none = {};
        attend(T, V, K, dy, v, k, s.rows(6), W.transposed(), none);
        attend(T, V, K, v.reversed(T), dy_back, q_back, s.rows(7).reversed(T),
               G.transposed(), none);
        attend(T, K, V, k.reversed(T), q_back, dy_back, s.rows(8).reversed(T), G,
               s.matrix(9));
    });
}
