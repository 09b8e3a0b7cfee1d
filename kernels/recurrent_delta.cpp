// Recurrent delta rule, forward and backward.  Reference: srwm_lite/recurrent_delta.py
//
//     h = tanh(y)                            what was read a step before
//     q = softmax(q + R_q h);   v = v + R_v h
//     k = softmax(k + R_k h);   beta = sigmoid(beta + R_beta h)
//     W = W + beta (v - W k) ⊗ k;   y = W q
//
// A step cannot begin before y is known: W does not fall into rows that run alone, as in
// delta_rule.cpp, and time is walked once forward and once back. With e = v - W k, with
// u = beta e what was written and G = dL/dW, a step back is
//
//     dy += (1 - h²) Rᵀ dz                   z: q, k, v, beta before softmax and sigmoid
//     G += dy ⊗ q;   dv = beta G k;   dbeta = (G k) . e
//     dk = Gᵀ u - W_{t-1}ᵀ dv;   dq = W_tᵀ dy;   G -= dv ⊗ k
//
// and dR, the sum of dz ⊗ h over time, comes after the walk. G is held twice, once
// transposed: then all sums run down the rows, none across a vector. The W it meets on
// its way back are written again (Past in recurrent.h). That costs as much as to subtract
// each write from the last W, which would leave behind rounding errors of the size that W
// had at its largest. Memory is O(T) rows: q, k, e, h and beta of a step are kept in one
// row, dz is another, and the rows of a sequence lie one after the other.
//
// Shapes: q, k (B, T, H, K); v, y (B, T, H, V); beta (B, T, H); any strides, last axis
// dense; W (B, H, V, K); R (H, 2K + V + 1, V), rows q, k, v, beta; y_0 (B, 1, H, V).
#include "functions.h"
#include "recurrent.h"

