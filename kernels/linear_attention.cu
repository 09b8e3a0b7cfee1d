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
// bits each time. Rows of q and k lie in one of two buffers in turn, so that one barrier a
// step is enough: a thread that runs ahead fills the buffer that nobody reads.
//
// Compile-time constants: real (float or double), K, V (key and value size, up to 65).
// Shapes, contiguous: q, k, dq, dk [B T H K]; v, y, dy, dv [B T H V]; W, dW [B H V K].
// dW_T may be null: nobody used W_T.
// Grid: B * H blocks. Block: V threads for forward and backward_rows, K for columns.

typedef long long Int;

// Bring N numbers to all threads of the block.
template <int N> __device__ void share(real* shared, const real* x)
{
    for (int j = threadIdx.x; j < N; j += blockDim.x) shared[j] = x[j];
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
    __shared__ real q_s[2][K], k_s[2][K];
    const int b = blockIdx.x / H, h = blockIdx.x % H, i = threadIdx.x;
    const Int row = ((Int)blockIdx.x * V + i) * K;
    real w[K];                                             // row i of W
    for (int j = 0; j < K; j++) w[j] = W[row + j];

    for (int t = 0; t < T; t++) {
        const Int now = ((Int)b * T + t) * H + h;
        real *q_t = q_s[t % 2], *k_t = k_s[t % 2];
        share<K>(q_t, q + now * K);
        share<K>(k_t, k + now * K);
        __syncthreads();
        write<K>(w, v[now * V + i], k_t);
        y[now * V + i] = read<K>(w, q_t);
    }
    for (int j = 0; j < K; j++) W_T[row + j] = w[j];
}

extern "C" __global__ void backward_rows(
    const real* q, const real* k, const real* dy, const real* dW_T, real* dv, real* dW,
    int T, int H)
{
    __shared__ real q_s[2][K], k_s[2][K];
    const int b = blockIdx.x / H, h = blockIdx.x % H, i = threadIdx.x;
    const Int row = ((Int)blockIdx.x * V + i) * K;
    real g[K];                                             // row i of G
    for (int j = 0; j < K; j++) g[j] = dW_T ? dW_T[row + j] : 0;

    for (int t = T - 1; t >= 0; t--) {
        const Int now = ((Int)b * T + t) * H + h;
        real *q_t = q_s[t % 2], *k_t = k_s[t % 2];
        share<K>(q_t, q + now * K);
        share<K>(k_t, k + now * K);
        __syncthreads();
        write<K>(g, dy[now * V + i], q_t);
        dv[now * V + i] = read<K>(g, k_t);
    }
    for (int j = 0; j < K; j++) dW[row + j] = g[j];
}

extern "C" __global__ void backward_columns(
    const real* q, const real* k, const real* v, const real* W, const real* dy,
    const real* dW_T, real* dq, real* dk, int T, int H)
{
    __shared__ real v_s[2][V], dy_s[2][V];
    const int b = blockIdx.x / H, h = blockIdx.x % H, j = threadIdx.x;
    const Int column = (Int)blockIdx.x * V * K + j;
    real c[V];                                             // column j of G, then of W

    for (int i = 0; i < V; i++) c[i] = dW_T ? dW_T[column + i * K] : 0;
    for (int t = T - 1; t >= 0; t--) {
        const Int now = ((Int)b * T + t) * H + h;
        real *v_t = v_s[t % 2], *dy_t = dy_s[t % 2];
        share<V>(v_t, v + now * V);
        share<V>(dy_t, dy + now * V);
        __syncthreads();
        write<V>(c, q[now * K + j], dy_t);
        dk[now * K + j] = read<V>(c, v_t);
    }

    __syncthreads();                                       // both walks use buffer 0 here
    for (int i = 0; i < V; i++) c[i] = W[column + i * K];
    for (int t = 0; t < T; t++) {
        const Int now = ((Int)b * T + t) * H + h;
        real *v_t = v_s[t % 2], *dy_t = dy_s[t % 2];
        share<V>(v_t, v + now * V);
        share<V>(dy_t, dy + now * V);
        __syncthreads();
        write<V>(c, k[now * K + j], v_t);
        dq[now * K + j] = read<V>(c, dy_t);
    }
}
