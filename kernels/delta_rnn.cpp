// The recurrent half of the Delta RNN, forward and backward.  Reference:
// srwm_lite/delta_rnn.py
//
//     R = R + beta (v - R k) ⊗ k;   s = softmax(y);   y = z + R s
//
// The other half, z = W q, is the delta rule and stands in delta_rule.cpp: it never hears
// y. The writes into R do not hear it either, only the query s does. So one walk from the
// end finds what reaches each output,
//
//     dy_{t-1} += J_t R_tᵀ dy_t              J = ds/dy, that of the softmax
//
// and the rest is the backward pass of a delta rule whose queries are s: once more
// delta_rule.cpp. The walk meets R on its way; it is written again (Past in recurrent.h).
//
// Shapes: z, k, v, y, s (B, T, H, V); beta (B, T, H); any strides, last axis dense;
// R (B, H, V, V); y_0 (B, 1, H, V).
#include "functions.h"
#include "recurrent.h"

namespace {

template <int D>                               // x: z, k, v, beta, s, e, y, R, R_T, y_0
INLINE void forward_sequence(Sequence x, const Sizes<D>& n)
{
    constexpr int L = Sizes<D>::L;
    const Int V = n.V, row = n.V_row;
    const Rows z = x.rows(0), k = x.rows(1), v = x.rows(2), beta = x.rows(3),
               s = x.rows(4), e = x.rows(5), out = x.rows(6);
    Space R(V * row), y(row), query(row);
    copy(x.matrix(7).transposed(), V, V, R, row);
    copy(x.rows(9)[0], V, y);
    for (Int t = 0; t < n.T; t++) {
        for (const Rows& r : {z, k, v}) fetch(r, t + AHEAD, n.T, V);
        softmax<L>(y, V, query);
        copy(query, V, s[t]);
        write_and_read<D>(R, n, query, k[t], v[t], *beta[t], e[t], [&](Int j, auto x) {
            (x.at(z[t] + j, V - j) + x).to(y + j);
        });
        copy(y, V, out[t]);
    }
    copy(R, row, V, V, x.matrix(8).transposed());
}

template <int D>                               // x: k, beta, s, e, dy, dz, R, dy_0
INLINE void backward_sequence(Sequence x, Past<D>& past, real* u)
{
    constexpr int L = Sizes<D>::L;
    const Sizes<D>& n = past.n;
    const Int V = n.V, row = n.V_row;
    const Rows k = x.rows(0), beta = x.rows(1), s = x.rows(2), e = x.rows(3),
               dy = x.rows(4), dz = x.rows(5);
    Space later(row), now(row);
    for (Int t = 0; t < n.T; t++)
        for (Int j = 0; j < V; j++) u[t * row + j] = *beta[t] * e[t][j];
    past.start(x.matrix(6), k, {u, row});
    for (Int t = n.T - 1; t >= 0; t--) {
        for (const Rows& r : {s, dy, dz}) fetch(r, t - AHEAD, n.T, V);
        for (Int j = 0; j < V; j += L)
            store(now + j, load<L>(later + j) + load<L>(dy[t] + j, V - j, 0));
        copy(now, V, dz[t]);
        const real both = dot<L>(u + t * row, now, V);  // R_tᵀ = R_{t-1}ᵀ + k ⊗ u
        product<L, D>(now, V, past.before(t), row, [&](Int j, auto x) {
            (x + both * x.at(k[t] + j, V - j)).to(later + j);
        });
        undo_softmax<L>(s[t], V, later);
    }
    copy(later, V, x.rows(7)[0]);
}

}  // namespace

extern "C" void forward(const Array* x, const Size* size, Int first, Int last)
{
    with_size(size, [=](auto D) {
        const Sizes<D.value> n(size);
        for_each(x, n.H, first, last, [&](Sequence s) { forward_sequence(s, n); });
    });
}

extern "C" void backward(const Array* x, const Size* size, Int first, Int last)
{
    with_size(size, [=](auto D) {
        Past<D.value> past{size};
        Space u(size->T * past.n.V_row);
        for_each(x, size->H, first, last,
                 [&](Sequence s) { backward_sequence(s, past, u); });
    });
}
