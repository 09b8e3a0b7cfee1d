// Self-referential matrix, forward and backward.  Reference: srwm_lite/self_reference.py
//
//     y | q | k | b = W u                    four blocks of rows
//     q = softmax(q)  k = softmax(k)  b = sigmoid(b)
//     w = live b W (q - k)                   each row with the b of its block
//     W = W + w ⊗ k
//
// One block per batch element and head; the matrix never leaves the registers. Forward,
// a thread owns a row. The threads meet twice a step: all of W u must be there to find
// q and k, and these to go on. Backward, from the end, with G = dL/dW, z = dL/d(W u):
//
//     W -= w ⊗ k                             the matrix that the step read
//     s = G k;  e = live b s;  db = (1 - b) (s . w)        in each block
//     dq = Wᵀ e;  dk = Gᵀ w - dq;  z from dy, dq, dk and db
//     du = Wᵀ z;  G += z ⊗ u + e ⊗ (q - k)
//
// Rows and columns are both summed, so a thread owns a tile of W and the same of G:
// WIDE columns that are its warp's alone, in every 32nd row. A sum over rows stays in
// the warp; one over columns goes through shared memory. The threads meet three times.
//
// W is walked back by what was written, as it was kept: W (q - k) again would divide by
// 1 + b (q - k) . k. In float32 that is harmless while W keeps its size: in 4096 steps
// dW errs by about 1e-5 with or without help (K = V = 16). But frozen keys can make W
// grow; 1e3-fold in 600 steps, dW errs by 1e-4, 1e9-fold, by 100 times its size. So W is
// kept after every 64 steps, and the walk begins again there: below 1e-5, as if every 8.
// That is K ROWS / 64 numbers a step, 13 beside the 88 of `used` for K = V = 16, 196
// beside 328 for 64. All sums have one order: no atomics, and the same bits each time.
//
// Compile-time constants: real (float or double), K, V (sizes of input and output).
// Shapes, contiguous: u, du [B T H K]; y, dy [B T H V]; W, W_T, dW, dW_T [B H ROWS K];
// live [4]; used holds [w; q; k; b], [B T H USED]; kept holds the matrix after every
// `every` steps but the last, by columns, [B H (T - 1) / every K ROWS].
// May be null: dy, dW_T (nobody used y, W_T). Grid: B * H. Block: FORWARD or BACKWARD.

typedef long long Int;
constexpr int ROWS = V + 2 * K + 4;                          // of W: y | q | k | b
constexpr int USED = ROWS + 2 * K + 4;                       // w | q | k | b
constexpr int STEP = USED + K + V;                           // and u | dy
constexpr int WIDE = 4, TALL = (ROWS + 31) / 32;             // a tile
constexpr int WARPS = (K + WIDE - 1) / WIDE;
constexpr int FORWARD = 32 * TALL, BACKWARD = 32 * WARPS;
constexpr int EACH = (STEP + BACKWARD - 1) / BACKWARD;       // fetched early by a thread

// Where the blocks y, q, k and b begin and the last ends; which one has a row.
__device__ int begin(int i) { return i == 0 ? 0 : i < 4 ? V + (i - 1) * K : ROWS; }
__device__ int block_of(int r) { return (r >= V) + (r >= V + K) + (r >= V + 2 * K); }

// Two sums, or two maxima, over a warp, side by side.
struct Two { real q, k; };
__device__ real sum(real a, real b) { return a + b; }
__device__ real larger(real a, real b) { return a > b ? a : b; }

template <real join(real, real)> __device__ Two over_warp(Two x)
{
    for (int far = 16; far > 0; far /= 2)
        x = {join(x.q, __shfl_xor_sync(~0u, x.q, far)),
             join(x.k, __shfl_xor_sync(~0u, x.k, far))};
    return x;
}

// One warp makes q, k and b out of W u. A lane touches its own numbers only, for a
// shuffle is no barrier.
__device__ void make(real* a, const real* live, real* d, real* k, real* b, real* qkb)
{
    const int lane = threadIdx.x;
    Two top = {-1 / real(0), -1 / real(0)}, all = {0, 0};    // NVRTC knows no INFINITY
    for (int j = lane; j < K; j += 32)
        top = {larger(a[j], top.q), larger(a[K + j], top.k)};
    top = over_warp<larger>(top);
    for (int j = lane; j < K; j += 32) {
        all.q += a[j] = exp(a[j] - top.q);
        all.k += a[K + j] = exp(a[K + j] - top.k);
    }
    all = over_warp<sum>(all);
    for (int j = lane; j < K; j += 32) {
        const real q = qkb[j] = a[j] / all.q;
        k[j] = qkb[K + j] = a[K + j] / all.k;
        d[j] = q - k[j];
    }
    if (lane >= 4) return;
    qkb[2 * K + lane] = 1 / (1 + exp(-a[2 * K + lane]));
    b[lane] = live[lane] * qkb[2 * K + lane];
}

