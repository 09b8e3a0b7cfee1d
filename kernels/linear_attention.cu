// Linear attention, forward and backward.  Reference: srwm_lite/linear_attention.py
//
//     W = W + v ⊗ k
//     y = W q
//
// One block per batch element and head. The fast weights never leave the chip. Forward,
// each thread owns one row of W in its registers. Backward, with G = dL/dW:
//
//     rows, from the end       G += dy ⊗ q;   dv = G k;   at the start dW = G
//     columns, from the end    the same G again;                   dk = Gᵀ v
//     columns, from the start  W again;                            dq = Wᵀ dy
//
// No W_t is kept. Every sum is made by one thread in one order: no atomics, and the same
// bits each time. Memory answers late, so a block asks for some steps together: one barrier
// when they are there, one before the next are fetched.
//
// Compile-time constants: real (float or double), K, V (key and value size, up to 65).
// Shapes, contiguous: q, k, dq, dk [B T H K]; v, y, dy, dv [B T H V]; W, dW [B H V K].
// dW_T may be null: nobody used W_T.
// Grid: B * H blocks. Block: V threads for forward and backward_rows, K for columns.

typedef long long Int;
constexpr int STEPS = 8;                                   // fetched together

// Bring N numbers of each of the next steps to all threads of the block.
template <int N> __device__ void share(real tile[][N], const real* x, int steps, Int apart)
{
    for (int n = threadIdx.x; n < steps * N; n += blockDim.x)
        tile[n / N][n % N] = x[n / N * apart + n % N];
}

// What one thread adds to its row (or column) of W.
template <int N> __device__ void write(real* w, real x, const real* k)
{
    #pragma unroll
    for (int j = 0; j < N; j++) w[j] += x * k[j];
}

// What it reads from it. Four sums, for an addition must wait for the one before.
template <int N> __device__ real read(const real* w, const real* q)
{
    real sum[4] = {0, 0, 0, 0};
    #pragma unroll
    for (int j = 0; j < N; j++) sum[j % 4] += w[j] * q[j];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

extern "C" __global__ void forward(
    const real* q, const real* k, const real* v, const real* W, real* y, real* W_T,
    int T, int H)
{
    __shared__ real q_s[STEPS][K], k_s[STEPS][K], v_s[STEPS][V];
    const int b = blockIdx.x / H, h = blockIdx.x % H, i = threadIdx.x;
    const Int row = ((Int)blockIdx.x * V + i) * K;
    real w[K];                                             // row i of W
    for (int j = 0; j < K; j++) w[j] = W[row + j];

    for (int first = 0; first < T; first += STEPS) {
        const int steps = T - first < STEPS ? T - first : STEPS;
        const Int now = ((Int)b * T + first) * H + h;      // the next step lies H further
        share<K>(q_s, q + now * K, steps, H * K);
        share<K>(k_s, k + now * K, steps, H * K);
        share<V>(v_s, v + now * V, steps, H * V);
        __syncthreads();
        for (int s = 0; s < steps; s++) {
            write<K>(w, v_s[s][i], k_s[s]);
            y[(now + s * H) * V + i] = read<K>(w, q_s[s]);
        }
        __syncthreads();
    }
    for (int j = 0; j < K; j++) W_T[row + j] = w[j];
}

extern "C" __global__ void backward_rows(
    const real* q, const real* k, const real* dy, const real* dW_T, real* dv, real* dW,
    int T, int H)
{
    __shared__ real q_s[STEPS][K], k_s[STEPS][K], dy_s[STEPS][V];
    const int b = blockIdx.x / H, h = blockIdx.x % H, i = threadIdx.x;
    const Int row = ((Int)blockIdx.x * V + i) * K;
    real g[K];                                             // row i of G
    for (int j = 0; j < K; j++) g[j] = dW_T ? dW_T[row + j] : 0;

    for (int first = (T - 1) / STEPS * STEPS; first >= 0; first -= STEPS) {
        const int steps = T - first < STEPS ? T - first : STEPS;
        const Int now = ((Int)b * T + first) * H + h;
        share<K>(q_s, q + now * K, steps, H * K);
        share<K>(k_s, k + now * K, steps, H * K);
        share<V>(dy_s, dy + now * V, steps, H * V);
        __syncthreads();
        for (int s = steps - 1; s >= 0; s--) {
            write<K>(g, dy_s[s][i], q_s[s]);
            dv[(now + s * H) * V + i] = read<K>(g, k_s[s]);
        }
        __syncthreads();
    }
    for (int j = 0; j < K; j++) dW[row + j] = g[j];
}

extern "C" __global__ void backward_columns(
    const real* q, const real* k, const real* v, const real* W, const real* dy,
    const real* dW_T, real* dq, real* dk, int T, int H)
{
    __shared__ real x_s[STEPS][K], v_s[STEPS][V], dy_s[STEPS][V];
    const int b = blockIdx.x / H, h = blockIdx.x % H, j = threadIdx.x;
    const Int column = (Int)blockIdx.x * V * K + j;
    real c[V];                                             // column j of G, then of W

    for (int i = 0; i < V; i++) c[i] = dW_T ? dW_T[column + i * K] : 0;
    for (int first = (T - 1) / STEPS * STEPS; first >= 0; first -= STEPS) {
        const int steps = T - first < STEPS ? T - first : STEPS;
        const Int now = ((Int)b * T + first) * H + h;
        share<K>(x_s, q + now * K, steps, H * K);
        share<V>(v_s, v + now * V, steps, H * V);
        share<V>(dy_s, dy + now * V, steps, H * V);
        __syncthreads();
        for (int s = steps - 1; s >= 0; s--) {
            write<V>(c, x_s[s][j], dy_s[s]);
            dk[(now + s * H) * K + j] = read<V>(c, v_s[s]);
        }
        __syncthreads();
    }

    for (int i = 0; i < V; i++) c[i] = W[column + i * K];
    for (int first = 0; first < T; first += STEPS) {
        const int steps = T - first < STEPS ? T - first : STEPS;
        const Int now = ((Int)b * T + first) * H + h;
        share<K>(x_s, k + now * K, steps, H * K);
        share<V>(v_s, v + now * V, steps, H * V);
        share<V>(dy_s, dy + now * V, steps, H * V);
        __syncthreads();
        for (int s = 0; s < steps; s++) {
            write<V>(c, x_s[s][j], v_s[s]);
            dq[(now + s * H) * K + j] = read<V>(c, dy_s[s]);
        }
        __syncthreads();
    }
}
