// A layer of VSML cells that learns online, forward and backward.
// Reference: srwm_lite/vsml_learner.py
//
//     z = heard_a + heard_b + R h_ab               four gates i, f, g, o, `ticks` times
//     c_ab = sigmoid(f) c_ab + sigmoid(i) tanh(g)
//     h_ab = sigmoid(o) tanh(c_ab)
//     logits_b = 100 tanh((out . mean_a h_ab + out_bias) / 100)
//     back_b = told_0 (softmax(logits)_b - target_b), told_1 target_b, 0, ...
//
// What a cell hears does not change while it thinks, and is a sum of what its row and
// its column hear: heard_a = bias + A x_a and heard_b = C back_b, the back of the example
// before. A few cells are taken at once, and their gates stay in registers.
//
// Backward, h and c before each example are kept, and its ticks are computed again. With
// dz = dL/dz, the sums of dz over ticks in a row and in a column give all that belongs
// to messages; only R needs h of every cell and tick.
//
// Memory is O(T I O N). Every batch entry has its own gradients of the weights.
//
// Shapes: x (B, T, I), targets and logits (B, T, O), h and c (B, I, O, N), back (B, O, M),
// W (2 + M + N, 4 N) with rows bias, A, C, R; out (N + 1) with the bias last;
// kept (B, T, 2, I, O, N). K of Size is N, V is I O N; told brings O, M and ticks.
#include "functions.h"
#include "recurrent.h"

