// Step 4: a warp shares a row of W. Lane j owns the columns j, j + 32, ...
//
//     W = W + beta (v - W k) ⊗ k
//     y = W q
//
// Neighbours now touch neighbours: whole sectors, no bank conflicts, no padding. The price
// is a sum over the warp: five times, every lane adds what a lane farther away holds, and
// then all of them know the sum. Each lane reads only what it wrote itself, so W needs no
// barrier.
//
// q, k [B T H K]; v, y [B T H V]; beta [B T H]; W, W_T [B H V K]. B * H blocks of warps.

__device__ real warp_sum(real x)
{
    for (int far = 16; far > 0; far /= 2) x += __shfl_xor_sync(~0u, x, far);
    return x;
}

extern "C" __global__ void forward(
    const real* q, const real* k, const real* v, const real* beta, const real* W,
    real* y, real* W_T, int T, int H)
{
    __shared__ real w[V][K];
    const int b = blockIdx.x / H, h = blockIdx.x % H, lane = threadIdx.x % 32;
    const int first = threadIdx.x / 32, warps = blockDim.x / 32;
    const long long matrix = (long long)blockIdx.x * V * K;
    for (int i = first; i < V; i += warps)
        for (int j = lane; j < K; j += 32) w[i][j] = W[matrix + i * K + j];

    for (int t = 0; t < T; t++) {
        const long long now = ((long long)b * T + t) * H + h;
        for (int i = first; i < V; i += warps) {
            real v_old = 0, y_i = 0;
            for (int j = lane; j < K; j += 32) v_old += w[i][j] * k[now * K + j];
            const real u_i = beta[now] * (v[now * V + i] - warp_sum(v_old));
            for (int j = lane; j < K; j += 32) {
                w[i][j] += u_i * k[now * K + j];
                y_i += w[i][j] * q[now * K + j];
            }
            y_i = warp_sum(y_i);
            if (lane == 0) y[now * V + i] = y_i;
        }
    }
    for (int i = first; i < V; i += warps)
        for (int j = lane; j < K; j += 32) W_T[matrix + i * K + j] = w[i][j];
}
