// Where this library lies in memory, and its thread-local storage: the __shared__ arrays.
#include <algorithm>
#include <cstdint>
#include <link.h>

struct Image { uintptr_t first, end; char* tls; size_t tls_size; };

static int look(dl_phdr_info* info, size_t, void* out)
{
    const auto here = reinterpret_cast<uintptr_t>(&look) - info->dlpi_addr;
    bool ours = false;
    Image found = {info->dlpi_addr, 0, static_cast<char*>(info->dlpi_tls_data), 0};
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const auto& part = info->dlpi_phdr[i];
        if (part.p_type == PT_TLS) found.tls_size = part.p_memsz;
        if (part.p_type != PT_LOAD) continue;
        ours |= here - part.p_vaddr < part.p_memsz;
        found.end = std::max<uintptr_t>(found.end, found.first + part.p_vaddr + part.p_memsz);
    }
    if (!found.tls) found.tls_size = 0;
    if (ours) *static_cast<Image*>(out) = found;
    return ours;
}

static Image own_image()
{
    Image image = {};
#if !defined(ASAN) && !defined(TSAN)
    [[maybe_unused]] static thread_local volatile char touched;
    touched = 1;                                 // the storage is there from the first use on
    dl_iterate_phdr(look, &image);
#endif
    return image;
}
