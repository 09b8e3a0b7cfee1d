// Delta rule, plain and gated, forward and backward.  Reference: srwm_lite/delta_rule.py
//
//     W = alpha W                    (compiled with GATED=1)
//     W = W + beta (v - W k) ⊗ k
//     y = W q
//
// One block per batch element and head. The fast weights never leave the chip. Forward, each
// thread owns one row of W in its registers and keeps only its errors e = v - W k. Backward,
// with u = beta e what was written and G = dL/dW:
//
//     rows, from the end       G += dy ⊗ q;  de = beta G k;  G -= de ⊗ k;  G *= alpha
//                              dv = de,  dbeta = (G k) . e,  at the start dW = G
//     columns, from the end    the same G from its known writes;  dk = Gᵀ u
//     columns, from the start  W again from its known writes;  dk -= W_{t-1}ᵀ de,  dq = W_tᵀ dy
//
// No W_t is kept and none is divided back, so alpha may be zero; only dalpha = <G, W_{t-1}>
// needs both at once, see decay_gradient. Every sum has one order: no atomics, and the same
// bits each time. Memory answers late, so a block asks for some steps together: one barrier
// when they are there, one before the next are fetched.
//
// Compile-time constants: real (float or double), K, V (key and value size), GATED.
// Shapes, contiguous: q, k, dq, dk [B T H K]; v, y, e, dy, dv [B T H V]; W, dW [B H V K];
// beta, alpha, dbeta, dalpha [B T H]. May be null: dW_T (nobody used W_T), a useless alpha.
// Grid: B * H blocks. Block: V threads for rows, K for columns, rounded up to warps.

typedef long long Int;
constexpr int STEPS = 8;                                   // fetched together

// Bring N numbers of each of the next steps to all threads of the block.
template <int N> __device__ void share(real tile[][N], const real* x, int steps, Int apart)
{
    for (int n = threadIdx.x; n < steps * N; n += blockDim.x)
        tile[n / N][n % N] = x[n / N * apart + n % N];
}

// What a thread adds to its row (or column) of W; what it reads from it. Four sums, for an
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

template <int N> __device__ void fade(real* w, real alpha)
{
    #pragma unroll
    for (int j = 0; j < N; j++) w[j] *= alpha;
}

__device__ real warp_sum(real x)
{
    for (int far = 16; far > 0; far /= 2) x += __shfl_xor_sync(~0u, x, far);
    return x;
}

// Add what the warps found for each of the steps.
__device__ void sum_warps(real* sums, const real of_warp[][32], int steps, int apart)
{
    for (int s = threadIdx.x; s < steps; s += blockDim.x) {
        real sum = of_warp[s][0];
        for (int w = 1; w < blockDim.x / 32; w++) sum += of_warp[s][w];
        sums[(Int)s * apart] = sum;
    }
}

extern "C" __global__ void forward(
    const real* q, const real* k, const real* v, const real* beta, const real* alpha,
    const real* W, real* y, real* e, real* W_T, int T, int H)
{
    __shared__ real q_s[STEPS][K], k_s[STEPS][K], v_s[STEPS][V];
    __shared__ real beta_s[STEPS][1], alpha_s[STEPS][1];
    const int b = blockIdx.x / H, h = blockIdx.x % H, i = threadIdx.x;
    const Int row = ((Int)blockIdx.x * V + i) * K;
    real w[K];                                             // row i of W
    if (i < V) for (int j = 0; j < K; j++) w[j] = W[row + j];
    for (int first = 0; first < T; first += STEPS) {
        const int steps = T - first < STEPS ? T - first : STEPS;
        const Int now = ((Int)b * T + first) * H + h;      // the next step lies H further
        share<K>(q_s, q + now * K, steps, H * K);
        share<K>(k_s, k + now * K, steps, H * K);
        share<V>(v_s, v + now * V, steps, H * V);
        share<1>(beta_s, beta + now, steps, H);
        if (GATED) share<1>(alpha_s, alpha + now, steps, H);
        __syncthreads();
        for (int s = 0; s < steps && i < V; s++) {
            if (GATED) fade<K>(w, *alpha_s[s]);
            const real e_i = v_s[s][i] - read<K>(w, k_s[s]);
            write<K>(w, *beta_s[s] * e_i, k_s[s]);
            e[(now + s * H) * V + i] = e_i;
            y[(now + s * H) * V + i] = read<K>(w, q_s[s]);
        }
        __syncthreads();
    }
    if (i < V) for (int j = 0; j < K; j++) W_T[row + j] = w[j];
}

