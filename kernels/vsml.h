// A grid of VSML cells, and what they hear and do: what forward and backward share.
//
// x, targets, back, W, out, told, kept and logits are Array 0 to 7 of both. told brings
// O, M and ticks in place of strides; K of Size is N, and V is I O N.
//
// A state is N numbers, padded with zeros to whole vectors, and gates are four of them.
// What is computed in the padding may be NaN: no sum goes over it.
#pragma once
#include "functions.h"
#include "recurrent.h"

#define APART __attribute__((noinline))        // nobody else's numbers in its registers

namespace {

constexpr int CELLS = ROWS / 4;                // at once: their gates fill the registers
constexpr real MOST = 100;                     // of a logit

void clear(real* x, Int n) { std::fill_n(x, n, real(0)); }

template <class F> void with_state(const Size* size, F&& run)
{
    if (size->K == 16) return run(Number<16>{});
    run(Number<0>{});
}

template <int D> struct Grid {
    static constexpr int L = Sizes<D>::L;
    Sizes<D> n;
    const real *told, *out_bias;
    Int O, M, ticks, I, cells = I * O, row = n.K_row, gates = 4 * row;
    Int rows = 2 + M + n.K;                    // of W: bias, A, C, R
    std::vector<Int> row_of, column_of;        // where a cell is
    Space W{rows * gates}, out{row}, heard_a{I * gates}, heard_b{O * gates}, back{O * M},
        chance{O + L};
    real *A = W + gates, *C = A + gates, *R = C + M * gates;

    Grid(const Array* x, const Size* size)
        : n(size), told(x[5].data), out_bias(x[4].data + n.K), O(x[5].b), M(x[5].t),
          ticks(x[5].h), I(size->V / n.K / O)
    {
        for (Int a = 0; a < I; a++)
            for (Int b = 0; b < O; b++) row_of.push_back(a), column_of.push_back(b);
        pad(x[3].data, 4 * rows, W);
        pad(x[4].data, 1, out);
    }

    void pad(const real* from, Int states, real* to) const  // zeros if there are none
    {
        if (!from) clear(to, states * n.K_row);
        else if (n.K == n.K_row) copy(from, states * n.K, to);
        else copy({(real*)from, n.K, 1}, states, n.K, to, n.K_row);
    }

    void unpad(const real* from, Int states, real* to) const
    {
        if (n.K == n.K_row) copy(from, states * n.K, to);
        else copy(from, n.K_row, states, n.K, {to, n.K, 1});
    }

    INLINE void add(real s, const real* x, Int n, real* to) const
    {
        for (Int j = 0; j < n; j += L)
            store(to + j, load<L>(to + j) + s * load<L>(x + j));
    }

    real with(const real* x, const real* y) const  // x . y for gates
    {
        real sum = 0;
        for (int g = 0; g < 4; g++, x += row, y += row) sum += dot<L>(x, y, n.K);
        return sum;
    }

    void send(Sequence s, Int t)               // back = what comes back with example t
    {
        if (t == 0) return copy(s.rows(2)[0], O * M, back);
        const real* target = s.rows(1)[t - 1];
        softmax<L>(s.rows(7)[t - 1], O, chance);
        clear(back, O * M);
        for (Int b = 0; b < O; b++) {
            back[b * M] = told[0] * (chance[b] - target[b]);
            if (told[1]) back[b * M + 1] = told[1] * target[b];
        }
    }

    void hear(Sequence s, Int t)               // all rows and columns, example t
    {
        send(s, t);
        const real* x = s.rows(0)[t];
        for (Int j = 0; j < gates; j += L) {
            for (Int a = 0; a < I; a++)
                store(heard_a + a * gates + j, load<L>(W + j) + x[a] * load<L>(A + j));
            for (Int b = 0; b < O; b++) {
                Vec<L> sum = {};
                for (Int m = 0; m < M; m++)
                    sum += back[b * M + m] * load<L>(C + m * gates + j);
                store(heard_b + b * gates + j, sum);
            }
        }
    }

    // One tick of P cells from p on. In z, the gates.
    template <int P>
    INLINE void think(Int p, const real* h, const real* c, real* z, real* tanh_c,
                      real* next_h, real* next_c)
    {
        add_up<P>(p, h, z);
        change(P, c, z, tanh_c, next_h, next_c);
    }

    template <int P> APART void add_up(Int p, const real* h, real* z)
    {
        const Int row = n.K_row, step = 4 * row;
        const real *R = this->R, *from_a[P], *from_b[P];
        for (int i = 0; i < P; i++) {
            from_a[i] = heard_a + row_of[p + i] * step;
            from_b[i] = heard_b + column_of[p + i] * step;
        }
        for (Int j = 0; j < row; j += L) {
            Vec<L> sum[P][4];
            UNROLLED for (int i = 0; i < P; i++)
                UNROLLED for (Int g = 0; g < 4; g++)
                    sum[i][g] = load<L>(from_a[i] + g * row + j)
                                + load<L>(from_b[i] + g * row + j);
            for (Int u = 0; u < n.K; u++)
                UNROLLED for (Int g = 0; g < 4; g++) {
                    const Vec<L> r = load<L>(R + u * step + g * row + j);
                    UNROLLED for (int i = 0; i < P; i++) sum[i][g] += h[i * row + u] * r;
                }
            UNROLLED for (int i = 0; i < P; i++)
                UNROLLED for (Int g = 0; g < 4; g++)
                    store(z + i * step + g * row + j, sum[i][g]);
        }
    }

    // Three times over all cells: a processor then has many short chains to work on.
    APART void change(Int P, const real* c, real* z, real* tanh_c, real* next_h,
                      real* next_c) const
    {
        const Int row = n.K_row, size = P * row;
        for (Int i = 0; i < 4 * size; i += 4 * row)
            for (Int j = i; j < i + row; j += L)
                UNROLLED for (int g = 0; g < 4; g++) {
                    real* at = z + g * row + j;
                    const Vec<L> x = load<L>(at);
                    store(at, g == 2 ? hyperbolic_tangent(x) : logistic(x));
                }
        for (Int i = 0; i < size; i += row)
            for (Int j = i; j < i + row; j += L) {
                const real* at = z + 3 * i + j;
                store(next_c + j, load<L>(at + row) * load<L>(c + j)
                                      + load<L>(at) * load<L>(at + 2 * row));
            }
        for (Int i = 0; i < size; i += row)
            for (Int j = i; j < i + row; j += L) {
                const Vec<L> y = hyperbolic_tangent(load<L>(next_c + j));
                store(tanh_c + j, y);
                store(next_h + j, load<L>(z + 3 * (i + row) + j) * y);
            }
    }

    // Back through a tick. In z, the gates; then dz.
    template <int P>
    INLINE void undo(const real* c, real* z, const real* tanh_c, const real* R_T,
                     real* dh, real* dc) const
    {
        undo_change(P, c, z, tanh_c, dh, dc);
        undo_add_up<P>(z, R_T, dh);
    }

    APART void undo_change(Int P, const real* c, real* z, const real* tanh_c,
                           const real* dh, real* dc) const
    {
        const Int row = n.K_row;
        for (Int i = 0; i < P * row; i += row)
            for (Int j = i; j < i + row; j += L) {
                real* at = z + 3 * i + j;
                const Vec<L> in = load<L>(at), keep = load<L>(at + row),
                             g = load<L>(at + 2 * row), out = load<L>(at + 3 * row),
                             y = load<L>(tanh_c + j), dy = load<L>(dh + j),
                             dx = load<L>(dc + j) + dy * out * (1 - y * y);
                store(at, dx * g * (1 - in) * in);
                store(at + row, dx * load<L>(c + j) * (1 - keep) * keep);
                store(at + 2 * row, dx * in * (1 - g * g));
                store(at + 3 * row, dy * y * (1 - out) * out);
                store(dc + j, dx * keep);
            }
    }

    template <int P>
    APART void undo_add_up(const real* z, const real* R_T, real* dh) const
    {
        const Int row = n.K_row, step = 4 * row;
        for (Int j = 0; j < row; j += L) {
            Vec<L> sum[P][4] = {};
            for (Int u = 0; u < n.K; u++)
                UNROLLED for (Int g = 0; g < 4; g++) {
                    const Vec<L> r = load<L>(R_T + (g * row + u) * row + j);
                    UNROLLED for (int i = 0; i < P; i++)
                        sum[i][g] += z[i * step + g * row + u] * r;
                }
            UNROLLED for (int i = 0; i < P; i++) store(dh + i * row + j, total(sum[i]));
        }
    }
};

}  // namespace
