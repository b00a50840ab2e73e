// Large, 64-byte aligned, zeroed memory straight from the kernel. Pages cost nothing until touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace stoker {

// Bytes left between pieces of a mapping for `guard`; none but in a sanitizer build.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr size_t kGuard = 64;
#else
inline constexpr size_t kGuard = 0;
#endif

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

    // In a sanitizer build, touching these bytes is reported from now on. The end is guarded already.
    void guard(size_t offset, size_t bytes);

private:
    struct Guard { size_t offset, bytes; };

    uint8_t* data_ = nullptr;
    size_t size_ = 0;
    std::vector<Guard> guards_;
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
