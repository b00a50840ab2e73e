// What timed runs share: a clock, threads that are awake, and memory that every run reads.
#pragma once

#include <atomic>
#include <chrono>
#include <cstring>
#include <string>
#include <tuple>

#include "arrays.h"
#include "stoker/kernels.h"
#include "stoker/memory.h"
#include "stoker/thread_pool.h"

namespace stoker {

using Measured = std::tuple<double, double, double>;  // seconds, bytes read, operations

template <class Work>
double seconds_of(const Work& work) {
    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    work();
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

inline const Kernels& named_kernels(const std::string& name) {
    const Kernels* kernels = find_kernels(name.c_str());
    require(kernels != nullptr, "kernels '" + name + "' cannot run here");
    return *kernels;
}

// Filled once and read by all runs, so that no run pays for fresh pages or for writing back what
// filling left in the caches, and the limit is that of the same pages. The bytes are small quants,
// and scales and halves of about 0.06.
struct Memory {
    explicit Memory(size_t megabytes) : bytes(checked(megabytes) << 20), mapping(bytes + 16384, Mapping::Pages::Huge) {
        std::memset(mapping.data(), 0x2C, mapping.size());
    }
    static size_t checked(size_t megabytes) {
        require(megabytes > 0 && megabytes <= size_t(1) << 20, "megabytes must be between 1 and 1048576");
        return megabytes;
    }
    size_t bytes;
    Mapping mapping;
};

// A pool whose threads are awake, and a place for results nobody needs.
struct Bench {
    Bench(const std::string& name, int threads) : kernels(named_kernels(name)), pool(checked(threads)) {
        pool.run(threads, [](int, int) {});
    }
    static int checked(int threads) {
        require(threads > 0 && threads <= 1024, "threads must be between 1 and 1024");
        return threads;
    }
    const Kernels& kernels;
    ThreadPool pool;
    std::atomic<float> sink = 0.0f;
};

void bind_measure_rows(nb::module_& measure);

}  // namespace stoker
