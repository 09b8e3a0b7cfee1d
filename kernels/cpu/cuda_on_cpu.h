// The words of CUDA C++ for g++: include this, then the kernel's source.
//
// Threads are fibers (fibers.h), blocks run one after the other, and shared memory is
// filled with NaN before every block. Not covered: textures, cooperative groups, clusters,
// half precision, inline PTX.
#pragma once
#include "fibers.h"
#include <cmath>
#include <type_traits>
#include <utility>

#ifdef __SANITIZE_THREAD__                       // what is ours is not to be watched
#define QUIET __attribute__((no_sanitize("thread"), noinline))
#else
#define QUIET __attribute__((noinline))
#endif

#define __global__
#define __device__ __attribute__((always_inline))    // nvcc does the same
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__ __restrict
// One thread of the machine runs a whole block, so thread-local is just "shared by the
// block", and its place is known: it can be poisoned and watched. (GCC ignores section
// attributes on the statics of templates.) The sanitizers want plain statics.
#if defined(ASAN) || defined(TSAN)
#define __shared__ static
#else
#define __shared__ static thread_local
#endif

struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) double2 { double x, y; };
constexpr int warpSize = 32;

namespace cpu {

// Call the kernel as the driver does, but look at its signature first.
template <class... A, size_t... I>
int launch(void (*kernel)(A...), dim3 grid, dim3 block, size_t shared, Argument* given,
           int n, std::index_sequence<I...>)
{
    const Argument wanted[] = {{
        std::is_pointer_v<A> ? POINTER : std::is_floating_point_v<A> ? REAL : INTEGER,
        int(sizeof(std::conditional_t<std::is_pointer_v<A>, std::remove_pointer_t<A>, A>)),
        nullptr}..., {}};
    if (!fits(wanted, sizeof...(A), given, n)) return 1;
    struct Call { void (*kernel)(A...); Argument* given; } call{kernel, given};
    const auto go = [](void* p) QUIET {
        auto* c = static_cast<Call*>(p);
        c->kernel(*static_cast<std::remove_reference_t<A>*>(c->given[I].value)...);
    };
    return run(grid, block, shared, go, &call);
}

// ---- what threads of a warp tell each other -----------------------------------------

template <class T> QUIET T exchange(unsigned mask, T x, int source, int line)
{
    static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
    T result = x;
    __builtin_memcpy(&self->offer, &x, sizeof x);
    wait(AT_WARP, line, mask, false);
    const unsigned from = self->number - self->lane + source;
    if (source >= 0 && source < 32 && (mask >> source & 1) && from < fiber_count)
        __builtin_memcpy(&result, &fibers[from].offer, sizeof result);
    wait(AT_WARP, line, mask, false);
    return result;
}

QUIET inline int within(int source, int width)   // outside its group a lane keeps its own
{
    const int first = self->lane & ~(width - 1);
    return source >= first && source < first + width ? source : self->lane;
}

QUIET inline uint3 thread_index() { return self->index; }
QUIET inline int lane() { return self->lane; }
inline unsigned mask_of(unsigned mask = ~0u) { return mask; }

template <class T> T shuffle(unsigned mask, T x, int line, int source, int width = 32)
{
    return exchange(mask, x, (lane() & ~(width - 1)) + (source & (width - 1)), line);
}
template <class T> T shuffle_xor(unsigned mask, T x, int line, int bits, int width = 32)
{
    return exchange(mask, x, within(lane() ^ bits, width), line);
}
template <class T>
T shuffle_by(unsigned mask, T x, int line, int sign, int distance, int width = 32)
{
    return exchange(mask, x, within(lane() + sign * distance, width), line);
}

template <class T> QUIET T add(T* p, std::type_identity_t<T> x)
{
    watch_atomic(p, sizeof(T), __builtin_return_address(0));
    const T old = *p;
    *p = old + x;
    return old;
}

}  // namespace cpu

#define threadIdx (cpu::thread_index())
#define blockIdx (cpu::block_index)
#define blockDim (cpu::block_size)
#define gridDim (cpu::grid_size)
#define __syncthreads() cpu::wait(cpu::AT_BLOCK, __LINE__)
#define __syncwarp(...) cpu::wait(cpu::AT_WARP, __LINE__, cpu::mask_of(__VA_ARGS__))
#define __shfl_sync(mask, x, ...) cpu::shuffle(mask, x, __LINE__, __VA_ARGS__)
#define __shfl_xor_sync(mask, x, ...) cpu::shuffle_xor(mask, x, __LINE__, __VA_ARGS__)
#define __shfl_down_sync(mask, x, ...) cpu::shuffle_by(mask, x, __LINE__, 1, __VA_ARGS__)
#define __shfl_up_sync(mask, x, ...) cpu::shuffle_by(mask, x, __LINE__, -1, __VA_ARGS__)
#define atomicAdd(p, x) cpu::add(p, x)
#define __ldg(p) (*(p))
