// Recurrent Delta Net, forward and backward.  Reference: srwm_lite/recurrent_delta.py
//
//     h = tanh(y)                                 what was read a step ago
//     a = x + R h                                 x = [q; k; v; beta], and so R
//     q = softmax(a_q)  k = softmax(a_k)  v = a_v  beta = sigmoid(a_beta)
//     e = v - W k
//     W = W + beta e ⊗ k
//     y = W q
//
// One block per batch element and head. A step needs the whole of the y before, so the
// rows of W are not independent: their threads meet three times a step, four times
// backward. Forward, a thread owns a row of R or a row of W, in its registers; vectors
// go through shared memory. Backward, with G = dL/dW and da = dL/da:
//
//     dy += (1 - h²) Rᵀ da of the step after
//     G += dy ⊗ q;  dq = Wᵀ dy;  de = beta G k;  dk = beta Gᵀ e;  dbeta = (G k) . e
//     G -= de ⊗ k;  W -= beta e ⊗ k;  dk -= Wᵀ de;  da from dq, dk, de and dbeta
//
// A thread owns a row of G, a column of G or a column of W, and a quarter of a column
// of R. No W_t is kept: W is walked back from W_T by what was written. The e of the
// forward are used, for v - W k again would divide by 1 - beta |k|². dR is a sum of
// da ⊗ h in which no step waits for another, and has a kernel of its own. Every sum has
// one order: no atomics, and the same bits each time. Memory answers late, so a step
// asks for the numbers of the next one.
//
// Compile-time constants: real (float or double), K, V (key and value size).
// Shapes, contiguous: x, used, dx [B T H ROWS]; y, dy [B T H V]; R [H ROWS V];
// dR [B H ROWS V]; W, W_T, dW, dW_T [B H V K]; y_0, dy_0 [B H V]; used holds
// [q; k; e; beta].
// May be null: dy (nobody used y), dW_T (nobody used W_T).
// Grid: B * H blocks. Block: FORWARD, BACKWARD or RECURRENT threads.

typedef long long Int;
constexpr int ROWS = 2 * K + V + 1;                          // of R, and numbers in x
constexpr int LONGER = K > V ? K : V;
constexpr int PARTS = 4;                                     // threads a column of R
constexpr int PART = (ROWS + 15) / 32 * 8 + 4;               // in four different banks
constexpr int STEPS = 8;                                     // fetched together, for dR

constexpr int warps(int n) { return (n + 31) / 32 * 32; }
constexpr int larger(int a, int b) { return a > b ? a : b; }
constexpr int FORWARD = larger(64, warps(2 * K + 2 * V));
constexpr int BACKWARD = larger(96, warps(larger(ROWS, PARTS * V)));
constexpr int RECURRENT = warps(ROWS);

// Bring numbers that lie `apart` into a thread's registers, or zeros; put them back.
template <int N> __device__ void load(real* w, const real* from, Int apart)
{
    #pragma unroll
    for (int j = 0; j < N; j++) w[j] = from ? from[j * apart] : 0;
}

template <int N> __device__ void store(const real* w, real* to)
{
    #pragma unroll
    for (int j = 0; j < N; j++) to[j] = w[j];
}

// What a thread adds to its row (or column); what it reads from it. Four sums, for an
// addition must wait for the one before.
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

__device__ real warp_sum(real x)
{
    for (int far = 16; far > 0; far /= 2) x += __shfl_xor_sync(~0u, x, far);
    return x;
}

__device__ real warp_max(real x)
{
    for (int far = 16; far > 0; far /= 2) {
        const real other = __shfl_xor_sync(~0u, x, far);
        x = other > x ? other : x;
    }
    return x;
}

// One warp turns N numbers into their softmax. A lane touches its own numbers only, for
// a shuffle is no barrier.
template <int N> __device__ void softmax(real* a)
{
    const int lane = threadIdx.x % 32;
    real top = -1 / real(0), sum = 0;                        // NVRTC knows no INFINITY
    for (int j = lane; j < N; j += 32) top = a[j] > top ? a[j] : top;
    top = warp_max(top);
    for (int j = lane; j < N; j += 32) sum += a[j] = exp(a[j] - top);
    sum = warp_sum(sum);
    for (int j = lane; j < N; j += 32) a[j] /= sum;
}

