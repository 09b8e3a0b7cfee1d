// What happens around the blocks of a launch: arguments are compared with the signature,
// shared memory is poisoned.
#include "fibers.h"
#include "image.h"
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <sys/mman.h>
#include <vector>

namespace cpu {

uint3 block_index;
dim3 block_size, grid_size;
int block_number;
char* dynamic;
static char message[400];
const char* error = message;

void fail(const char* format, ...)
{
    va_list words;
    va_start(words, format);
    std::vsnprintf(message, sizeof message, format, words);
    va_end(words);
}

static void poison(char* p, size_t n) { if (n) std::memset(p, 0xFF, n); }   // NaN

bool fits(const Argument* wanted, int expected, const Argument* given, int n)
{
    static const char* const names[] = {"?", "integer", "real number", "pointer to items"};
    if (n != expected)
        return fail("the kernel takes %d arguments, got %d", expected, n), false;
    for (int i = 0; i < n; i++) {
        const Argument &w = wanted[i], &g = given[i];
        const bool null = g.kind == POINTER && g.size == 0 && w.kind == POINTER;
        if (null || (g.kind == w.kind && g.size == w.size)) continue;
        fail("argument %d: the kernel takes a %d-byte %s, got a %d-byte %s", i, w.size,
             names[w.kind], g.size, names[g.kind]);
        return false;
    }
    return true;
}

// A thread that touches no memory of ours ends the launch, not the process.
class Guard {
    static constexpr int SIGNALS[] = {SIGSEGV, SIGBUS, SIGFPE};
    struct sigaction before[3];

    static void crashed(int signal)
    {
        if (!self) return std::signal(signal, SIG_DFL), void();
        fail("thread (%u,%u,%u) of block %d %s", self->index.x, self->index.y,
             self->index.z, block_number,
             signal == SIGFPE ? "divides by zero" : "touches memory that is not there");
        stop();
    }

public:
    Guard()
    {
        struct sigaction ours = {};
        ours.sa_handler = crashed;
        ours.sa_flags = SA_NODEFER;              // we do not return from it
        for (int i = 0; i < 3; i++) sigaction(SIGNALS[i], &ours, &before[i]);
    }
    ~Guard() { for (int i = 0; i < 3; i++) sigaction(SIGNALS[i], &before[i], nullptr); }
};

int run(dim3 grid, dim3 block, size_t shared, void (*f)(void*), void* data)
{
    const unsigned n = block.x * block.y * block.z;
    if (n < 1 || n > 1024) return fail("a block has 1 to 1024 threads, not %u", n), 1;
    if (shared > 227 * 1024)
        return fail("a block has at most 227 KB of shared memory, not %zu bytes", shared), 1;
    std::vector<char> memory(shared + 16);
    dynamic = memory.data() + (-reinterpret_cast<uintptr_t>(memory.data()) & 15);
    void* stacks = mmap(nullptr, STACK * n, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stacks == MAP_FAILED) return fail("no memory for the stacks of %u threads", n), 1;
    grid_size = grid, block_size = block;
    set_up(block, static_cast<char*>(stacks), f, data);
    const auto [first, end, tls, tls_size] = own_image();
    watch_launch(dynamic, shared, tls, tls_size, static_cast<char*>(stacks), STACK * n);
#ifndef PROGRAM                                  // a sanitizer wants to see the crash
    const Guard guard;
#endif
    bool ok = true;
    for (unsigned b = 0; ok && b < grid.x * grid.y * grid.z; b++) {
        block_index = {b % grid.x, b / grid.x % grid.y, b / (grid.x * grid.y)};
        block_number = b;
        poison(dynamic, shared);
        poison(tls, tls_size);
        watch_block();
        ok = run_block();
    }
    munmap(stacks, STACK * n);
    return !ok;
}

}  // namespace cpu
