// Self-referential matrix, forward and backward.  Reference: srwm_lite/self_reference.py
//
//     y | q | k | b = W u                    four blocks of rows
//     q = softmax(q)  k = softmax(k)  b = sigmoid(b)
//     w = live b W (q - k)                   each row with the b of its block
//     W = W + w ⊗ k
//
// Forward holds Wᵀ and goes over it once a step, a panel of rows at a time: what W finds
// under q - k, the write, and what the next input finds. Backward, with G = dL/dW and
// z = dL/d(W u), a step is
//
//     s = G k;  e = live b s;  db = (1 - b) (s . w)        in each block
//     dq = W_{t-1}ᵀ e;  dk = Gᵀ w - dq;  z from dy, dq, dk and db
//     du = W_{t-1}ᵀ z;  G += z ⊗ u + e ⊗ (q - k)
//
// and z is known after dq only. So du and what G gets wait for the next step back, which
// goes over both matrices anyway: W_{t-1}ᵀ z = W_{t-2}ᵀ z + (w . z) k with its w and k.
// A row of G is ready for dk as soon as it is updated, one of W for dq as soon as s is
// known: rows are taken in groups whose sums s fill a vector.
//
// The W on the way back are written again (Past in recurrent.h). To subtract each write
// from the last W would leave behind rounding errors of the size that W has grown to: with
// frozen keys it can grow by many orders. Memory is O(T) rows: q, k, w and b of a step.
//
// Shapes: u (B, T, H, K), last axis dense; y (B, T, H, V); W (B, H, R, K), R = V + 2 K + 4.
#include "functions.h"
#include "recurrent.h"