// One warp goes back through it: da = p (dp - p . dp).
template <int N>
__device__ void softmax_gradient(const real* p, const real* dp, real* da)
{
    const int lane = threadIdx.x % 32;
    real sum = 0;
    for (int j = lane; j < N; j += 32) sum += p[j] * dp[j];
    sum = warp_sum(sum);
    for (int j = lane; j < N; j += 32) da[j] = p[j] * (dp[j] - sum);
}

extern "C" __global__ void __launch_bounds__(FORWARD) forward(
    const real* x, const real* R, const real* W, const real* y_0, real* used, real* y,
    real* W_T, int T, int H)
{
    __shared__ real a[ROWS], h[V], R_beta[V];                // a, then [q; k; v; beta]
    const int head = blockIdx.x % H, r = threadIdx.x, i = r - (ROWS - 1);
    const bool of_R = i < 0, of_W = !of_R && i < V;          // its first: beta, too
    const Int first = (Int)(blockIdx.x / H) * T * H + head;  // the next: H further
    const Int row = ((Int)blockIdx.x * V + i) * K;
    real w[LONGER], x_r = 0;                                 // row r of R or i of W
    if (of_R) load<V>(w, R + (head * ROWS + r) * V, 1);
    if (r < ROWS) x_r = x[first * ROWS + r];
    if (of_W) load<K>(w, W + row, 1);
    for (int j = r; j < V; j += FORWARD) R_beta[j] = R[(head + 1) * ROWS * V - V + j];
    if (of_W) h[i] = tanh(y_0[(Int)blockIdx.x * V + i]);
    for (int t = 0; t < T; t++) {
        const Int now = first + (Int)t * H, next = now + H;
        __syncthreads();                                     // all of h is there
        if (r < ROWS) {
            const real a_r = x_r + (of_R ? read<V>(w, h) : read<V>(R_beta, h));
            a[r] = of_R ? a_r : 1 / (1 + exp(-a_r));
            if (t + 1 < T) x_r = x[next * ROWS + r];
        }
        __syncthreads();                                     // all of a is there
        if (r < 32) softmax<K>(a);
        else if (r < 64) softmax<K>(a + K);
        __syncthreads();                                     // q and k are there
        if (of_W) {
            const real e = a[2 * K + i] - read<K>(w, a + K);
            write<K>(w, a[ROWS - 1] * e, a + K);
            const real y_i = read<K>(w, a);
            used[now * ROWS + 2 * K + i] = e;
            y[now * V + i] = y_i;
            h[i] = tanh(y_i);
        }
        if (r < 2 * K || r == ROWS - 1) used[now * ROWS + r] = a[r];
    }
    if (of_W) store<K>(w, W_T + row);
}

