// Fibers: the threads of a CUDA block on one thread of the machine.
//
// Every CUDA thread has a stack of its own, and we switch between them by hand. Control
// moves only where CUDA lets threads wait: __syncthreads, __syncwarp, shuffles. So a run
// is deterministic, its order is ours to choose, and a kernel whose result depends on that
// order has a race.
#pragma once
#include <cstddef>
#include <cstdint>
#include <ucontext.h>

struct uint3 { unsigned x, y, z; };
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

namespace cpu {

enum State { RUNNING, AT_BLOCK, AT_WARP, DONE };
enum Order { FORWARD, BACKWARD, RANDOM };
enum Kind { INTEGER = 1, REAL = 2, POINTER = 3 };
struct Argument { int kind, size; void* value; };

struct Fiber {                                   // one CUDA thread
    uint3 index;
    int number, lane, warp;
    State state;
    int line;                                    // of the barrier it waits at
    unsigned mask;                               // of the lanes it waits for
    bool orders_memory;                          // __syncwarp does, a shuffle does not
    uint16_t warp_epoch;                         // how many __syncwarp it has passed
    uint64_t offer;                              // what it gives to a shuffle
    void* stack_pointer;
    char* stack;
    ucontext_t context;
    void *tsan, *asan;
};

constexpr size_t STACK = 256 * 1024;

extern Fiber *fibers, *self;                     // of the block that runs; the one that runs
extern unsigned fiber_count, seed;
extern int order;
extern uint3 block_index;
extern int block_number;
extern dim3 block_size, grid_size;
extern char* dynamic;                            // shared memory whose size the launch sets
extern const char* error;

// Let the scheduler go on until every thread of the block (or of the mask) waits here.
void wait(State state, int line, unsigned mask = 0, bool orders_memory = true);

// The threads of a block that will each do f(data); then one block after the other. False
// if a barrier never opens.
void set_up(dim3 block, char* stacks, void (*f)(void*), void* data);
bool run_block();

// Leave the kernel for good, from any of its threads; `error` says why.
void stop();

// Are these the arguments that the kernel takes? Else say in `error` what is wrong.
bool fits(const Argument* wanted, int expected, const Argument* given, int n);
int run(dim3 grid, dim3 block, size_t shared, void (*f)(void*), void* data);
void fail(const char* format, ...);

#ifdef CHECKED                                   // answered by checker.cpp
void watch_launch(char* shared, size_t n, char* tls, size_t tls_n, char* stacks, size_t m);
void watch_block();
void watch_barrier();
void watch_atomic(void* p, int size, void* place);
#else
inline void watch_launch(char*, size_t, char*, size_t, char*, size_t) {}
inline void watch_block() {}
inline void watch_barrier() {}
inline void watch_atomic(void*, int, void*) {}
#endif

}  // namespace cpu
