#include "stoker/memory.h"

#include <sys/mman.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

#include <algorithm>
#include <new>
#include <utility>

namespace stoker {
namespace {
constexpr size_t kHugePage = size_t(2) << 20;
constexpr size_t kChunk = size_t(32) << 20;
constexpr size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

#if defined(__SANITIZE_ADDRESS__)
void poison(const uint8_t* data, size_t bytes) { __asan_poison_memory_region(data, bytes); }
void unpoison(const uint8_t* data, size_t bytes) { __asan_unpoison_memory_region(data, bytes); }
#else
void poison(const uint8_t*, size_t) {}
void unpoison(const uint8_t*, size_t) {}
#endif
}  // namespace

Mapping::Mapping(size_t bytes, Pages pages) : size_(round_up(std::max<size_t>(bytes, 1), kHugePage)) {
    void* mapped = mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    if (pages == Pages::Huge) madvise(mapped, size_, MADV_HUGEPAGE);
    data_ = static_cast<uint8_t*>(mapped);
    guard(bytes, size_ - bytes);
}

Mapping::~Mapping() {
    if (!data_) return;
    for (const Guard& guard : guards_) unpoison(data_ + guard.offset, guard.bytes);
    munmap(data_, size_);
}

void Mapping::guard(size_t offset, size_t bytes) {
    if (kGuard == 0 || bytes == 0) return;
    guards_.push_back({offset, bytes});
    poison(data_ + offset, bytes);
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)),
      guards_(std::move(other.guards_)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(guards_, other.guards_);
    return *this;
}

uint8_t* Arena::allocate(size_t bytes) {
    const size_t rounded = round_up(bytes, 64);
    if (chunks_.empty() || used_ + rounded + kGuard > chunks_.back().size()) {
        chunks_.emplace_back(std::max(rounded + kGuard, kChunk), Mapping::Pages::Huge);
        used_ = 0;
    }
    uint8_t* piece = chunks_.back().data() + used_;
    chunks_.back().guard(used_ + bytes, rounded + kGuard - bytes);
    used_ += rounded + kGuard;
    allocated_ += rounded;
    return piece;
}

}  // namespace stoker
