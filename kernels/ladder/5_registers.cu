// Step 5: thread i keeps row i of W in its registers, the fastest memory there is.
//
//     W = W + beta (v - W k) ⊗ k
//     y = W q
//
// Registers have no address: every index must be known when the kernel is compiled, so the
// loops over j are unrolled. q_t and k_t lie in one of two buffers in turn, and one barrier
// a step is enough: whoever runs ahead fills the buffer that nobody reads. Add what the
// backward needs, and fetch some steps together, and it is delta_rule.cu.
//
// q, k [B T H K]; v, y [B T H V]; beta [B T H]; W, W_T [B H V K]. B * H blocks of V threads.

extern "C" __global__ void forward(
    const real* q, const real* k, const real* v, const real* beta, const real* W,
    real* y, real* W_T, int T, int H)
{
    __shared__ real q_s[2][K], k_s[2][K];
    const int b = blockIdx.x / H, h = blockIdx.x % H, i = threadIdx.x;
    const long long row = ((long long)blockIdx.x * V + i) * K;
    real w[K];
    for (int j = 0; j < K; j++) w[j] = W[row + j];

    for (int t = 0; t < T; t++) {
        const long long now = ((long long)b * T + t) * H + h;
        real *q_t = q_s[t % 2], *k_t = k_s[t % 2];
        for (int j = i; j < K; j += V) {
            q_t[j] = q[now * K + j];
            k_t[j] = k[now * K + j];
        }
        __syncthreads();
        real v_old = 0, y_i = 0;
        #pragma unroll
        for (int j = 0; j < K; j++) v_old += w[j] * k_t[j];
        const real u_i = beta[now] * (v[now * V + i] - v_old);
        #pragma unroll
        for (int j = 0; j < K; j++) {
            w[j] += u_i * k_t[j];
            y_i += w[j] * q_t[j];
        }
        y[now * V + i] = y_i;
    }
    for (int j = 0; j < K; j++) W_T[row + j] = w[j];
}
