// A layer of VSML cells that learns online, forward and backward.
// Reference: srwm_lite/vsml_learner.py
//
//     z = heard_a + heard_b + R h_ab               gates i, f, g, o, `ticks` times
//     c_ab = sigmoid(f) c_ab + sigmoid(i) tanh(g)
//     h_ab = sigmoid(o) tanh(c_ab)
//     logits_b = 100 tanh((out . mean_a h_ab + out_bias) / 100)
//     back_b = told_0 (softmax(logits)_b - target_b), told_1 target_b, 0, ...
//
// What a cell hears does not change while it thinks. It is a sum of what its row and its
// column hear: heard_a = bias + A x_a, heard_b = C back_b with the example before. Cells
// are taken a few at once, with all their ticks.
//
// Backward, h and c before each example were kept, and the ticks are computed again.
// With dz = dL/dz, its sums s_a and s_b over the ticks of a row and a column, and d_b
// the gradient of the answer before it is squashed,
//
//     dh = R^T dz, and for the last tick also out d_b / I;  dR += dz ⊗ h
//     dx_a = A . s_a;  dA += x_a s_a;  dback_b = C . s_b;  dC += back_b s_b
//     d = (dlogits + softmax'(told_0 dback_0 of the example after)) (1 - tanh^2)
//
// Memory is O(T I O N). A batch entry has its own gradients of the weights.
// Shapes: x (B, T, I); targets, logits (B, T, O); h, c (B, I, O, N); back (B, O, M);
// W (2 + M + N, 4 N); out (N + 1), its bias last; kept (B, T, 2, I, O, N).
#include "vsml.h"

