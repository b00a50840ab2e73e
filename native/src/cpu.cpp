// Which kernels this machine can run.
#include <cstring>

#include "stoker/kernels.h"

namespace stoker {
namespace {

bool has_avx512_vnni() {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni");
#else
    return false;
#endif
}

bool has_avx2() {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("f16c");
#else
    return false;
#endif
}

}  // namespace

const Kernels* find_kernels(const char* name) {
    const bool any = std::strcmp(name, "auto") == 0;
#if defined(__x86_64__)
    if ((any || std::strcmp(name, kAvx512Kernels.name) == 0) && has_avx512_vnni()) return &kAvx512Kernels;
    if ((any || std::strcmp(name, kAvx2Kernels.name) == 0) && has_avx2()) return &kAvx2Kernels;
#endif
    if (any || std::strcmp(name, kPortableKernels.name) == 0) return &kPortableKernels;
    return nullptr;
}

}  // namespace stoker
