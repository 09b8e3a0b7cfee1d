// Switch between fibers, open barriers, run a block. Compiled once for each kind of run,
// never instrumented itself; TSAN or ASAN is defined where the kernel is.
#include "fibers.h"
#include <algorithm>
#include <cstdio>
#include <random>
#include <ucontext.h>
#include <vector>
#ifdef ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace cpu {

Fiber *fibers, *self;
unsigned fiber_count, seed;
int order;

static std::vector<Fiber> all;
static std::vector<int> turn;                    // who goes first
static std::mt19937 random_order;
static Fiber scheduler;
static char* stacks;
static bool stopped;
static void (*body)(void*);                      // what every fiber does
static void* body_data;

// ---- switching ----------------------------------------------------------------------

#if defined(__x86_64__) && !defined(ASAN) && !defined(TSAN)
#define BY_HAND 1                                // ten times faster than swapcontext
extern "C" void cuda_on_cpu_switch(void** save, void* load);
asm(R"(
.text
.type cuda_on_cpu_switch,@function
cuda_on_cpu_switch:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
.size cuda_on_cpu_switch,.-cuda_on_cpu_switch
)");
#endif

#ifdef TSAN                                      // a switch orders nothing, a barrier does
static char start_mark, end_mark, barrier_mark;  // addresses that stand for the barriers
static std::vector<char> warp_marks;
static void appear_as(const Fiber& f)
{
    __tsan_switch_to_fiber(f.tsan, __tsan_switch_to_fiber_no_sync);
}
static void acquire(char* mark) { __tsan_acquire(mark); }
static void release(char* mark) { __tsan_release(mark); }
#else
static char start_mark, end_mark;
static void acquire(char*) {}
static void release(char*) {}
static void appear_as(const Fiber&) {}
#endif

static void swap(Fiber& from, Fiber& to, bool for_good = false)
{
    appear_as(to);
#ifdef ASAN
    __sanitizer_start_switch_fiber(for_good ? nullptr : &from.asan, to.stack, STACK);
#endif
    (void)for_good;
#ifdef BY_HAND
    cuda_on_cpu_switch(&from.stack_pointer, to.stack_pointer);
#else
    swapcontext(&from.context, &to.context);
#endif
#ifdef ASAN
    __sanitizer_finish_switch_fiber(from.asan, nullptr, nullptr);
#endif
}

void wait(State state, int line, unsigned mask, bool orders_memory)
{
    self->state = state;
    self->line = line;
    self->mask = mask;
    self->orders_memory = orders_memory;
    swap(*self, scheduler);
}

void stop()
{
    stopped = true;
    swap(*self, scheduler, true);
}

static void enter()
{
#ifdef ASAN
    const void* bottom;                          // of the scheduler's stack, learnt here
    size_t size;
    __sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
    scheduler.stack = static_cast<char*>(const_cast<void*>(bottom));
#endif
    acquire(&start_mark);
    body(body_data);
    release(&end_mark);
    self->state = DONE;
    swap(*self, scheduler, true);
}

static void prepare(Fiber& f, char* stack)
{
    f.state = RUNNING;
    f.warp_epoch = 0;
    f.stack = stack;
#ifdef BY_HAND
    void** top = reinterpret_cast<void**>(stack + STACK) - 2;
    *top = reinterpret_cast<void*>(&enter);      // where the first switch "returns" to
    f.stack_pointer = std::fill_n(top - 6, 6, nullptr) - 6;
#else
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = stack;
    f.context.uc_stack.ss_size = STACK;
    f.context.uc_link = nullptr;
    makecontext(&f.context, enter, 0);
#endif
#ifdef TSAN
    f.tsan = __tsan_create_fiber(0);
#endif
}

// ---- barriers -----------------------------------------------------------------------