extern "C" __global__ void backward_rows(
    const real* q, const real* k, const real* beta, const real* alpha, const real* e,
    const real* dy, const real* dW_T, real* dv, real* dbeta, real* dW, int T, int H)
{
    __shared__ real q_s[STEPS][K], k_s[STEPS][K], e_s[STEPS][V], dy_s[STEPS][V];
    __shared__ real beta_s[STEPS][1], alpha_s[STEPS][1], of_warp[STEPS][32];
    const int b = blockIdx.x / H, h = blockIdx.x % H, i = threadIdx.x;
    const Int row = ((Int)blockIdx.x * V + i) * K;
    real g[K];                                             // row i of G
    if (i < V) for (int j = 0; j < K; j++) g[j] = dW_T ? dW_T[row + j] : 0;
    for (int first = (T - 1) / STEPS * STEPS; first >= 0; first -= STEPS) {
        const int steps = T - first < STEPS ? T - first : STEPS;
        const Int now = ((Int)b * T + first) * H + h;
        share<K>(q_s, q + now * K, steps, H * K);
        share<K>(k_s, k + now * K, steps, H * K);
        share<V>(e_s, e + now * V, steps, H * V);
        share<V>(dy_s, dy + now * V, steps, H * V);
        share<1>(beta_s, beta + now, steps, H);
        if (GATED) share<1>(alpha_s, alpha + now, steps, H);
        __syncthreads();
        for (int s = steps - 1; s >= 0; s--) {
            real part = 0;                                 // of dbeta
            if (i < V) {
                write<K>(g, dy_s[s][i], q_s[s]);
                const real du = read<K>(g, k_s[s]), de = *beta_s[s] * du;
                write<K>(g, -de, k_s[s]);
                if (GATED) fade<K>(g, *alpha_s[s]);
                dv[(now + s * H) * V + i] = de;
                part = du * e_s[s][i];
            }
            part = warp_sum(part);
            if (i % 32 == 0) of_warp[s][i / 32] = part;
        }
        __syncthreads();
        sum_warps(dbeta + now, of_warp, steps, H);
    }
    if (i < V) for (int j = 0; j < K; j++) dW[row + j] = g[j];
}

extern "C" __global__ void backward_columns(
    const real* q, const real* k, const real* beta, const real* alpha, const real* e,
    const real* W, const real* dy, const real* dW_T, const real* dv, real* dq, real* dk,
    int T, int H)
{
    __shared__ real q_s[STEPS][K], k_s[STEPS][K];          // q_s holds dk in the second walk
    __shared__ real e_s[STEPS][V], de_s[STEPS][V], dy_s[STEPS][V];
    __shared__ real beta_s[STEPS][1], alpha_s[STEPS][1];
    const int b = blockIdx.x / H, h = blockIdx.x % H, j = threadIdx.x;
    const Int column = (Int)blockIdx.x * V * K + j;
    real c[V];                                             // column j of G, then of W

    if (j < K) for (int i = 0; i < V; i++) c[i] = dW_T ? dW_T[column + i * K] : 0;
    for (int first = (T - 1) / STEPS * STEPS; first >= 0; first -= STEPS) {
        const int steps = T - first < STEPS ? T - first : STEPS;
        const Int now = ((Int)b * T + first) * H + h;
        share<K>(q_s, q + now * K, steps, H * K);
        share<K>(k_s, k + now * K, steps, H * K);
        share<V>(e_s, e + now * V, steps, H * V);
        share<V>(de_s, dv + now * V, steps, H * V);
        share<V>(dy_s, dy + now * V, steps, H * V);
        share<1>(beta_s, beta + now, steps, H);
        if (GATED) share<1>(alpha_s, alpha + now, steps, H);
        __syncthreads();
        for (int s = steps - 1; s >= 0 && j < K; s--) {
            write<V>(c, q_s[s][j], dy_s[s]);
            dk[(now + s * H) * K + j] = *beta_s[s] * read<V>(c, e_s[s]);
            write<V>(c, -k_s[s][j], de_s[s]);
            if (GATED) fade<V>(c, *alpha_s[s]);
        }
        __syncthreads();
    }

    if (j < K) for (int i = 0; i < V; i++) c[i] = W[column + i * K];
    for (int first = 0; first < T; first += STEPS) {
        const int steps = T - first < STEPS ? T - first : STEPS;
        const Int now = ((Int)b * T + first) * H + h;
        share<K>(q_s, dk + now * K, steps, H * K);
        share<K>(k_s, k + now * K, steps, H * K);
        share<V>(e_s, e + now * V, steps, H * V);
        share<V>(de_s, dv + now * V, steps, H * V);
        share<V>(dy_s, dy + now * V, steps, H * V);
        share<1>(beta_s, beta + now, steps, H);
        if (GATED) share<1>(alpha_s, alpha + now, steps, H);
        __syncthreads();
        for (int s = 0; s < steps && j < K; s++) {
            if (GATED) fade<V>(c, *alpha_s[s]);
            dk[(now + s * H) * K + j] = q_s[s][j] - read<V>(c, de_s[s]);
            write<V>(c, *beta_s[s] * k_s[s][j], e_s[s]);
            dq[(now + s * H) * K + j] = read<V>(c, dy_s[s]);
        }
        __syncthreads();
    }
}

// dalpha = <G, W_{t-1}>, where G has already lost its write but not yet decayed. One
// thread owns column j of both. W is computed from the start to the end, kept at every
// `size`-th step in starts [B H ceil(T / size) V K]; then, chunk after chunk from the last
// one: W again, kept at every step in inside [B H size V K], and G back over the chunk.
// With size near sqrt(T) that is 2 sqrt(T) matrices in memory instead of T.
extern "C" __global__ void decay_gradient(
    const real* q, const real* k, const real* beta, const real* alpha, const real* e,
    const real* W, const real* dy, const real* dW_T, const real* dv, real* starts,
    real* inside, real* dalpha, int size, int T, int H)
{
    __shared__ real of_warp[2][32];                        // one fills, one is added up
    const int b = blockIdx.x / H, h = blockIdx.x % H, j = threadIdx.x;
    const int chunks = (T + size - 1) / size, matrix = V * K;
    const Int column = (Int)blockIdx.x * matrix + j;
    starts += (Int)blockIdx.x * matrix * chunks + j;
    inside += (Int)blockIdx.x * matrix * size + j;
    real w[V], g[V];                                       // column j of W and of G
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
            part = warp_sum(part);
            if (j % 32 == 0) of_warp[t % 2][j / 32] = part;
            __syncthreads();
            sum_warps(dalpha + now, of_warp + t % 2, 1, 0);
        }
    }
}
