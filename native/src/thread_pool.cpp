#include "stoker/thread_pool.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace stoker {
namespace {

// About 50 microseconds: longer than the serial work between two phases of a step, far shorter
// than what a descheduled thread loses.
constexpr int kSpins = 2000;

void pause() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
    for (int thread = 1; thread < threads; ++thread) {
        workers_.emplace_back([this, thread] { worker(thread); });
    }
}

ThreadPool::~ThreadPool() {
    stopping_.store(true);
    run_number_.fetch_add(1);
    run_number_.notify_all();
    for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run_shared(int count, Function function, const void* context) {
    function_.store(function, std::memory_order_relaxed);
    context_.store(context, std::memory_order_relaxed);
    unfinished_.store(count, std::memory_order_relaxed);
    const uint32_t run = run_number_.load(std::memory_order_relaxed) + 1;
    ticket_.store(uint64_t(run) << 32 | uint32_t(count), std::memory_order_release);
    run_number_.store(run, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) run_number_.notify_all();
    while (claim_and_run(0)) {
    }
    for (int spins = 0; unfinished_.load(std::memory_order_acquire) > 0; ++spins) {
        if (spins < kSpins) {
            pause();
        } else {
            std::this_thread::yield();
        }
    }
}

bool ThreadPool::claim_and_run(int thread) {
    uint64_t ticket = ticket_.load(std::memory_order_acquire);
    do {
        if (uint32_t(ticket) == 0) return false;
    } while (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel,
                                            std::memory_order_acquire));
    const int item = int(uint32_t(ticket)) - 1;
    function_.load(std::memory_order_relaxed)(context_.load(std::memory_order_relaxed), item, thread);
    unfinished_.fetch_sub(1, std::memory_order_acq_rel);
    return true;
}

void ThreadPool::wait_for_work(uint32_t seen) {
    for (int spins = 0; spins < kSpins; ++spins) {
        if (run_number_.load(std::memory_order_acquire) != seen) return;
        pause();
    }
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    run_number_.wait(seen, std::memory_order_seq_cst);
    sleepers_.fetch_sub(1, std::memory_order_seq_cst);
}

void ThreadPool::worker(int thread) {
    while (!stopping_.load(std::memory_order_relaxed)) {
        const uint32_t seen = run_number_.load(std::memory_order_acquire);
        while (claim_and_run(thread)) {
        }
        wait_for_work(seen);
    }
}

}  // namespace stoker
