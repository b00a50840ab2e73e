// A team of threads that shares out small items of work.
//
// The machine is shared with the HTTP front, so no thread may count on another being scheduled:
// items are claimed one at a time, the caller works too, and it waits only for items that were
// claimed and not finished. A worker that never wakes up costs nothing but its share. Which thread
// runs an item never changes a result.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace stoker {

class ThreadPool {
public:
    explicit ThreadPool(int threads);  // counting the caller
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int size() const { return int(workers_.size()) + 1; }

    // Calls work(item, thread) once for each item in [0, count), from high to low, and returns when
    // all are done. `thread` is in [0, size()). Not reentrant; one caller at a time; no exceptions.
    template <class Work>
    void run(int count, const Work& work) {
        if (count <= 1 || workers_.empty()) {
            for (int item = count - 1; item >= 0; --item) work(item, 0);
            return;
        }
        run_shared(count, [](const void* context, int item, int thread) {
            (*static_cast<const Work*>(context))(item, thread);
        }, &work);
    }

private:
    using Function = void (*)(const void* context, int item, int thread);

    void run_shared(int count, Function function, const void* context);
    void worker(int thread);
    bool claim_and_run(int thread);
    void wait_for_work(uint32_t seen);

    // High half: number of the run; low half: items not yet claimed. A claim is a successful
    // decrement, so the function and context below cannot change under an item in progress.
    alignas(64) std::atomic<uint64_t> ticket_{0};
    std::atomic<Function> function_{nullptr};
    std::atomic<const void*> context_{nullptr};
    alignas(64) std::atomic<int> unfinished_{0};
    alignas(64) std::atomic<uint32_t> run_number_{0};
    std::atomic<int> sleepers_{0};
    std::atomic<bool> stopping_{false};
    std::vector<std::thread> workers_;
};

}  // namespace stoker
