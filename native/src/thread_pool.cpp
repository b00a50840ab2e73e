#include "stoker/thread_pool.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace stoker {
namespace {

// About 50 microseconds: longer than the serial work between two phases of a step, far shorter
// than what a descheduled thread loses.
constexpr int kSpins = 2000;

constexpr uint64_t pack(uint64_t first, uint64_t end) { return first << 32 | end; }
constexpr int first_of(uint64_t bits) { return int(bits >> 32); }
constexpr int end_of(uint64_t bits) { return int(uint32_t(bits)); }

void pause() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) : ranges_(new Range[size_t(threads)]), threads_(threads) {
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
    for (int thread = 0; thread < threads_; ++thread) {
        const uint64_t first = uint64_t(count) * uint64_t(thread) / uint64_t(threads_);
        const uint64_t end = uint64_t(count) * uint64_t(thread + 1) / uint64_t(threads_);
        ranges_[size_t(thread)].bits.store(pack(first, end), std::memory_order_release);
    }
    run_number_.fetch_add(1, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) run_number_.notify_all();
    work_off(0);
    for (int spins = 0; unfinished_.load(std::memory_order_acquire) > 0; ++spins) {
        if (spins < kSpins) {
            pause();
        } else {
            std::this_thread::yield();
        }
    }
}

int ThreadPool::claim_first(Range& range) {
    uint64_t bits = range.bits.load(std::memory_order_acquire);
    while (first_of(bits) < end_of(bits)) {
        if (range.bits.compare_exchange_weak(bits, bits + (uint64_t(1) << 32), std::memory_order_acq_rel,
                                             std::memory_order_acquire)) {
            return first_of(bits);
        }
    }
    return -1;
}

int ThreadPool::claim_last(Range& range) {
    uint64_t bits = range.bits.load(std::memory_order_acquire);
    while (first_of(bits) < end_of(bits)) {
        if (range.bits.compare_exchange_weak(bits, bits - 1, std::memory_order_acq_rel,
                                             std::memory_order_acquire)) {
            return end_of(bits) - 1;
        }
    }
    return -1;
}

void ThreadPool::run_item(int item, int thread) {
    function_.load(std::memory_order_relaxed)(context_.load(std::memory_order_relaxed), item, thread);
    unfinished_.fetch_sub(1, std::memory_order_acq_rel);
}

// Own items from the front, then those of the others from the back.
void ThreadPool::work_off(int thread) {
    for (int item; (item = claim_first(ranges_[size_t(thread)])) >= 0;) run_item(item, thread);
    for (int step = 1; step < threads_; ++step) {
        Range& other = ranges_[size_t((thread + step) % threads_)];
        for (int item; (item = claim_last(other)) >= 0;) run_item(item, thread);
    }
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
        work_off(thread);
        wait_for_work(seen);
    }
}

}  // namespace stoker