namespace {

constexpr Int rows_of_R(Int K, Int V) { return 2 * K + V + 1; }

template <int D> struct Forward {              // x: q, k, v, beta, kept, y, R, W, W_T, y_0
    static constexpr int L = Sizes<D>::L, WIDE = D ? padded<L>(rows_of_R(D, D)) : 0;
    Sizes<D> n;
    Int P = rows_of_R(n.K, n.V), P_row = padded<L>(P);
    Space R{n.H * n.V * P_row}, W{n.K * n.V_row}, z{P_row}, q{n.K_row}, k{n.K_row},
        h{n.V_row}, y{n.V_row};

    Forward(const Array* x, const Size* size) : n(size)
    {
        for (Int i = 0; i < n.H; i++)
            copy(Sequence{x, 0, i}.matrix(6).transposed(), n.V, P, R + i * n.V * P_row,
                 P_row);
    }

    INLINE void run(Sequence s)
    {
        const Int K = n.K, V = n.V, row = WIDE ? WIDE : P_row;
        const Rows in_q = s.rows(0), in_k = s.rows(1), in_v = s.rows(2),
                   in_beta = s.rows(3), kept = s.rows(4), e = kept + 2 * K,
                   out = s.rows(5);
        copy(s.matrix(7).transposed(), K, V, W, n.V_row);
        copy(s.rows(9)[0], V, y);
        for (Int t = 0; t < n.T; t++) {
            fetch(in_q, t + AHEAD, n.T, K);
            fetch(in_k, t + AHEAD, n.T, K);
            fetch(in_v, t + AHEAD, n.T, V);
            copy(in_q[t], K, z);
            copy(in_k[t], K, z + K);
            copy(in_v[t], V, z + 2 * K);
            z[2 * K + V] = *in_beta[t];
            for (Int j = 0; j < V; j += L)
                store(h + j, hyperbolic_tangent(load<L>(y + j)));
            product<L, WIDE>(h, V, R + s.h * V * row, row,
                             [&](Int j, auto x) { (x.at(z + j) + x).to(z + j); });
            softmax<L>(z, K, q);
            softmax<L>(z + K, K, k);
            const real beta = logistic(Vec<L>{} + z[2 * K + V])[0];
            write_and_read<D>(W, n, q, k, z + 2 * K, beta, e[t],
                              [&](Int j, auto x) { x.to(y + j); });
            copy(y, V, out[t]);
            copy(q, K, kept[t]);
            copy(k, K, kept[t] + K);
            copy(h, V, kept[t] + 2 * K + V);
            kept[t][2 * K + 2 * V] = beta;
        }
        copy(W, n.V_row, K, V, s.matrix(8).transposed());
    }
};

template <int D> struct Backward {             // x: kept, dy, dz, R, W, dW_T, dW, dR, dy_0
    static constexpr int L = Sizes<D>::L;
    Sizes<D> n;
    Int P = rows_of_R(n.K, n.V);
    Past<D> past{n};
    Space R{n.H * P * n.V_row}, u{n.T * n.V_row}, G{n.V * n.K_row}, Gt{n.K * n.V_row},
        dq{n.K_row}, dk{n.K_row}, dv{n.V_row}, dy{n.V_row};

    Backward(const Array* x, const Size* size) : n(size)
    {
        for (Int i = 0; i < n.H; i++)
            copy(Sequence{x, 0, i}.matrix(3), P, n.V, R + i * P * n.V_row, n.V_row);
    }

    // Gᵀ: take away what the step after wrote, add what this one read; dv, and dbeta.
    INLINE real values(const real* q, const real* k, const real* k_next, const real* e,
                       real beta)
    {
        Vec<L> dbeta = {};
        in_panels<L, D>(n.V_row, [&](auto panel, Int j) {
            using P = decltype(panel);
            constexpr int R = D ? P::chains : 1;
            const P dy_j = P::at(dy + j), dv_next = P::at(dv + j);
            P du[R] = {};
            for (Int i = 0; i < n.K; i += R)
                UNROLLED for (int r = 0; r < R; r++) {
                    real* at = Gt + (i + r) * n.V_row + j;
                    const P g = P::at(at) - k_next[i + r] * dv_next + q[i + r] * dy_j;
                    g.to(at);
                    du[r] += k[i + r] * g;
                }
            const P sum = total(du);
            (beta * sum).to(dv + j);
            for (Vec<L> x : (sum * P::at(e + j, n.V - j)).x) dbeta += x;
        });
        return sum(dbeta);
    }

    // G, dq and dk. Both W are the one before: W_tᵀ dy = W_{t-1}ᵀ dy + (u . dy) k
    INLINE void keys(const real* q, const real* k, const real* u, const real* W)
    {
        const real both = dot<L>(u, dy, n.V);
        in_panels<L, D>(n.K_row, [&](auto panel, Int j) {
            using P = decltype(panel);
            constexpr int R = D ? 2 : 1;
            const P q_j = P::at(q + j, n.K - j), k_j = P::at(k + j, n.K - j);
            P read[R] = {}, put[R] = {}, took[R] = {};
            for (Int i = 0; i < n.V; i += R)
                UNROLLED for (int r = 0; r < R; r++) {
                    const Int at = (i + r) * n.K_row + j;
                    const P g = P::at(G + at) + dy[i + r] * q_j, w = P::at(W + at);
                    (g - dv[i + r] * k_j).to(G + at);
                    put[r] += u[i + r] * g;
                    read[r] += dy[i + r] * w;
                    took[r] += dv[i + r] * w;
                }
            (total(read) + both * k_j).to(dq + j);
            (total(put) - total(took)).to(dk + j);
        });
    }

    INLINE void run(Sequence s)
    {
        const Int K = n.K, V = n.V, row = n.V_row;
        const Rows q = s.rows(0), k = q + K, e = k + K, h = e + V, beta = h + V;
        const Rows in_dy = s.rows(1), dz = s.rows(2);
        for (Int t = 0; t < n.T; t++)
            for (Int j = 0; j < V; j++) u[t * row + j] = *beta[t] * e[t][j];
        past.start(s.matrix(4), k, {u, row});
        copy(s.matrix(5), V, K, G, n.K_row);
        copy(s.matrix(5).transposed(), K, V, Gt, row);
        std::fill_n((real*)dv, row, 0);
        std::fill_n((real*)dy, row, 0);
        for (Int t = n.T - 1; t >= 0; t--) {
            fetch(in_dy, t - AHEAD, n.T, V);
            for (Int j = 0; j < V; j += L)
                store(dy + j, load<L>(dy + j) + load<L>(in_dy[t] + j, V - j, 0));
            const real *k_next = k[std::min(t + 1, n.T - 1)], b = *beta[t];
            dz[t][2 * K + V] = values(q[t], k[t], k_next, e[t], b) * b * (1 - b);
            keys(q[t], k[t], u + t * row, past.before(t));
            undo_softmax<L>(q[t], K, dq);
            undo_softmax<L>(k[t], K, dk);
            copy(dq, K, dz[t]);
            copy(dk, K, dz[t] + K);
            copy(dv, V, dz[t] + 2 * K);
            product<L, D>(dz[t], P, R + s.h * P * row, row, [&](Int j, auto x) {
                const auto h_j = x.at(h[t] + j, V - j);
                (x - x * h_j * h_j).to(dy + j);
            });
        }
        copy(G, n.K_row, V, K, s.matrix(6));
        copy(dy, V, s.rows(8)[0]);
    }
};

template <int N, int L>                        // N rows of dR by L columns
void outer(Int T, Rows dz, Rows h, Matrix dR)
{
    Vec<L> S[N] = {};
    for (Int t = 0; t < T; t++) {
        const Vec<L> h_t = load<L>(h[t]);
        UNROLLED for (int i = 0; i < N; i++) S[i] += dz[t][i] * h_t;
    }
    for (int i = 0; i < N; i++) dR.store<L>(i, S[i]);
}

void slow_weights(Sequence s, const Size& n)
{
    const Rows h = s.rows(0) + (2 * n.K + n.V), dz = s.rows(2);
    cut<LANES>(0, n.V, [&](auto L, Int j) {
        cut<ROWS>(0, rows_of_R(n.K, n.V), [&](auto N, Int i) {
            outer<N.value, L.value>(n.T, dz + i, h + j, s.matrix(7).at(i, j));
        });
    });
}

}  // namespace

extern "C" void forward(const Array* x, const Size* size, Int first, Int last)
{
    with_size(size, [=](auto D) {
        Forward<D.value> walk(x, size);
        for_each(x, size->H, first, last, [&](Sequence s) { walk.run(s); });
    });
}

extern "C" void backward(const Array* x, const Size* size, Int first, Int last)
{
    with_size(size, [=](auto D) {
        Backward<D.value> walk(x, size);
        for_each(x, size->H, first, last, [&](Sequence s) {
            walk.run(s);
            slow_weights(s, *size);
        });
    });
}
