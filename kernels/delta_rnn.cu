// The recurrent half of the Delta RNN, version 2.  Reference: srwm_lite/delta_rnn.py
//
//     R = R + beta (v - R k) ⊗ k
//     y = z + R s                        s = softmax(y of the step before)
//
// The other half, z = W q, is a delta rule that hears nothing of y: delta_rule.cu does
// it for all steps beforehand. Nor does what is written into R depend on y; but y needs
// the whole of the y before. So the rows meet twice a step, and while they write, one
// warp more turns y into s.
//
// Backward goes through the steps once, from the end, and adds to dy what y gave to the
// step after, through the softmax:
//
//     ds = Rᵀ dy;  R -= beta e ⊗ k;  dy of the step before += s (ds - s . ds)
//
// R is walked back from R_T by what was written, e = v - R k. With dy known, the rest is
// the backward of a delta rule whose queries are s, and dz = dy: delta_rule.cu again.
// Every sum has one order: no atomics, and the same bits each time. Memory answers
// late, so a step asks for the numbers of the next one.
//
// Compile-time constants: real (float or double), V (value size; K is the same).
// Shapes, contiguous: z, k, v, s, y, e, dy, dz [B T H V]; beta [B T H]; R, R_T
// [B H V V]; y_0, dy_0 [B H V]. Of dy, only what reached y from outside comes in.
// Grid: B * H blocks. Block: a thread for each row or column, forward one warp more.

typedef long long Int;
constexpr int OWNERS = (V + 31) / 32 * 32;                   // of rows, or of columns

// Bring numbers that lie `apart` into the registers of a thread.
template <int N> __device__ void load(real* w, const real* from, Int apart)
{
    #pragma unroll
    for (int j = 0; j < N; j++) w[j] = from[j * apart];
}

// What a thread adds to its row (or column) of R; what it reads from it. Four sums, for
// an addition must wait for the one before.
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

// One warp computes s = softmax(y). A lane touches its own numbers only, for a shuffle
// is no barrier.
template <int N> __device__ void softmax(const real* y, real* s)
{
    const int lane = threadIdx.x % 32;
    real top = -1 / real(0), sum = 0;                        // NVRTC knows no INFINITY
    for (int j = lane; j < N; j += 32) top = y[j] > top ? y[j] : top;
    for (int far = 16; far > 0; far /= 2) {
        const real other = __shfl_xor_sync(~0u, top, far);
        top = other > top ? other : top;
    }
    for (int j = lane; j < N; j += 32) sum += s[j] = exp(y[j] - top);
    sum = warp_sum(sum);
    for (int j = lane; j < N; j += 32) s[j] /= sum;
}

struct In { real k, v, z, beta; };                           // of a step, for thread i
struct Back { real s, k, e, dy, beta; };                     // of a step, for thread j

extern "C" __global__ void forward(
    const real* z, const real* k, const real* v, const real* beta, const real* R,
    const real* y_0, real* s, real* y, real* e, real* R_T, int T, int H)
{
    __shared__ real k_s[V], y_s[V], s_s[V];
    const int i = threadIdx.x;
    const Int first = (Int)(blockIdx.x / H) * T * H + blockIdx.x % H;
    const Int row = ((Int)blockIdx.x * V + i) * V;
    const auto fetch = [&](Int at) { return In{k[at], v[at], z[at], beta[at / V]}; };
    real r[V];                                               // row i of R
    In x = {};
    if (i < V) {
        load<V>(r, R + row, 1);
        x = fetch(first * V + i);
        k_s[i] = x.k;
        y_s[i] = y_0[(Int)blockIdx.x * V + i];
    }
    for (int t = 0; t < T; t++) {
        const Int now = (first + (Int)t * H) * V + i;
        const In next = i < V && t + 1 < T ? fetch(now + H * V) : In{};
        __syncthreads();                                     // y and k are there
        if (i >= OWNERS) {
            softmax<V>(y_s, s_s);
        } else if (i < V) {
            const real e_i = x.v - read<V>(r, k_s);
            write<V>(r, x.beta * e_i, k_s);
            e[now] = e_i;
        }
        __syncthreads();                                     // s is there, k is free
        if (i < V) {
            const real y_i = x.z + read<V>(r, s_s);
            s[now] = s_s[i], y[now] = y_s[i] = y_i, k_s[i] = next.k;
        }
        x = next;
    }
    if (i < V) for (int j = 0; j < V; j++) R_T[row + j] = r[j];
}

extern "C" __global__ void backward(
    const real* s, const real* k, const real* beta, const real* e, const real* R_T,
    const real* dy, real* dz, real* dy_0, int T, int H)
{
    __shared__ real dy_s[V], e_s[V], of_warp[OWNERS / 32];
    const int j = threadIdx.x;
    const Int first = (Int)(blockIdx.x / H) * T * H + blockIdx.x % H;
    const auto fetch = [&](Int at) {
        return Back{s[at], k[at], e[at], dy[at], beta[at / V]};
    };
    real r[V], dy_j = 0;                                     // r is column j of R
    Back x = {};
    if (j < V) {
        load<V>(r, R_T + (Int)blockIdx.x * V * V + j, V);
        x = fetch((first + (Int)(T - 1) * H) * V + j);
        dy_j = x.dy;
    }
    for (int t = T - 1; t >= 0; t--) {
        const Int now = (first + (Int)t * H) * V + j;
        const Back before = j < V && t > 0 ? fetch(now - H * V) : Back{};
        if (j < V) dz[now] = dy_s[j] = dy_j, e_s[j] = x.e;
        __syncthreads();                                     // dy and e are there
        real ds = 0;
        if (j < V) {
            ds = read<V>(r, dy_s);
            write<V>(r, -x.beta * x.k, e_s);
        }
        const real part = warp_sum(x.s * ds);
        if (j % 32 == 0) of_warp[j / 32] = part;
        __syncthreads();                                     // s . ds, in parts, too
        real sum = of_warp[0];
        for (int w = 1; w < OWNERS / 32; w++) sum += of_warp[w];
        dy_j = before.dy + x.s * (ds - sum);
        x = before;
    }
    if (j < V) dy_0[(Int)blockIdx.x * V + j] = dy_j;
}
