// Large, 64-byte aligned, zeroed memory straight from the kernel. Pages cost nothing until touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace stoker {

// One anonymous mapping. Throws std::bad_alloc when the system refuses.
class Mapping {
public:
    enum class Pages { Normal, Huge };  // Huge: asks for 2 MiB pages, a hint only

    Mapping() = default;
    Mapping(size_t bytes, Pages pages);
    ~Mapping();
    Mapping(Mapping&& other) noexcept;
    Mapping& operator=(Mapping&& other) noexcept;

    uint8_t* data() const { return data_; }
    size_t size() const { return size_; }

private:
    uint8_t* data_ = nullptr;
    size_t size_ = 0;
};

// Bump allocator over huge mappings, for weights: many pieces, one lifetime.
class Arena {
public:
    uint8_t* allocate(size_t bytes);
    size_t allocated() const { return allocated_; }

private:
    std::vector<Mapping> chunks_;
    size_t used_ = 0;  // of the last chunk
    size_t allocated_ = 0;
};

}  // namespace stoker