namespace {

constexpr Int rows_of_W(Int K, Int V) { return V + 2 * K + 4; }

template <int D> Int begin(const Sizes<D>& n, int block)  // of y, q, k, b; the end
{
    return block < 3 ? (block > 0) * n.V + (block > 1) * n.K
                     : n.V + 2 * n.K + (block > 3) * 4;
}

template <int D> struct Forward {              // x: u, W, live, kept, y, W_T
    static constexpr int L = Sizes<D>::L, WIDE = D ? padded<L>(rows_of_W(D, D)) : 0;
    Sizes<D> n;
    Int R = rows_of_W(n.K, n.V), R_row = padded<L>(R);
    Space W{n.K * R_row}, z{R_row}, rate{R_row + L}, q{n.K_row}, k{n.K_row}, d{n.K_row};

    Forward(const Size* size) : n(size) {}

    INLINE void rates(const real* b, const real* live)  // b of its block for every row
    {
        for (int i = 0; i < 4; i++)
            for (Int r = begin(n, i); r < begin(n, i + 1); r += L)
                store(rate + r, Vec<L>{} + b[i] * live[i]);
    }

    INLINE void write_and_read(const real* u, real* w)
    {
        const Int K = n.K, row = WIDE ? WIDE : R_row;
        real *W = this->W, *z = this->z;
        const real *d = this->d, *k = this->k, *rate = this->rate;
        in_panels<L, WIDE>(row, [&](auto panel, Int j) {
            using P = decltype(panel);
            constexpr int C = D ? P::chains : 1;
            P found[C] = {}, read[C] = {};
            for (Int i = 0; i < n.K; i += C)
                UNROLLED for (int c = 0; c < C; c++)
                    found[c] += d[i + c] * P::at(W + (i + c) * row + j);
            const P w_j = P::at(rate + j) * total(found);
            for (Int i = 0; i < n.K; i += C)
                UNROLLED for (int c = 0; c < C; c++) {
                    real* at = W + (i + c) * row + j;
                    const P x = P::at(at) + k[i + c] * w_j;
                    x.to(at);
                    read[c] += u[i + c] * x;
                }
            w_j.to(w + j, R - j);
            total(read).to(z + j);
        });
    }

    INLINE void run(Sequence s)
    {
        const Int K = n.K, V = n.V;
        const Rows u = s.rows(0), kept = s.rows(3), y = s.rows(4);
        copy(s.matrix(1).transposed(), K, R, W, R_row);
        product<L, WIDE>(u[0], K, W, R_row, [&](Int j, auto x) { x.to(z + j); });
        for (Int t = 0; t < n.T; t++) {
            real *w = kept[t] + 2 * K, *b = w + R;
            fetch(u, t + AHEAD, n.T, K);
            copy(z, V, y[t]);
            softmax<L>(z + V, K, q);
            softmax<L>(z + V + K, K, k);
            store(b, logistic(load<4>(z + V + 2 * K)));
            rates(b, s.x[2].data);
            for (Int j = 0; j < K; j += L) store(d + j, load<L>(q + j) - load<L>(k + j));
            copy(q, K, kept[t]);
            copy(k, K, kept[t] + K);
            write_and_read(u[std::min(t + 1, n.T - 1)], w);
        }
        copy(W, R_row, K, R, s.matrix(5).transposed());
    }
};

template <int D> struct Backward {             // x: u, W, live, kept, dy, dW_T, du, dW
    static constexpr int L = Sizes<D>::L;
    Sizes<D> n;
    Int R = rows_of_W(n.K, n.V);
    Past<D> past{n, R};
    Space G{R * n.K_row}, z{R}, e{R}, u{n.K_row}, d{n.K_row}, k{n.K_row}, du{n.K_row},
        dq{n.K_row}, dk{n.K_row};

    Backward(const Size* size) : n(size) {}

    // N rows: G of the step after is completed, du of that step, dq and dk gain. s . w
    template <int N> INLINE real walk(Int r, const real* W, const real* w, real rate)
    {
        const Int row = n.K_row;
        real *G = this->G + r * row, *e = this->e + r;  // known not to change: registers
        const real *z = this->z + r, *u = this->u, *d = this->d,
                   *k = this->k;
        real *dk = this->dk, *dq = this->dq, *du = this->du;
        W += r * row, w += r;
        Vec<L> found[N] = {};
        for (Int j = 0; j < row; j += L) {
            const Vec<L> u_j = load<L>(u + j), d_j = load<L>(d + j), k_j = load<L>(k + j);
            Vec<L> put[2] = {};
            UNROLLED for (int i = 0; i < N; i++) {
                const Vec<L> x = load<L>(G + i * row + j) + z[i] * u_j + e[i] * d_j;
                store(G + i * row + j, x);
                found[i] += x * k_j;
                put[i % 2] += w[i] * x;
            }
            store(dk + j, load<L>(dk + j) + (put[0] + put[1]));
        }
        const Vec<N> s = sums<N>(found);
        store(e, rate * s);
        for (Int j = 0; j < row; j += L) {
            Vec<L> took[2] = {}, read[2] = {};
            UNROLLED for (int i = 0; i < N; i++) {
                const Vec<L> x = load<L>(W + i * row + j);
                took[i % 2] += e[i] * x;
                read[i % 2] += z[i] * x;
            }
            store(dq + j, load<L>(dq + j) + (took[0] + took[1]));
            store(du + j, load<L>(du + j) + (read[0] + read[1]));
        }
        return sum(s * load<N>(w));
    }

    void clear(real* x, Int n) { std::fill_n(x, n, real(0)); }

    INLINE void run(Sequence s)
    {
        const Int K = n.K, V = n.V, row = n.K_row;
        const Rows in_u = s.rows(0), kept = s.rows(3), dy = s.rows(4), out = s.rows(6);
        const real* live = s.x[2].data;
        past.start(s.matrix(1), kept + K, kept + 2 * K);
        copy(s.matrix(5), R, K, G, row);
        for (real* x : {(real*)z, (real*)e}) clear(x, R);
        for (real* x : {(real*)u, (real*)d}) clear(x, row);
        for (Int t = n.T - 1; t >= 0; t--) {
            const real *q = kept[t], *w = q + 2 * K, *b = w + R, *W = past.before(t);
            real db[4];
            fetch(in_u, t - AHEAD, n.T, K);
            fetch(dy, t - AHEAD, n.T, V);
            copy(q + K, K, k);
            for (real* x : {(real*)du, (real*)dq, (real*)dk}) clear(x, row);
            for (int i = 0; i < 4; i++) {
                real both = 0;
                cut<L>(begin(n, i), begin(n, i + 1), [&](auto N, Int r) {
                    both += walk<N.value>(r, W, w, b[i] * live[i]);
                });
                db[i] = (1 - b[i]) * both;
            }
            const real both = dot<L>(w, z, R);
            for (Int j = 0; j < row; j += L) {
                store(du + j, load<L>(du + j) + both * load<L>(k + j));
                store(dk + j, load<L>(dk + j) - load<L>(dq + j));
                store(d + j, load<L>(q + j, K - j, 0) - load<L>(k + j));
            }
            if (t + 1 < n.T) copy(du, K, out[t + 1]);
            undo_softmax<L>(q, K, dq);
            undo_softmax<L>(k, K, dk);
            copy(dy[t], V, z);
            copy(dq, K, z + V);
            copy(dk, K, z + V + K);
            copy(db, 4, z + V + 2 * K);
            copy(in_u[t], K, u);
        }
        finish(s);
    }

    void finish(Sequence s)                    // what waited for a step before the first
    {
        const Int row = n.K_row;
        product<L, D>(z, R, past.before(0), row, [&](Int j, auto x) { x.to(du + j); });
        copy(du, n.K, s.rows(6)[0]);
        for (Int r = 0; r < R; r++)
            for (Int j = 0; j < row; j += L)
                store(G + r * row + j, load<L>(G + r * row + j) + z[r] * load<L>(u + j)
                                           + e[r] * load<L>(d + j));
        copy(G, row, R, n.K, s.matrix(7));
    }
};

}  // namespace

extern "C" void forward(const Array* x, const Size* size, Int first, Int last)
{
    with_size(size, [=](auto D) {
        Forward<D.value> walk(size);
        for_each(x, size->H, first, last, [&](Sequence s) { walk.run(s); });
    });
}

extern "C" void backward(const Array* x, const Size* size, Int first, Int last)
{
    with_size(size, [=](auto D) {
        Backward<D.value> walk(size);
        for_each(x, size->H, first, last, [&](Sequence s) { walk.run(s); });
    });
}