// What a thread adds to its row, or to a part of one; what it reads from it. Four sums,
// for an addition must wait for the one before.
template <int N> __device__ void write(real* w, real x, const real* k)
{
    #pragma unroll
    for (int j = 0; j < N; j++) w[j] += x * k[j];
}

template <int N> __device__ real read(const real* w, const real* q)
{
    real sum[4] = {0, 0, 0, 0};
    #pragma unroll
    for (int j = 0; j < N; j++) sum[j % 4] += w[j] * q[j];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

extern "C" __global__ void __launch_bounds__(FORWARD) forward(
    const real* u, const real* W, const real* live, real* used, real* kept, real* y,
    real* W_T, int every, int T, int H)
{
    __shared__ real u_s[K], a[2 * K + 4], d[K], k[K], b[4];  // d = q - k, b with live
    const int r = threadIdx.x, block = r < ROWS ? block_of(r) : 0;
    const Int first = (Int)(blockIdx.x / H) * T * H + blockIdx.x % H;
    const Int row = ((Int)blockIdx.x * ROWS + r) * K;
    kept += (Int)blockIdx.x * ((T - 1) / every) * K * ROWS + r;
    real w[K], u_r = 0;
    if (r < ROWS) for (int j = 0; j < K; j++) w[j] = W[row + j];
    if (r < K) u_s[r] = u[first * K + r];
    __syncthreads();
    for (int t = 0; t < T; t++) {
        const Int now = first + (Int)t * H, next = now + H;
        if (r < K && t + 1 < T) u_r = u[next * K + r];
        const real z = r < ROWS ? read<K>(w, u_s) : 0;
        if (r < V) y[now * V + r] = z;
        else if (r < ROWS) a[r - V] = z;
        __syncthreads();                                     // all of a is there
        if (r < 32) make(a, live, d, k, b, used + now * USED + ROWS);
        if (r < K) u_s[r] = u_r;
        __syncthreads();                                     // d, k, b and u are there
        if (r >= ROWS) continue;
        const real x = used[now * USED + r] = b[block] * read<K>(w, d);
        write<K>(w, x, k);
        if ((t + 1) % every == 0 && t + 1 < T)
            for (int j = 0; j < K; j++) kept[((Int)(t / every) * K + j) * ROWS] = w[j];
    }
    if (r < ROWS) for (int j = 0; j < K; j++) W_T[row + j] = w[j];
}

// The columns of a tile: every row, times its number, is added.
__device__ void read_columns(const real w[][WIDE], const real* x, real* sums)
{
    for (int i = 0; i < WIDE; i++) sums[i] = 0;
    for (int m = 0; m < TALL; m++) write<WIDE>(sums, x[m], w[m]);
}

// A thread's part of a vector: one number in `by`, zeros from `end` on.
template <int N> __device__ void part(real* x, const real* all, int at, int by, int end)
{
    for (int i = 0; i < N; i++, at += by) x[i] = at < end ? all[at] : 0;
}

// A thread's tile of a matrix whose rows and columns lie so far apart; or zeros.
__device__ void load(real w[][WIDE], const real* from, int row, int column)
{
    for (int m = 0, r = threadIdx.x % 32; m < TALL; m++, r += 32)
        for (int i = 0, j = threadIdx.x / 32 * WIDE; i < WIDE; i++, j++)
            w[m][i] = from && r < ROWS && j < K ? from[r * row + j * column] : 0;
}

// Sum N numbers over a warp: lane l gets the sum of number l % N. Two lanes share the
// work: each gives one half of its numbers away.
template <int N> __device__ real sum_each(real* x)
{
    for (int half = N / 2; half > 0; half /= 2) {
        const bool upper = threadIdx.x & half;
        for (int i = 0; i < half; i++) {
            const real given = upper ? x[i] : x[i + half];
            x[i] = (upper ? x[i + half] : x[i]) + __shfl_xor_sync(~0u, given, half);
        }
    }
    for (int far = N; far < 32; far *= 2) x[0] += __shfl_xor_sync(~0u, x[0], far);
    return x[0];
}

extern "C" __global__ void __launch_bounds__(BACKWARD) backward(
    const real* u, const real* live, const real* used, const real* kept,
    const real* W_T, const real* dy, const real* dW_T, real* du, real* dW, int every,
    int T, int H)
{
    __shared__ real numbers[2][STEP], parts[WARPS][32 * TALL], e_s[ROWS], sw[ROWS];
    __shared__ real dqkb[2 * K + 4];
    const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
    const int column = warp * WIDE, j = column + lane % WIDE;
    const Int first = (Int)(blockIdx.x / H) * T * H + blockIdx.x % H;
    const Int matrix = (Int)blockIdx.x * ROWS * K;
    kept += matrix * ((T - 1) / every);
    auto number = [=](int n, int t) -> real {                // of those a step needs
        const Int now = first + (Int)t * H;
        if (t < 0 || n >= STEP) return 0;
        if (n < USED) return used[now * USED + n];
        if (n < USED + K) return u[now * K + n - USED];
        return dy ? dy[now * V + n - USED - K] : 0;
    };
    real w[TALL][WIDE], g[TALL][WIDE], ahead[EACH];
    load(w, W_T + matrix, K, 1);
    load(g, dW_T ? dW_T + matrix : 0, K, 1);
    for (int n = thread; n < STEP; n += BACKWARD)
        numbers[(T - 1) % 2][n] = number(n, T - 1);
    __syncthreads();                                         // all numbers are there
    for (int t = T - 1; t >= 0; t--) {
        const real *w_s = numbers[t % 2], *q = w_s + ROWS, *k = q + K, *b = k + K;
        const real *u_s = b + 4, *dy_s = u_s + K;
        real x[TALL], e[TALL], k_i[WIDE], d_i[WIDE], u_i[WIDE], sums[2 * WIDE];
        for (int n = 0; n < EACH; n++) ahead[n] = number(thread + n * BACKWARD, t - 1);
        if ((t + 1) % every == 0 && t + 1 < T)
            load(w, kept + (Int)(t / every) * K * ROWS, 1, ROWS);
        part<TALL>(x, w_s, lane, 32, ROWS);
        part<WIDE>(k_i, k, column, 1, K);
        read_columns(g, x, sums + WIDE);
        for (int m = 0; m < TALL; m++) {
            write<WIDE>(w[m], -x[m], k_i);
            parts[warp][lane + 32 * m] = read<WIDE>(g[m], k_i);
        }
        __syncthreads();                                     // G k is there, in parts
        for (int r = thread; r < ROWS; r += BACKWARD) {
            real s = 0;
            for (int n = 0; n < WARPS; n++) s += parts[n][r];
            e_s[r] = live[block_of(r)] * b[block_of(r)] * s;
            sw[r] = s * w_s[r];
        }
        for (int n = 0, at = thread; n < EACH; n++, at += BACKWARD)
            if (at < STEP) numbers[(t + 1) % 2][at] = ahead[n];
        __syncthreads();                                     // e is there
        part<TALL>(e, e_s, lane, 32, ROWS);
        read_columns(w, e, sums);
        for (int i = 0; i < WIDE; i++) sums[WIDE + i] -= sums[i];    // dq, then dk
        const real dqk = sum_each<2 * WIDE>(sums);
        if (lane < 2 * WIDE && j < K) dqkb[lane / WIDE * K + j] = dqk;
        for (int i = warp; i < 4; i += WARPS) {
            Two db = {0, 0};
            for (int r = begin(i) + lane; r < begin(i + 1); r += 32) db.q += sw[r];
            db = over_warp<sum>(db);
            if (lane == 0) dqkb[2 * K + i] = (1 - b[i]) * db.q;
        }
        __syncthreads();                                     // dq, dk and db are there
        Two dot = {0, 0};
        for (int n = lane; n < K; n += 32)
            dot = {dot.q + q[n] * dqkb[n], dot.k + k[n] * dqkb[K + n]};
        dot = over_warp<sum>(dot);
        part<WIDE>(u_i, u_s, column, 1, K);
        part<WIDE>(d_i, q, column, 1, K);
        for (int i = 0; i < WIDE; i++) d_i[i] -= k_i[i];
        for (int m = 0, r = lane, n = r - V; m < TALL; m++, r += 32, n += 32) {
            x[m] = n < 0 ? dy_s[r] : r < ROWS ? dqkb[n] : 0;         // now z
            if (n >= 0 && n < 2 * K) x[m] = q[n] * (x[m] - (n < K ? dot.q : dot.k));
            write<WIDE>(g[m], x[m], u_i);
            write<WIDE>(g[m], e[m], d_i);
        }
        read_columns(w, x, sums);
        const real du_j = sum_each<WIDE>(sums);
        if (lane < WIDE && j < K) du[(first + (Int)t * H) * K + j] = du_j;
    }
    for (int m = 0, r = lane; m < TALL; m++, r += 32)
        for (int i = 0, j = column; i < WIDE; i++, j++)
            if (r < ROWS && j < K) dW[matrix + r * K + j] = g[m][i];
}