static void open(const std::vector<Fiber*>& group, bool block, bool orders_memory)
{
#ifdef TSAN                                      // as if each thread did it in turn
    char* mark = block ? &barrier_mark : &warp_marks[group[0]->number];
    for (size_t i = 0, n = group.size(); orders_memory && i < 2 * n; i++) {
        appear_as(*group[i % n]);
        i < n ? release(mark) : acquire(mark);
    }
    appear_as(scheduler);
#endif
    for (Fiber* f : group) {
        f->state = RUNNING;
        f->warp_epoch += orders_memory && !block;
    }
}

// A warp barrier opens when every lane of the mask waits there with the same mask.
static bool open_warps()
{
    bool opened = false;
    for (unsigned i = 0; i < fiber_count; i++) {
        const Fiber& f = fibers[i];
        if (f.state != AT_WARP) continue;
        std::vector<Fiber*> group;
        bool all = true;
        for (unsigned lane = 0; lane < 32; lane++) {
            const unsigned other = i - f.lane + lane;
            if (!(f.mask >> lane & 1) || other >= fiber_count) continue;
            group.push_back(&fibers[other]);
            all &= fibers[other].state == AT_WARP && fibers[other].mask == f.mask;
        }
        if (all) open(group, false, f.orders_memory);
        opened |= all;
    }
    return opened;
}

static bool refuse(const Fiber& f, const char* why, int line = 0)
{
    char but[100];
    std::snprintf(but, sizeof but, why, line);
    fail("divergent barrier: thread (%u,%u,%u) waits at line %d, but %s", f.index.x,
         f.index.y, f.index.z, f.line, but);
    return false;
}

// __syncthreads opens when all threads of the block wait at the same line.
static bool open_block()
{
    std::vector<Fiber*> group;
    for (Fiber* f = fibers; f < fibers + fiber_count; f++)
        if (f->state == AT_BLOCK) group.push_back(f);
        else if (f->state == AT_WARP)
            return refuse(*f, "not every lane that it waits for ever comes there");
    for (const Fiber* f : group)
        if (f->line != group[0]->line)
            return refuse(*group[0], "another thread waits at line %d", f->line);
    if (group.size() < fiber_count) return refuse(*group[0], "another thread has returned");
    watch_barrier();
    open(group, true, true);
    return true;
}

static bool run_to_the_end()
{
    for (;;) {
        if (order == RANDOM) std::shuffle(turn.begin(), turn.end(), random_order);
        for (int i : turn) {
            if (fibers[i].state != RUNNING) continue;
            self = &fibers[i];
            swap(scheduler, *self);
            self = nullptr;
            if (stopped) return false;
        }
        if (std::all_of(fibers, fibers + fiber_count,
                        [](const Fiber& f) { return f.state == DONE; }))
            return true;
        if (!open_warps() && !open_block()) return false;
    }
}

void set_up(dim3 block, char* memory, void (*f)(void*), void* data)
{
    all.assign(block.x * block.y * block.z, Fiber());
    fibers = all.data(), fiber_count = all.size(), stacks = memory;
    body = f, body_data = data, stopped = false;
    random_order.seed(seed);
    turn.resize(fiber_count);
    for (unsigned i = 0; i < fiber_count; i++) {
        all[i].index = {i % block.x, i / block.x % block.y, i / (block.x * block.y)};
        all[i].number = i, all[i].lane = i % 32, all[i].warp = i / 32;
        turn[i] = order == BACKWARD ? fiber_count - 1 - i : i;
    }
#ifdef TSAN
    scheduler.tsan = __tsan_get_current_fiber();
    warp_marks.assign(fiber_count, 0);
#endif
}

bool run_block()
{
    for (Fiber& f : all) prepare(f, stacks + STACK * f.number);
    release(&start_mark);
    const bool ok = run_to_the_end();
    acquire(&end_mark);
#ifdef TSAN
    for (Fiber& f : all) __tsan_destroy_fiber(f.tsan);
#endif
    return ok;
}

}  // namespace cpu
