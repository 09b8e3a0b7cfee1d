// Delta rule, plain and gated, forward and backward.  Reference: srwm_lite/delta_rule.py
//
//     W = alpha W                    (compiled with GATED=1)
//     W = W + beta (v - W k) ⊗ k
//     y = W q
//
// One block per batch element and head. The fast weights never leave the chip. Forward,
// each thread owns one row of W in its registers and keeps only its errors
// e = v - W k. Backward, with u = beta e what was written and G = dL/dW:
//
//     rows, from the end       G += dy ⊗ q;  de = beta G k;  G -= de ⊗ k;  G *= alpha
//                              dv = de,  dbeta = (G k) . e,  at the start dW = G
//     columns, from the end    the same G from its known writes;     dk  = Gᵀ u
//     columns, from the start  W again from its known writes;        dk -= W_{t-1}ᵀ de
//                                                                    dq  = W_tᵀ dy
//
// No W_t is kept and none is divided back, so alpha may be zero. Only
// dalpha = <G, W_{t-1}> needs both at once: see decay_gradient. Every sum has one order:
// no atomics, and the same bits each time. Where a step has one barrier, rows lie in one
// of two buffers in turn: a thread that runs ahead fills the one that nobody reads.
//
// Compile-time constants: real (float or double), K, V (key and value size), GATED.
// Shapes, contiguous: q, k, dq, dk [B T H K]; v, y, e, dy, dv [B T H V];
// beta, alpha, dbeta, dalpha [B T H]; W, dW [B H V K].
// dW_T may be null: nobody used W_T; alpha too where GATED=0.
// Grid: B * H blocks. Block: V threads for rows, K for columns, rounded up to warps.

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

template <int N> __device__ void fade(real* w, real alpha)
{
    #pragma unroll
    for (int j = 0; j < N; j++) w[j] *= alpha;
}

// Add one number of every thread; the sum comes to thread 0. Holds a barrier.
__device__ real block_sum(real x, real* of_warp)
{
    for (int far = 16; far > 0; far /= 2) x += __shfl_xor_sync(~0u, x, far);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = x;
    __syncthreads();
    if (threadIdx.x == 0)
        for (int w = 1; w < blockDim.x / 32; w++) x += of_warp[w];
    return x;
}

extern "C" __global__ void forward(
    const real* q, const real* k, const real* v, const real* beta, const real* alpha,
    const real* W, real* y, real* e, real* W_T, int T, int H)
{
    __shared__ real q_s[2][K], k_s[2][K];
    const int b = blockIdx.x / H, h = blockIdx.x % H, i = threadIdx.x;
    const Int row = ((Int)blockIdx.x * V + i) * K;
    real w[K];                                             // row i of W
    if (i < V) for (int j = 0; j < K; j++) w[j] = W[row + j];

    for (int t = 0; t < T; t++) {
        const Int now = ((Int)b * T + t) * H + h;
        real *q_t = q_s[t % 2], *k_t = k_s[t % 2];
        share<K>(q_t, q + now * K);
        share<K>(k_t, k + now * K);
        __syncthreads();
        if (i < V) {
            if (GATED) fade<K>(w, alpha[now]);
            const real e_i = v[now * V + i] - read<K>(w, k_t);
            write<K>(w, beta[now] * e_i, k_t);
            e[now * V + i] = e_i;
            y[now * V + i] = read<K>(w, q_t);
        }
    }
    if (i < V) for (int j = 0; j < K; j++) W_T[row + j] = w[j];
}

extern "C" __global__ void backward_rows(
    const real* q, const real* k, const real* beta, const real* alpha, const real* e,
    const real* dy, const real* dW_T, real* dv, real* dbeta, real* dW, int T, int H)
{
    __shared__ real q_t[K], k_t[K], of_warp[32];           // two barriers a step
    const int b = blockIdx.x / H, h = blockIdx.x % H, i = threadIdx.x;
    const Int row = ((Int)blockIdx.x * V + i) * K;
    real g[K];                                             // row i of G
    if (i < V) for (int j = 0; j < K; j++) g[j] = dW_T ? dW_T[row + j] : 0;

    for (int t = T - 1; t >= 0; t--) {
        const Int now = ((Int)b * T + t) * H + h;
        share<K>(q_t, q + now * K);
        share<K>(k_t, k + now * K);
        __syncthreads();
        real part = 0;                                     // of dbeta
        if (i < V) {
            write<K>(g, dy[now * V + i], q_t);
            const real du = read<K>(g, k_t), de = beta[now] * du;
            write<K>(g, -de, k_t);
            if (GATED) fade<K>(g, alpha[now]);
            dv[now * V + i] = de;
            part = du * e[now * V + i];
        }
        const real sum = block_sum(part, of_warp);
        if (i == 0) dbeta[now] = sum;
    }
    if (i < V) for (int j = 0; j < K; j++) dW[row + j] = g[j];
}