namespace {

template <int D> struct Forward : Grid<D> {    // x: ..., h, c, h_T, c_T, back_T
    using G = Grid<D>;
    using G::L, G::n, G::I, G::O, G::cells, G::row;
    Space h{cells * row}, c{cells * row}, z{CELLS * 4 * row}, tanh_c{CELLS * row},
        sums{O * row}, logits{O + L};

    Forward(const Array* x, const Size* size) : G(x, size) {}

    template <int P> INLINE void walk(Int p)
    {
        real *h = this->h + p * row, *c = this->c + p * row;
        for (Int k = 0; k < this->ticks; k++)
            this->template think<P>(p, h, c, z, tanh_c, h, c);
        for (int i = 0; i < P; i++) {
            real* sum = sums + this->column_of[p + i] * row;
            for (Int j = 0; j < row; j += L)
                store(sum + j, load<L>(sum + j) + load<L>(h + i * row + j));
        }
    }

    void answer(real* to)
    {
        for (Int b = 0; b < O; b++)
            logits[b] = dot<L>(this->out, sums + b * row, n.K) / I + *this->out_bias;
        for (Int b = 0; b < O; b += L)
            store(to + b, O - b, MOST * hyperbolic_tangent(load<L>(logits + b) / MOST));
    }

    void keep(real* h_to, real* c_to)
    {
        this->unpad(h, cells, h_to);
        this->unpad(c, cells, c_to);
    }

    void run(Sequence s)
    {
        this->pad(s.rows(8)[0], cells, h);
        this->pad(s.rows(9)[0], cells, c);
        for (Int t = 0; t < n.T; t++) {
            if (s.x[6].data) keep(s.rows(6)[t], s.rows(6)[t] + cells * n.K);
            this->hear(s, t);
            clear(sums, O * row);
            cut<CELLS>(0, cells, [&](auto P, Int p) { walk<P.value>(p); });
            answer(s.rows(7)[t]);
        }
        this->send(s, n.T);
        keep(s.rows(10)[0], s.rows(11)[0]);
        copy(this->back, O * this->M, s.rows(12)[0]);
    }
};

// x: ..., dlogits, dh_T, dc_T, dback_T, dx, dtargets, dh, dc, dback, dW, dout
template <int D> struct Backward : Grid<D> {
    using G = Grid<D>;
    using G::L, G::n, G::I, G::O, G::M, G::ticks, G::cells, G::row, G::gates, G::back;
    Int some = CELLS * row;
    Space h{(ticks + 1) * some}, c{(ticks + 1) * some}, tanh_c{ticks * some},
        z{4 * ticks * some}, R_T{gates * row}, dh{cells * row}, dc{cells * row},
        sums_a{I * gates}, sums_b{O * gates}, dW{this->rows * gates}, dout{row},
        d{O}, dback{O * M};
    real dout_bias;

    Backward(const Array* x, const Size* size) : G(x, size)
    {
        for (Int u = 0; u < n.K; u++)
            for (Int j = 0; j < gates; j++) R_T[j * row + u] = this->R[u * gates + j];
    }

    template <int P> INLINE void again(Int p, const real* kept)
    {
        const Int size = P * n.K_row;
        this->pad(kept + p * n.K, P, h);
        this->pad(kept + (cells + p) * n.K, P, c);
        for (Int k = 0; k < ticks; k++)
            this->template think<P>(p, h + k * size, c + k * size, z + 4 * k * size,
                                    tanh_c + k * size, h + (k + 1) * size,
                                    c + (k + 1) * size);
    }

    template <int P> INLINE void answered(Int p)
    {
        const real *h = this->h + ticks * P * row, *out = this->out;
        real *dh = this->dh + p * row, *dout = this->dout;
        for (int i = 0; i < P; i++, h += row, dh += row) {
            const real part = d[this->column_of[p + i]] / I;
            this->add(part, out, row, dh);
            this->add(part, h, row, dout);
        }
    }

    template <int P> INLINE void undo(Int p)
    {
        const Int size = P * row;
        for (Int k = ticks - 1; k >= 0; k--)
            G::template undo<P>(c + k * size, z + 4 * k * size, tanh_c + k * size, R_T,
                                dh + p * row, dc + p * row);
    }

    template <int P> INLINE void gather(Int p)  // dz of all ticks into s_a and s_b
    {
        for (int i = 0; i < P; i++) {
            const Int step = 4 * n.K_row;
            const real* z = this->z + i * step;
            real *a = sums_a + this->row_of[p + i] * step,
                 *b = sums_b + this->column_of[p + i] * step;
            for (Int j = 0; j < step; j += L) {
                Vec<L> sum = {};
                for (Int k = 0; k < ticks; k++) sum += load<L>(z + k * P * step + j);
                store(a + j, load<L>(a + j) + sum);
                store(b + j, load<L>(b + j) + sum);
            }
        }
    }

    APART void gather_R(Int all)               // dz ⊗ h of all cells and ticks into dR
    {
        const Int row = n.K_row, step = 4 * row;
        const real *h = this->h, *z = this->z;
        for (Int j = 0; j < row; j += L)
            cut<CELLS>(0, n.K, [&](auto U, Int u) {
                real* dR = dW + (2 + M + u) * step + j;
                Vec<L> sum[U.value][4];
                UNROLLED for (Int r = 0; r < U.value; r++)
                    UNROLLED for (Int g = 0; g < 4; g++)
                        sum[r][g] = load<L>(dR + r * step + g * row);
                for (Int i = 0; i < all; i++)
                    UNROLLED for (Int g = 0; g < 4; g++) {
                        const Vec<L> dz = load<L>(z + i * step + g * row + j);
                        UNROLLED for (Int r = 0; r < U.value; r++)
                            sum[r][g] += h[i * row + u + r] * dz;
                    }
                UNROLLED for (Int r = 0; r < U.value; r++)
                    UNROLLED for (Int g = 0; g < 4; g++)
                        store(dR + r * step + g * row, sum[r][g]);
            });
    }

    void sent(Sequence s, Int t)               // d of example t, from what it sent back
    {
        const real *logits = s.rows(7)[t], *dlogits = s.rows(8)[t], *told = this->told;
        real *p = this->chance, *dtargets = s.rows(13)[t], mean = 0, all = 0;
        softmax<L>(logits, O, p);
        for (Int b = 0; b < O; b++) mean += p[b] * told[0] * dback[b * M];
        for (Int b = 0; b < O; b++) {
            const real e = told[0] * dback[b * M], y = logits[b] / MOST;
            dtargets[b] = (told[1] ? told[1] * dback[b * M + 1] : 0) - e;
            d[b] = ((dlogits ? dlogits[b] : 0) + p[b] * (e - mean)) * (1 - y * y);
            all += d[b];
        }
        dout_bias += all;
    }

    void heard(const real* x, real* dx)
    {
        for (Int a = 0; a < I; a++) {
            const real* s = sums_a + a * gates;
            dx[a] = this->with(this->A, s);
            this->add(1, s, gates, dW);
            this->add(x[a], s, gates, dW + gates);
        }
        for (Int i = 0; i < O * M; i++) {
            const Int b = i / M, m = i % M;
            const real* s = sums_b + b * gates;
            dback[i] = this->with(this->C + m * gates, s);
            this->add(back[i], s, gates, dW + (2 + m) * gates);
        }
    }

    void start(Sequence s)
    {
        dout_bias = 0;
        clear(dout, row);
        clear(dW, this->rows * gates);
        this->pad(s.rows(9)[0], cells, dh);
        this->pad(s.rows(10)[0], cells, dc);
        const real* end = s.rows(11)[0];
        end ? copy(end, O * M, dback) : clear(dback, O * M);
    }

    void run(Sequence s)
    {
        start(s);
        for (Int t = n.T - 1; t >= 0; t--) {
            sent(s, t);
            this->hear(s, t);
            clear(sums_a, I * gates);
            clear(sums_b, O * gates);
            cut<CELLS>(0, cells, [&](auto P, Int p) {
                again<P.value>(p, s.rows(6)[t]);
                answered<P.value>(p);
                undo<P.value>(p);
                gather<P.value>(p);
                gather_R(ticks * P.value);
            });
            heard(s.rows(0)[t], s.rows(12)[t]);
        }
        this->unpad(dh, cells, s.rows(14)[0]);
        this->unpad(dc, cells, s.rows(15)[0]);
        copy(dback, O * M, s.rows(16)[0]);
        this->unpad(dW, 4 * this->rows, s.rows(17)[0]);
        this->unpad(dout, 1, s.rows(18)[0]);
        s.rows(18)[0][n.K] = dout_bias;
    }
};

}  // namespace

extern "C" void forward(const Array* x, const Size* size, Int first, Int last)
{
    with_state(size, [=](auto D) {
        Forward<D.value> walk(x, size);
        for_each(x, size->H, first, last, [&](Sequence s) { walk.run(s); });
    });
}

extern "C" void backward(const Array* x, const Size* size, Int first, Int last)
{
    with_state(size, [=](auto D) {
        Backward<D.value> walk(x, size);
        for_each(x, size->H, first, last, [&](Sequence s) { walk.run(s); });
    });
}
