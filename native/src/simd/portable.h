// Sixteen lanes in plain C++, for any machine. Correct first; the compiler vectorises what it can.
// Multiply-add is not fused here, so results differ from the other sets in the last bits.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "stoker/formats.h"

namespace stoker::STOKER_ISA {

inline constexpr const char* kName = "portable";
inline constexpr int kRowBlock = 4;
inline constexpr int kDenseTiles = 1;     // tiles of a dense matrix computed side by side
inline constexpr int kAccumulators = 4;

struct F { float v[16]; };
struct I { int32_t v[16]; };
struct B { uint8_t v[64]; };

template <class Out, class Function>
inline Out lanes(Function f) {
    Out out;
    for (int i = 0; i < 16; ++i) out.v[i] = f(i);
    return out;
}
template <class Function>
STOKER_INLINE B bytes(Function f) {
    B out;
    for (int i = 0; i < 64; ++i) out.v[i] = uint8_t(f(i));
    return out;
}

STOKER_INLINE F load(const float* p) { return lanes<F>([&](int i) { return p[i]; }); }
STOKER_INLINE void store(float* p, F a) { std::memcpy(p, a.v, sizeof a.v); }
STOKER_INLINE F splat(float x) { return lanes<F>([&](int) { return x; }); }
STOKER_INLINE F zero() { return splat(0.0f); }
STOKER_INLINE F operator+(F a, F b) { return lanes<F>([&](int i) { return a.v[i] + b.v[i]; }); }
STOKER_INLINE F operator-(F a, F b) { return lanes<F>([&](int i) { return a.v[i] - b.v[i]; }); }
STOKER_INLINE F operator*(F a, F b) { return lanes<F>([&](int i) { return a.v[i] * b.v[i]; }); }
STOKER_INLINE F operator/(F a, F b) { return lanes<F>([&](int i) { return a.v[i] / b.v[i]; }); }
STOKER_INLINE F fma(F a, F b, F c) { return lanes<F>([&](int i) { return a.v[i] * b.v[i] + c.v[i]; }); }
STOKER_INLINE F max(F a, F b) { return lanes<F>([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; }); }
STOKER_INLINE F min(F a, F b) { return lanes<F>([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; }); }
STOKER_INLINE F abs(F a) { return lanes<F>([&](int i) { return std::fabs(a.v[i]); }); }
STOKER_INLINE F round(F a) { return lanes<F>([&](int i) { return std::nearbyint(a.v[i]); }); }
STOKER_INLINE F select_less(F x, F limit, F a, F b) {
    return lanes<F>([&](int i) { return x.v[i] < limit.v[i] ? a.v[i] : b.v[i]; });
}
STOKER_INLINE F select_lanes(int first, int last, F a, F b) {
    return lanes<F>([&](int i) { return i >= first && i < last ? a.v[i] : b.v[i]; });
}
STOKER_INLINE F scale_exponent(F a, F n) {
    return lanes<F>([&](int i) {
        const uint32_t bits = std::bit_cast<uint32_t>(a.v[i]) + (uint32_t(int32_t(n.v[i])) << 23);
        return std::bit_cast<float>(bits);
    });
}
// Order of the sum: lanes 8 apart, then 4, 2, 1. The same on every set.
STOKER_INLINE float reduce_add(F a) {
    for (int width = 8; width > 0; width /= 2) {
        for (int i = 0; i < width; ++i) a.v[i] += a.v[i + width];
    }
    return a.v[0];
}
STOKER_INLINE float reduce_max(F a) {
    float most = a.v[0];
    for (int i = 1; i < 16; ++i) most = a.v[i] > most ? a.v[i] : most;
    return most;
}
STOKER_INLINE bool any_nan(F a) {
    bool found = false;
    for (int i = 0; i < 16; ++i) found |= a.v[i] != a.v[i];
    return found;
}

STOKER_INLINE F load_half(const uint16_t* p) { return lanes<F>([&](int i) { return half_to_float(p[i]); }); }
STOKER_INLINE void store_half(uint16_t* p, F a) {
    for (int i = 0; i < 16; ++i) p[i] = float_to_half(a.v[i]);
}
STOKER_INLINE F load_bfloat(const uint16_t* p) {
    return lanes<F>([&](int i) { return bfloat_to_float(p[i]); });
}

// Clamps like the hardware would only for values in range; callers never leave the int32 range.
STOKER_INLINE I to_int(F a) { return lanes<I>([&](int i) { return int32_t(std::nearbyint(a.v[i])); }); }
STOKER_INLINE F to_float(I a) { return lanes<F>([&](int i) { return float(a.v[i]); }); }
STOKER_INLINE I splat_int(int32_t x) { return lanes<I>([&](int) { return x; }); }
STOKER_INLINE I operator+(I a, I b) { return lanes<I>([&](int i) { return a.v[i] + b.v[i]; }); }
STOKER_INLINE void store_bytes(int8_t* p, I a) {
    for (int i = 0; i < 16; ++i) p[i] = int8_t(a.v[i]);
}

// Sum of sixteen signed bytes.
STOKER_INLINE int32_t sum_bytes(const int8_t* p) {
    int32_t sum = 0;
    for (int i = 0; i < 16; ++i) sum += p[i];
    return sum;
}

STOKER_INLINE B load_b(const uint8_t* p) { return bytes([&](int i) { return p[i]; }); }
STOKER_INLINE void store_b(uint8_t* p, B a) { std::memcpy(p, a.v, sizeof a.v); }
STOKER_INLINE B low_nibbles(B a) { return bytes([&](int i) { return a.v[i] & 15; }); }
STOKER_INLINE B high_nibbles(B a) { return bytes([&](int i) { return a.v[i] >> 4; }); }
template <int shift>
STOKER_INLINE B merge_plane(B low, B plane, int8_t mask) {
    return bytes([&](int i) {
        const int moved = shift >= 0 ? plane.v[i] << (shift & 7) : plane.v[i] >> (-shift & 7);
        return low.v[i] | (moved & uint8_t(mask));
    });
}

template <int bits>
STOKER_INLINE I dot_start(int32_t offset_sum) { return splat_int(-offset_sum); }

template <int bits>
STOKER_INLINE I dot_sixteen(I sum, const B* w, const int8_t* q) {
    return lanes<I>([&](int i) {
        int32_t total = sum.v[i];
        for (int k = 0; k < 16; ++k) total += int32_t(w[k / 4].v[4 * i + k % 4]) * q[k];
        return total;
    });
}

STOKER_INLINE void prefetch(const void*) {}

}  // namespace stoker::STOKER_ISA
