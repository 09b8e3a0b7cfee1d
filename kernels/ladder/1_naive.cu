// Step 1: W lies in global memory.  One block a sequence, thread i owns row i of W.
//
//     W = W + beta (v - W k) ⊗ k
//     y = W q
//
// Every number of W goes to memory and back at every step, and the threads of a warp ask
// for numbers that lie K apart: each of them brings a whole sector along.
//
// q, k [B T H K]; v, y [B T H V]; beta [B T H]; W, W_T [B H V K]. B * H blocks of V threads.

extern "C" __global__ void forward(
    const real* q, const real* k, const real* v, const real* beta, const real* W,
    real* y, real* W_T, int T, int H)
{
    const int b = blockIdx.x / H, h = blockIdx.x % H, i = threadIdx.x;
    real* w = W_T + ((long long)blockIdx.x * V + i) * K;
    for (int j = 0; j < K; j++) w[j] = W[((long long)blockIdx.x * V + i) * K + j];

    for (int t = 0; t < T; t++) {
        const long long now = ((long long)b * T + t) * H + h;
        real v_old = 0, y_i = 0;
        for (int j = 0; j < K; j++) v_old += w[j] * k[now * K + j];
        const real u_i = beta[now] * (v[now * V + i] - v_old);
        for (int j = 0; j < K; j++) w[j] += u_i * k[now * K + j];
        for (int j = 0; j < K; j++) y_i += w[j] * q[now * K + j];
        y[now * V + i] = y_i;
    }
}