extern "C" __global__ void backward_columns(
    const real* q, const real* k, const real* beta, const real* alpha, const real* e,
    const real* W, const real* dy, const real* dW_T, const real* dv, real* dq, real* dk,
    int T, int H)
{
    __shared__ real e_s[2][V], de_s[2][V], dy_s[2][V];
    const int b = blockIdx.x / H, h = blockIdx.x % H, j = threadIdx.x;
    const Int column = (Int)blockIdx.x * V * K + j;
    real c[V];                                             // column j of G, then of W

    if (j < K) for (int i = 0; i < V; i++) c[i] = dW_T ? dW_T[column + i * K] : 0;
    for (int t = T - 1; t >= 0; t--) {
        const Int now = ((Int)b * T + t) * H + h;
        real *e_t = e_s[t % 2], *de_t = de_s[t % 2], *dy_t = dy_s[t % 2];
        share<V>(e_t, e + now * V);
        share<V>(de_t, dv + now * V);
        share<V>(dy_t, dy + now * V);
        __syncthreads();
        if (j < K) {
            write<V>(c, q[now * K + j], dy_t);
            dk[now * K + j] = beta[now] * read<V>(c, e_t);
            write<V>(c, -k[now * K + j], de_t);
            if (GATED) fade<V>(c, alpha[now]);
        }
    }

    __syncthreads();                                       // both walks use buffer 0 here
    if (j < K) for (int i = 0; i < V; i++) c[i] = W[column + i * K];
    for (int t = 0; t < T; t++) {
        const Int now = ((Int)b * T + t) * H + h;
        real *e_t = e_s[t % 2], *de_t = de_s[t % 2], *dy_t = dy_s[t % 2];
        share<V>(e_t, e + now * V);
        share<V>(de_t, dv + now * V);
        share<V>(dy_t, dy + now * V);
        __syncthreads();
        if (j < K) {
            if (GATED) fade<V>(c, alpha[now]);
            dk[now * K + j] -= read<V>(c, de_t);
            write<V>(c, beta[now] * k[now * K + j], e_t);
            dq[now * K + j] = read<V>(c, dy_t);
        }
    }
}

// dalpha = <G, W_{t-1}>, where G has already lost its write but not yet decayed. One
// thread owns column j of both. W is computed from the start to the end, kept at every
// `size`-th step in `starts`; then, chunk after chunk from the last one: W again, kept at
// every step of the chunk in `inside`, and G back over the chunk. With size near sqrt(T)
// that is 2 sqrt(T) matrices in memory instead of T.
// starts [B H ceil(T / size) V K]; inside [B H size V K].
extern "C" __global__ void decay_gradient(
    const real* q, const real* k, const real* beta, const real* alpha, const real* e,
    const real* W, const real* dy, const real* dW_T, const real* dv, real* starts,
    real* inside, real* dalpha, int size, int T, int H)
{
    __shared__ real of_warp[2][32];
    const int b = blockIdx.x / H, h = blockIdx.x % H, j = threadIdx.x;
    const int chunks = (T + size - 1) / size, matrix = V * K;
    const Int column = (Int)blockIdx.x * matrix + j;
    starts += (Int)blockIdx.x * matrix * chunks + j;
    inside += (Int)blockIdx.x * matrix * size + j;
    real w[V], g[V];

    if (j < K) for (int i = 0; i < V; i++) w[i] = W[column + i * K];
    if (j < K) for (int i = 0; i < V; i++) g[i] = dW_T ? dW_T[column + i * K] : 0;
    for (int t = 0; t < T && j < K; t++) {
        const Int now = ((Int)b * T + t) * H + h;
        if (t % size == 0)
            for (int i = 0; i < V; i++) starts[t / size * matrix + i * K] = w[i];
        fade<V>(w, alpha[now]);
        write<V>(w, beta[now] * k[now * K + j], e + now * V);
    }
    for (int chunk = chunks - 1; chunk >= 0; chunk--) {
        const int first = chunk * size, end = first + size < T ? first + size : T;
        if (j < K) for (int i = 0; i < V; i++) w[i] = starts[chunk * matrix + i * K];
        for (int t = first; t < end && j < K; t++) {
            const Int now = ((Int)b * T + t) * H + h;
            for (int i = 0; i < V; i++) inside[(t - first) * matrix + i * K] = w[i];
            fade<V>(w, alpha[now]);
            write<V>(w, beta[now] * k[now * K + j], e + now * V);
        }
        for (int t = end - 1; t >= first; t--) {
            const Int now = ((Int)b * T + t) * H + h;
            real part = 0;
            if (j < K) {
                write<V>(g, q[now * K + j], dy + now * V);
                write<V>(g, -k[now * K + j], dv + now * V);
                for (int i = 0; i < V; i++)
                    part += g[i] * inside[(t - first) * matrix + i * K];
                fade<V>(g, alpha[now]);
            }
            const real sum = block_sum(part, of_warp[t % 2]);
            if (j == 0) dalpha[now] = sum;
        }
    }
}
