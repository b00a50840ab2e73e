// What the machine can do at most with this instruction set, for `stoker bench kernels`: loops that
// do nothing but read, multiply integers or multiply floats.
#pragma once

#include <cstddef>
#include <cstdint>

#include "stoker/kernels.h"

namespace stoker::STOKER_ISA {

// Reads every byte once; the sum keeps the compiler from leaving it out.
inline float read_bytes(const uint8_t* data, size_t bytes) {
    constexpr size_t kBlock = 1024;
    F sums[4] = {zero(), zero(), zero(), zero()};
    for (size_t at = 0; at + kBlock <= bytes; at += kBlock) {
        const uint8_t* block = data + at;
        for (size_t line = 0; line < kBlock; line += 256) {
            STOKER_UNROLL
            for (int i = 0; i < 4; ++i) {
                prefetch(block + 8192 + line + 64 * i);
                sums[i] = max(sums[i], load(reinterpret_cast<const float*>(block + line + 64 * i)));
            }
        }
    }
    return reduce_max(max(max(sums[0], sums[1]), max(sums[2], sums[3])));
}

inline constexpr int kDotChains = kAccumulators < 8 ? 2 : 12;
inline constexpr int kFmaChains = kAccumulators < 8 ? 6 : 12;

// The kernels' own dot product, of 4-bit weights: the fastest there is. Each chain takes its
// activations anew, or compilers would multiply once for all of them.
inline int32_t dot_loop(size_t count) {
    alignas(64) uint8_t bytes[4][64];
    alignas(64) int8_t activations[16];
    for (int i = 0; i < 256; ++i) bytes[i / 64][i % 64] = uint8_t(i * 7 & 15);
    for (int i = 0; i < 16; ++i) activations[i] = int8_t(i);
    const B weights[4] = {load_b(bytes[0]), load_b(bytes[1]), load_b(bytes[2]), load_b(bytes[3])};
    I sums[kDotChains];
    for (int c = 0; c < kDotChains; ++c) sums[c] = splat_int(c);
    for (size_t i = 0; i < count; ++i) {
        _Pragma("GCC unroll 16")
        for (int c = 0; c < kDotChains; ++c) {
            asm volatile("" : "+m"(activations));
            sums[c] = dot_sixteen<4>(sums[c], weights, activations);
        }
    }
    F total = zero();
    for (int c = 0; c < kDotChains; ++c) total = total + to_float(sums[c]);
    return int32_t(reduce_max(total));
}

inline float fma_loop(size_t count) {
    F sums[kFmaChains];
    for (int c = 0; c < kFmaChains; ++c) sums[c] = splat(float(c));
    const F factor = splat(0.999f), term = splat(0.5f);
    for (size_t i = 0; i < count; ++i) {
        _Pragma("GCC unroll 16")
        for (int c = 0; c < kFmaChains; ++c) sums[c] = fma(sums[c], factor, term);
    }
    F total = zero();
    for (int c = 0; c < kFmaChains; ++c) total = total + sums[c];
    return reduce_add(total);
}

inline constexpr double kOpsPerDot = kDotChains * 512;  // 16 lanes x 16 products and sums
inline constexpr double kOpsPerFma = kFmaChains * 32;

}  // namespace stoker::STOKER_ISA
