// What stands around a kernel's source when it is compiled for the CPU. The emulator fills
// in SOURCE (the file), KERNELS (one LAUNCH a kernel) and, for the sanitizers, PROGRAM.
#include "cuda_on_cpu.h"
namespace {
#include SOURCE
}
#include <cstdio>
#include <cstdlib>
#include <cstring>

template <class... A>
static int launch_one(void (*kernel)(A...), const unsigned* g, const unsigned* b,
                      size_t shared, cpu::Argument* args, int n)
{
    return cpu::launch(kernel, {g[0], g[1], g[2]}, {b[0], b[1], b[2]}, shared, args, n,
                       std::index_sequence_for<A...>{});
}

#define EXPORT extern "C" __attribute__((visibility("default")))
#define LAUNCH(kernel) \
    if (!std::strcmp(name, #kernel)) return launch_one(kernel, g, b, shared, args, n);
EXPORT int run(const char* name, const unsigned* g, const unsigned* b, size_t shared,
               cpu::Argument* args, int n, int order, unsigned seed)
{
    cpu::order = order, cpu::seed = seed;
    KERNELS
    return cpu::fail("there is no kernel %s", name), 1;
}
EXPORT const char* why() { return cpu::error; }

#ifdef PROGRAM                                   // one launch, read from a file
int main(int, char** argv)
{
    std::FILE* f = std::fopen(argv[1], "rb");
    unsigned head[9];                            // grid, block, shared, arguments, order
    char name[64];
    const auto get = [f](void* p, size_t size) {
        if (size && std::fread(p, 1, size, f) != size) std::_Exit(99);
    };
    get(name, sizeof name), get(head, sizeof head);
    cpu::Argument args[64];
    void* arrays[64];                            // of exactly their size: one more is outside
    for (unsigned i = 0; i < head[7]; i++) {
        int kind_size_bytes[3];
        get(kind_size_bytes, sizeof kind_size_bytes);
        const auto [kind, size, bytes] = kind_size_bytes;
        arrays[i] = bytes ? std::malloc(bytes) : nullptr;
        get(arrays[i], bytes);
        args[i] = {kind, size, kind == cpu::POINTER ? static_cast<void*>(&arrays[i])
                                                    : arrays[i]};
    }
    std::fclose(f);
    if (!run(name, head, head + 3, head[6], args, head[7], head[8], 0)) return 0;
    std::fprintf(stderr, "%s\n", why());
    return 3;
}
#endif