extern "C" __global__ void __launch_bounds__(BACKWARD) backward(
    const real* used, const real* R, const real* W_T, const real* y_0, const real* y,
    const real* dy, const real* dW_T, real* dx, real* dW, real* dy_0, int T, int H)
{
    __shared__ real now_s[ROWS], da[PARTS * PART], dy_s[V], dq[K], dk[K], dbeta[V];
    const real *q = now_s, *k = q + K, *e = k + K, &beta = e[V];
    const int head = blockIdx.x % H, r = threadIdx.x;
    const int i = r, j = r - V, l = r - V - K;               // a row, or columns, of W
    const int m = r / PARTS, part = r % PARTS * PART;        // column m of R, rows
    const bool row = i < V, G_column = j >= 0 && j < K, W_column = l >= 0 && l < K;
    const Int first = (Int)(blockIdx.x / H) * T * H + head;
    const Int matrix = (Int)blockIdx.x * V * K, m_0 = (Int)blockIdx.x * V + m;

    real w[LONGER], R_m[PART], dy_m = 0;
    if (row) load<K>(w, dW_T ? dW_T + matrix + i * K : 0, 1);
    if (G_column) load<V>(w, dW_T ? dW_T + matrix + j : 0, K);
    if (W_column) load<V>(w, W_T + matrix + l, K);
    #pragma unroll
    for (int n = 0; n < PART; n++)
        R_m[n] = m < V && part + n < ROWS ? R[(head * ROWS + part + n) * V + m] : 0;
    for (int n = r; n < PARTS * PART; n += BACKWARD) da[n] = 0;
    const Int last = first + (Int)(T - 1) * H;
    if (m < V && dy) dy_m = dy[last * V + m];
    if (m < V && part == 0) dy_s[m] = dy_m;
    if (r < ROWS) now_s[r] = dy || r >= K ? used[last * ROWS + r] : 0;

    for (int t = T - 1; t >= 0; t--) {
        const Int now = first + (Int)t * H, before = now - H;
        real used_r = 0, h = 0;                              // for the step before
        if (t > 0 && r < ROWS) used_r = used[before * ROWS + r];
        if (m < V) h = t > 0 ? y[before * V + m] : y_0[m_0];
        if (m < V) dy_m = t > 0 && dy ? dy[before * V + m] : 0;
        __syncthreads();                                     // dy, q, k, e are there
        if (row) {
            write<K>(w, dy_s[i], q);
            const real du = read<K>(w, k);
            write<K>(w, -beta * du, k);
            da[2 * K + i] = beta * du;
            dbeta[i] = du * e[i];
        } else if (G_column) {
            write<V>(w, q[j], dy_s);
            dk[j] = beta * read<V>(w, e);
        } else if (W_column) {
            dq[l] = read<V>(w, dy_s);
            write<V>(w, -beta * k[l], e);
        }
        __syncthreads();                                     // de is there
        if (G_column) write<V>(w, -k[j], da + 2 * K);
        else if (W_column) dk[l] -= read<V>(w, da + 2 * K);
        __syncthreads();                                     // dq and dk are there
        if (r < 32) softmax_gradient<K>(q, dq, da);
        else if (r < 64) softmax_gradient<K>(k, dk, da + K);
        else if (r < 96) {
            real sum = 0;
            for (int n = r - 64; n < V; n += 32) sum += dbeta[n];
            sum = warp_sum(sum);
            if (r == 64) da[ROWS - 1] = sum * beta * (1 - beta);
        }
        __syncthreads();                                     // da is there
        real sum = read<PART>(R_m, da + part);
        for (int far = PARTS / 2; far > 0; far /= 2)
            sum += __shfl_xor_sync(~0u, sum, far);
        h = tanh(h);
        dy_m += (1 - h * h) * sum;
        if (m < V && part == 0) dy_s[m] = dy_m;
        if (r < ROWS) dx[now * ROWS + r] = da[r];
        if (r < ROWS) now_s[r] = used_r;
    }
    if (row) store<K>(w, dW + matrix + i * K);
    if (m < V && part == 0) dy_0[m_0] = dy_m;
}

// dR = sum of da ⊗ h over the steps: thread r owns row r. The block fetches the h of
// some steps together.
extern "C" __global__ void __launch_bounds__(RECURRENT) backward_R(
    const real* dx, const real* y_0, const real* y, real* dR, int T, int H)
{
    __shared__ real h[STEPS][V];
    const int r = threadIdx.x;
    const Int first = (Int)(blockIdx.x / H) * T * H + blockIdx.x % H;
    real w[V];
    load<V>(w, 0, 0);
    for (int t = 0; t < T; t += STEPS) {
        const int steps = T - t < STEPS ? T - t : STEPS;
        for (int n = r; n < steps * V; n += RECURRENT) {
            const int s = n / V, j = n % V;
            const real* from = t + s > 0 ? y + (first + (Int)(t + s - 1) * H) * V
                                         : y_0 + (Int)blockIdx.x * V;
            h[s][j] = tanh(from[j]);
        }
        __syncthreads();
        for (int s = 0; s < steps && r < ROWS; s++)
            write<V>(w, dx[(first + (Int)(t + s) * H) * ROWS + r], h[s]);
        __syncthreads();
    }
    if (r < ROWS) store<V>(w, dR + ((Int)blockIdx.x * ROWS + r) * V);
}
