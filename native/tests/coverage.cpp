// Edge counters for libFuzzer. GCC reports each branch as a call with the place it was made from;
// libFuzzer wants an array of counters, which stoker.fuzz finds by the two names below.
#include <cstddef>
#include <cstdint>

namespace {
constexpr size_t kCounters = size_t(1) << 14;  // places are hashed; a collision only hides one
uint8_t counters[kCounters];
}  // namespace

extern "C" {

[[gnu::visibility("default")]] uint8_t* stoker_coverage_begin() { return counters; }
[[gnu::visibility("default")]] uint8_t* stoker_coverage_end() { return counters + kCounters; }

// Threads of the pool may lose a count between them; only whether it is zero matters much.
[[gnu::visibility("default"), gnu::no_sanitize_address, gnu::no_sanitize_undefined]]
void __sanitizer_cov_trace_pc() {
    const auto place = uintptr_t(__builtin_return_address(0)) - uintptr_t(&counters);
    uint8_t& counter = counters[(place ^ place >> 14) % kCounters];
    __atomic_store_n(&counter, uint8_t(counter + 1 ? counter + 1 : 1), __ATOMIC_RELAXED);
}
}
