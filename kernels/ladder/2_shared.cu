// Step 2: W stays on the chip, in shared memory; q_t and k_t are fetched once for all.
//
//     W = W + beta (v - W k) ⊗ k
//     y = W q
//
// Two barriers a step: no thread may read q_t before it is there, and none may overwrite
// it while another still reads. But the rows of W start K words apart: if K is 32, all of
// them start in the same bank, and the threads of a warp wait for each other.
//
// q, k [B T H K]; v, y [B T H V]; beta [B T H]; W, W_T [B H V K]. B * H blocks of V threads.

extern "C" __global__ void forward(
    const real* q, const real* k, const real* v, const real* beta, const real* W,
    real* y, real* W_T, int T, int H)
{
    __shared__ real w[V][K], q_t[K], k_t[K];
    const int b = blockIdx.x / H, h = blockIdx.x % H, i = threadIdx.x;
    const long long row = ((long long)blockIdx.x * V + i) * K;
    for (int j = 0; j < K; j++) w[i][j] = W[row + j];

    for (int t = 0; t < T; t++) {
        const long long now = ((long long)b * T + t) * H + h;
        for (int j = i; j < K; j += V) {
            q_t[j] = q[now * K + j];
            k_t[j] = k[now * K + j];
        }
        __syncthreads();
        real v_old = 0, y_i = 0;
        for (int j = 0; j < K; j++) v_old += w[i][j] * k_t[j];
        const real u_i = beta[now] * (v[now * V + i] - v_old);
        for (int j = 0; j < K; j++) w[i][j] += u_i * k_t[j];
        for (int j = 0; j < K; j++) y_i += w[i][j] * q_t[j];
        y[now * V + i] = y_i;
        __syncthreads();
    }
    for (int j = 0; j < K; j++) W_T[row + j] = w[i][j];
}