namespace {

constexpr int CELLS = ROWS / 4;                // at once
constexpr real MOST = 100;                     // of a logit

// x: x, targets, back, W, out, told, kept, logits, then what only one of them needs
template <int D> struct Grid {
    static constexpr int L = Sizes<D>::L;
    Sizes<D> n;
    const Array* x;
    Int O = x[5].b, M = x[5].t, ticks = x[5].h, I, cells, N_row = n.K_row,
        gates = 4 * N_row;
    std::vector<Int> row_of, column_of;        // of a cell
    Space W{(2 + M + n.K) * gates}, out{N_row}, heard_x, heard_e{O * gates},
        back{O * M}, p{O + L};
    real *A = W + gates, *C = A + gates, *R = C + M * gates;
    const real* told = x[5].data;

    Grid(const Array* x_, const Size* size)
        : n(size), x(x_), I(size->V / size->K / x_[5].b), cells(I * O),
          heard_x(I * gates)
    {
        for (Int a = 0; a < I; a++)
            for (Int b = 0; b < O; b++) row_of.push_back(a), column_of.push_back(b);
        each_weight([&](Int i, Int padded) { W[padded] = x[3].data[i]; });
        copy(x[4].data, n.K, out);
    }

    template <class F> void each_weight(F&& use) const  // use(place, place among zeros)
    {
        for (Int i = 0; i < (2 + M + n.K) * 4; i++)
            for (Int j = 0; j < n.K; j++) use(i * n.K + j, i * N_row + j);
    }

    void pad(const real* from, Int rows, real* to) const  // states, or zeros for none
    {
        if (!from) std::fill_n(to, rows * n.K_row, real(0));
        else if (n.K == n.K_row) copy(from, rows * n.K, to);
        else copy({(real*)from, n.K, 1}, rows, n.K, to, n.K_row);
    }

    void unpad(const real* from, Int rows, real* to) const
    {
        if (n.K == n.K_row) copy(from, rows * n.K, to);
        else copy(from, n.K_row, rows, n.K, {to, n.K, 1});
    }

    void send(Sequence s, Int t)               // what comes back with example t
    {
        if (t == 0) return copy(s.rows(2)[0], O * M, back);
        const real* target = s.rows(1)[t - 1];
        softmax<L>(s.rows(7)[t - 1], O, p);
        std::fill_n((real*)back, O * M, real(0));
        for (Int b = 0; b < O; b++) {
            back[b * M] = told[0] * (p[b] - target[b]);
            if (told[1]) back[b * M + 1] = told[1] * target[b];
        }
    }

    void hear(Sequence s, Int t)
    {
        send(s, t);
        const real* x_t = s.rows(0)[t];
        for (Int j = 0; j < gates; j += L) {
            const Vec<L> bias = load<L>(W + j), A_j = load<L>(A + j);
            for (Int a = 0; a < I; a++) store(heard_x + a * gates + j, bias + x_t[a] * A_j);
            for (Int b = 0; b < O; b++) {
                Vec<L> sum = {};
                for (Int m = 0; m < M; m++)
                    sum += back[b * M + m] * load<L>(C + m * gates + j);
                store(heard_e + b * gates + j, sum);
            }
        }
    }

    template <int P, class F>                  // use(cell, place, z) for P cells from p on
    INLINE void think(Int p, const real* h, F&& use)
    {
        const Int row = n.K_row, step = 4 * row;
        const real *R = this->R, *rows[P], *columns[P];
        for (int i = 0; i < P; i++) {
            rows[i] = heard_x + row_of[p + i] * step;
            columns[i] = heard_e + column_of[p + i] * step;
        }
        for (Int j = 0; j < row; j += L) {
            Vec<L> z[P][4];
            UNROLLED for (int i = 0; i < P; i++)
                UNROLLED for (int g = 0; g < 4; g++)
                    z[i][g] = load<L>(rows[i] + g * row + j)
                              + load<L>(columns[i] + g * row + j);
            for (Int u = 0; u < n.K; u++)
                UNROLLED for (int g = 0; g < 4; g++) {
                    const Vec<L> w = load<L>(R + u * step + g * row + j);
                    UNROLLED for (int i = 0; i < P; i++) z[i][g] += h[i * row + u] * w;
                }
            UNROLLED for (int i = 0; i < P; i++) use(i, j, z[i]);
        }
    }
};

template <int D> struct Forward : Grid<D> {    // x: ..., h, c, h_T, c_T, back_T
    using G = Grid<D>;
    using G::L, G::n, G::I, G::O, G::cells;
    Space h{cells * n.K_row}, c{cells * n.K_row}, next{CELLS * n.K_row},
        sums{O * n.K_row}, z{O + L};

    Forward(const Array* x, const Size* size) : G(x, size) {}

    template <int P> INLINE void tick(Int p)
    {
        const Int row = n.K_row;
        real *h = this->h + p * row, *c = this->c + p * row, *next = this->next;
        for (Int k = 0; k < this->ticks; k++) {
            this->template think<P>(p, h, [=](int i, Int j, const Vec<L>* z) {
                const Int at = i * row + j;
                const Vec<L> x = logistic(z[1]) * load<L>(c + at)
                                 + logistic(z[0]) * hyperbolic_tangent(z[2]);
                store(c + at, x);
                store(next + at, logistic(z[3]) * hyperbolic_tangent(x));
            });
            copy(next, P * row, h);
        }
        for (int i = 0; i < P; i++) {
            real* sum = sums + this->column_of[p + i] * row;
            for (Int j = 0; j < row; j += L)
                store(sum + j, load<L>(sum + j) + load<L>(h + i * row + j));
        }
    }

    void keep(real* to)
    {
        if (!to) return;
        this->unpad(h, cells, to);
        this->unpad(c, cells, to + cells * n.K);
    }

    void answer(real* logits)
    {
        for (Int b = 0; b < O; b++)
            z[b] = (dot<L>(this->out, sums + b * n.K_row, n.K) / I + this->x[4].data[n.K])
                   / MOST;
        for (Int b = 0; b < O; b += L)
            store(logits + b, O - b, MOST * hyperbolic_tangent(load<L>(z + b)));
    }

    void run(Sequence s)
    {
        this->pad(s.rows(8)[0], cells, h);
        this->pad(s.rows(9)[0], cells, c);
        for (Int t = 0; t < n.T; t++) {
            keep(s.x[6].data ? s.rows(6)[t] : nullptr);
            this->hear(s, t);
            std::fill_n((real*)sums, O * n.K_row, real(0));
            cut<CELLS>(0, cells, [&](auto P, Int p) { tick<P.value>(p); });
            answer(s.rows(7)[t]);
        }
        this->send(s, n.T);
        this->unpad(h, cells, s.rows(10)[0]);
        this->unpad(c, cells, s.rows(11)[0]);
        copy(this->back, O * this->M, s.rows(12)[0]);
    }
};

// x: ..., dlogits, dh_T, dc_T, dback_T, dx, dtargets, dh, dc, dback, dW, dout
template <int D> struct Backward : Grid<D> {
    using G = Grid<D>;
    using G::L, G::n, G::I, G::O, G::M, G::cells, G::gates;
    Int some = CELLS * n.K_row;                // numbers of the cells taken at once
    Space h{(this->ticks + 1) * some}, c{(this->ticks + 1) * some}, tanh_c{this->ticks * some},
        z{4 * this->ticks * some}, R_rows{gates * n.K_row}, dh{cells * n.K_row},
        dc{cells * n.K_row}, row_sums{I * gates}, column_sums{O * gates},
        dW{(2 + M + n.K) * gates}, dout{n.K_row}, dout_bias{1}, dlogits{O + L}, dback{O * M};

    Backward(const Array* x, const Size* size) : G(x, size)
    {
        for (Int u = 0; u < n.K; u++)
            for (Int j = 0; j < gates; j++) R_rows[j * n.K_row + u] = this->R[u * gates + j];
    }

    template <int P> INLINE void again(Int p, const real* kept)
    {
        const Int row = n.K_row, size = P * row;
        real *h = this->h, *c = this->c, *z = this->z, *tanh_c = this->tanh_c;
        this->pad(kept + p * n.K, P, h);
        this->pad(kept + (cells + p) * n.K, P, c);
        for (Int k = 0; k < this->ticks; k++, h += size, c += size, tanh_c += size, z += 4 * size)
            this->template think<P>(p, h, [=](int i, Int j, const Vec<L>* x) {
                const Vec<L> in = logistic(x[0]), keep = logistic(x[1]),
                             g = hyperbolic_tangent(x[2]), out = logistic(x[3]);
                const Int at = i * row + j;
                const Vec<L> next = keep * load<L>(c + at) + in * g,
                             y = hyperbolic_tangent(next);
                real* to = z + 4 * i * row + j;
                store(to, in), store(to + row, keep), store(to + 2 * row, g);
                store(to + 3 * row, out);
                store(tanh_c + at, y);
                store(c + size + at, next);
                store(h + size + at, out * y);
            });
    }

    template <int P> INLINE void answered(Int p)  // what the answer sends into h
    {
        const Int row = n.K_row;
        const real *h = this->h + this->ticks * P * row, *out = this->out;
        real *dh = this->dh + p * row, *dout = this->dout;
        for (int i = 0; i < P; i++) {
            const real d = dlogits[this->column_of[p + i]] / I;
            for (Int j = 0; j < row; j += L) {
                store(dh + i * row + j, load<L>(dh + i * row + j) + d * load<L>(out + j));
                store(dout + j, load<L>(dout + j) + d * load<L>(h + i * row + j));
            }
        }
    }

    template <int P> INLINE void tick(Int p, Int k)
    {
        const Int row = n.K_row, size = P * row;
        const real *c = this->c + k * size, *tanh_c = this->tanh_c + k * size,
                   *R = this->R_rows;
        real *z = this->z + 4 * k * size, *dh = this->dh + p * row, *dc = this->dc + p * row;
        for (int i = 0; i < P; i++)
            for (Int j = 0; j < row; j += L) {
                const Int at = i * row + j;
                real* to = z + 4 * i * row + j;
                const Vec<L> in = load<L>(to), keep = load<L>(to + row),
                             g = load<L>(to + 2 * row), out = load<L>(to + 3 * row),
                             y = load<L>(tanh_c + at), d = load<L>(dh + at);
                const Vec<L> x = load<L>(dc + at) + d * out * (1 - y * y);
                store(to, x * g * (1 - in) * in);
                store(to + row, x * load<L>(c + at) * (1 - keep) * keep);
                store(to + 2 * row, x * in * (1 - g * g));
                store(to + 3 * row, d * y * (1 - out) * out);
                store(dc + at, x * keep);
            }
        for (Int j = 0; j < row; j += L) {
            Vec<L> sum[P][4] = {};
            for (Int u = 0; u < n.K; u++)
                UNROLLED for (int g = 0; g < 4; g++) {
                    const Vec<L> w = load<L>(R + (g * row + u) * row + j);
                    UNROLLED for (int i = 0; i < P; i++)
                        sum[i][g] += z[(4 * i + g) * row + u] * w;
                }
            UNROLLED for (int i = 0; i < P; i++) store(dh + i * row + j, total(sum[i]));
        }
    }

    template <int P> INLINE void gather(Int p)  // dz into sums, and into R with h
    {
        const Int row = n.K_row, size = P * row, step = 4 * row, ticks = this->ticks;
        const real *h = this->h, *z = this->z;
        for (int i = 0; i < P; i++) {
            real* here = row_sums + this->row_of[p + i] * step;
            real* there = column_sums + this->column_of[p + i] * step;
            for (Int j = 0; j < step; j += L) {
                Vec<L> sum = {};
                for (Int k = 0; k < ticks; k++) sum += load<L>(z + 4 * k * size + i * step + j);
                store(here + j, load<L>(here + j) + sum);
                store(there + j, load<L>(there + j) + sum);
            }
        }
        real* dR = dW + (2 + M) * step;
        for (Int j = 0; j < row; j += L)
            cut<CELLS>(0, n.K, [&](auto U, Int u) {
                constexpr int rows = U.value;
                Vec<L> sum[rows][4];
                UNROLLED for (int r = 0; r < rows; r++)
                    UNROLLED for (int g = 0; g < 4; g++)
                        sum[r][g] = load<L>(dR + (u + r) * step + g * row + j);
                for (Int i = 0; i < ticks * P; i++)
                    UNROLLED for (int g = 0; g < 4; g++) {
                        const Vec<L> d = load<L>(z + i * step + g * row + j);
                        UNROLLED for (int r = 0; r < rows; r++)
                            sum[r][g] += h[i * row + u + r] * d;
                    }
                UNROLLED for (int r = 0; r < rows; r++)
                    UNROLLED for (int g = 0; g < 4; g++)
                        store(dR + (u + r) * step + g * row + j, sum[r][g]);
            });
    }

    void sent(Sequence s, Int t)               // through what example t sends back
    {
        const real *logits = s.rows(7)[t], *d = s.rows(8)[t], *told = this->told;
        real *p = this->p, *dtargets = s.rows(13)[t];
        softmax<L>(logits, O, p);
        real mean = 0;
        for (Int b = 0; b < O; b++) mean += p[b] * (told[0] * dback[b * M]);
        for (Int b = 0; b < O; b++) {
            const real e = told[0] * dback[b * M], y = logits[b] / MOST;
            dtargets[b] = (told[1] ? told[1] * dback[b * M + 1] : 0) - e;
            dlogits[b] = ((d ? d[b] : 0) + p[b] * (e - mean)) * (1 - y * y);
            dout_bias[0] += dlogits[b];
        }
    }

    real with(const real* w, const real* sums) const  // real numbers only
    {
        real sum = 0;
        for (int g = 0; g < 4; g++) sum += dot<L>(w + g * n.K_row, sums + g * n.K_row, n.K);
        return sum;
    }

    void add(real s, const real* sums, real* to) const
    {
        for (Int j = 0; j < gates; j += L) store(to + j, load<L>(to + j) + s * load<L>(sums + j));
    }

    void heard(Sequence s, Int t)              // through the messages of example t
    {
        const real* x = s.rows(0)[t];
        real* dx = s.rows(12)[t];
        for (Int a = 0; a < I; a++) {
            const real* sums = row_sums + a * gates;
            dx[a] = with(this->A, sums);
            add(1, sums, dW);
            add(x[a], sums, dW + gates);
        }
        for (Int b = 0; b < O; b++)
            for (Int m = 0; m < M; m++) {
                const real* sums = column_sums + b * gates;
                dback[b * M + m] = with(this->C + m * gates, sums);
                add(this->back[b * M + m], sums, dW + (2 + m) * gates);
            }
    }

    void start(Sequence s)                     // gradients of what comes out at the end
    {
        const real* d = s.rows(11)[0];
        this->pad(s.rows(9)[0], cells, dh);
        this->pad(s.rows(10)[0], cells, dc);
        std::fill_n((real*)dback, O * M, real(0));
        if (d) copy(d, O * M, dback);
        std::fill_n((real*)dW, (2 + M + n.K) * gates, real(0));
        std::fill_n((real*)dout, n.K_row, real(0));
        dout_bias[0] = 0;
    }

    void run(Sequence s)
    {
        start(s);
        for (Int t = n.T - 1; t >= 0; t--) {
            sent(s, t);
            this->hear(s, t);
            std::fill_n((real*)row_sums, I * gates, real(0));
            std::fill_n((real*)column_sums, O * gates, real(0));
            cut<CELLS>(0, cells, [&](auto P, Int p) {
                again<P.value>(p, s.rows(6)[t]);
                answered<P.value>(p);
                for (Int k = this->ticks - 1; k >= 0; k--) tick<P.value>(p, k);
                gather<P.value>(p);
            });
            heard(s, t);
        }
        this->unpad(dh, cells, s.rows(14)[0]);
        this->unpad(dc, cells, s.rows(15)[0]);
        copy(dback, O * M, s.rows(16)[0]);
        real *to = s.rows(17)[0], *to_out = s.rows(18)[0];
        this->each_weight([&](Int i, Int padded) { to[i] = dW[padded]; });
        copy(dout, n.K, to_out);
        to_out[n.K] = dout_bias[0];
    }
};

}  // namespace

template <class F> static void with_state(const Size* size, F&& run)
{
    if (size->K == 16) return run(Number<16>{});
    run(Number<0>{});
}

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
