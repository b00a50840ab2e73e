// Element formats of model files, numbered as in GGUF, and the half-precision conversions that
// code outside the instruction-set kernels needs.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

// Functions in headers shared by files compiled for different instruction sets must never be emitted
// out of line: the linker would keep one copy, perhaps one this machine cannot run.
#define STOKER_INLINE [[gnu::always_inline]] inline

// Before a loop of constant length over an array of vectors: unrolled early, its elements become
// registers; otherwise GCC keeps the array in memory.
#define STOKER_UNROLL _Pragma("GCC unroll 8")

namespace stoker {

enum class TensorType : int32_t {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,
    Q8_0 = 8,
    Q4_K = 12,
    Q5_K = 13,
    Q6_K = 14,
    BF16 = 30,
};

struct BlockGeometry {
    int values;  // values in a block; 0 for a type we do not know
    int bytes;   // bytes of a block
};

STOKER_INLINE constexpr BlockGeometry block_geometry(TensorType type) {
    switch (type) {
        case TensorType::F32: return {1, 4};
        case TensorType::F16:
        case TensorType::BF16: return {1, 2};
        case TensorType::Q4_0: return {32, 18};
        case TensorType::Q4_1: return {32, 20};
        case TensorType::Q5_0: return {32, 22};
        case TensorType::Q5_1: return {32, 24};
        case TensorType::Q8_0: return {32, 34};
        case TensorType::Q4_K: return {256, 144};
        case TensorType::Q5_K: return {256, 176};
        case TensorType::Q6_K: return {256, 210};
    }
    return {0, 0};
}

STOKER_INLINE float half_to_float(uint16_t h) {
    const uint32_t sign = uint32_t(h & 0x8000) << 16;
    const uint32_t exponent = (h >> 10) & 0x1F;
    const uint32_t mantissa = h & 0x3FF;
    if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24 is exact in float
        const float magnitude = float(mantissa) * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    const uint32_t wide = exponent == 31 ? 0xFF : exponent + 112;
    return std::bit_cast<float>(sign | (wide << 23) | (mantissa << 13));
}

// Rounds to nearest, ties to even; overflows to infinity, as the hardware conversion does.
STOKER_INLINE uint16_t float_to_half(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    const uint16_t sign = uint16_t((bits >> 16) & 0x8000);
    const uint32_t magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) return sign | 0x7E00;
    if (magnitude >= 0x47800000) return sign | 0x7C00;
    if (magnitude < 0x38800000) {  // result is subnormal: let float addition do the rounding
        const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
        return sign | uint16_t(std::bit_cast<uint32_t>(shifted) - 0x3F000000);
    }
    const uint32_t odd = (magnitude >> 13) & 1;
    return sign | uint16_t((magnitude + 0xFFF + odd - 0x38000000) >> 13);
}

STOKER_INLINE float bfloat_to_float(uint16_t b) { return std::bit_cast<float>(uint32_t(b) << 16); }

template <class T>
STOKER_INLINE T load_unaligned(const void* source) {
    T value;
    std::memcpy(&value, source, sizeof value);
    return value;
}

}  // namespace stoker
