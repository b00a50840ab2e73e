// A team of threads that shares out small items of work.
//
// Each thread has a range of neighbouring items and takes them in order, so that it reads weights as
// one stream; one that is done takes from the end of another's range. The machine is shared with the
// HTTP front, so no thread may count on another being scheduled: the caller works too, and waits
// only for items that were claimed and not finished. A worker that never wakes up costs nothing but
// its share. Which thread runs an item never changes a result.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace stoker {

class ThreadPool {
public:
    explicit ThreadPool(int threads);  // counting the caller
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int size() const { return threads_; }

    // Calls work(item, thread) once for each item in [0, count) and returns when all are done. `thread` is in [0, size()). Not reentrant; one caller at a time; no exceptions.
    template <class Work>
    void run(int count, const Work& work) {
        if (count <= 1 || threads_ == 1) {
            for (int item = 0; item < count; ++item) work(item, 0);
            return;
        }
        run_shared(count, [](const void* context, int item, int thread) {
            (*static_cast<const Work*>(context))(item, thread);
        }, &work);
    }

private:
    using Function = void (*)(const void* context, int item, int thread);

    // Items of one thread that nobody has claimed: first in the high half, end in the low one. A
    // claim is a compare-and-swap, so it takes an item that is unclaimed at that moment, of
    // whichever run; its function and context are read afterwards and cannot change before the item
    // is finished.
    struct alignas(64) Range {
        std::atomic<uint64_t> bits{0};
    };

    void run_shared(int count, Function function, const void* context);
    void worker(int thread);
    void work_off(int thread);
    int claim_first(Range& range);
    int claim_last(Range& range);
    void run_item(int item, int thread);
    void wait_for_work(uint32_t seen);

    std::unique_ptr<Range[]> ranges_;
    std::atomic<Function> function_{nullptr};
    std::atomic<const void*> context_{nullptr};
    alignas(64) std::atomic<int> unfinished_{0};
    alignas(64) std::atomic<uint32_t> run_number_{0};
    std::atomic<int> sleepers_{0};
    std::atomic<bool> stopping_{false};
    int threads_;
    std::vector<std::thread> workers_;
};

}  // namespace stoker
