#include "stoker/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>
#include <utility>

namespace stoker {
namespace {
constexpr size_t kHugePage = size_t(2) << 20;
constexpr size_t kChunk = size_t(32) << 20;
constexpr size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }
}  // namespace

Mapping::Mapping(size_t bytes, Pages pages) : size_(round_up(std::max<size_t>(bytes, 1), kHugePage)) {
    void* mapped = mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    if (pages == Pages::Huge) madvise(mapped, size_, MADV_HUGEPAGE);
    data_ = static_cast<uint8_t*>(mapped);
}

Mapping::~Mapping() {
    if (data_) munmap(data_, size_);
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

uint8_t* Arena::allocate(size_t bytes) {
    bytes = round_up(bytes, 64);
    if (chunks_.empty() || used_ + bytes > chunks_.back().size()) {
        chunks_.emplace_back(std::max(bytes, kChunk), Mapping::Pages::Huge);
        used_ = 0;
    }
    uint8_t* piece = chunks_.back().data() + used_;
    used_ += bytes;
    allocated_ += bytes;
    return piece;
}

}  // namespace stoker
