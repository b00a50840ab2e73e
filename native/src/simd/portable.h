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
inline B bytes(Function f) {
    B out;
    for (int i = 0; i < 64; ++i) out.v[i] = uint8_t(f(i));
    return out;
}

inline F load(const float* p) { return lanes<F>([&](int i) { return p[i]; }); }
inline void store(float* p, F a) { std::memcpy(p, a.v, sizeof a.v); }
inline F splat(float x) { return lanes<F>([&](int) { return x; }); }
inline F zero() { return splat(0.0f); }
inline F operator+(F a, F b) { return lanes<F>([&](int i) { return a.v[i] + b.v[i]; }); }
inline F operator-(F a, F b) { return lanes<F>([&](int i) { return a.v[i] - b.v[i]; }); }
inline F operator*(F a, F b) { return lanes<F>([&](int i) { return a.v[i] * b.v[i]; }); }
inline F operator/(F a, F b) { return lanes<F>([&](int i) { return a.v[i] / b.v[i]; }); }
inline F fma(F a, F b, F c) { return lanes<F>([&](int i) { return a.v[i] * b.v[i] + c.v[i]; }); }
inline F max(F a, F b) { return lanes<F>([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; }); }
inline F min(F a, F b) { return lanes<F>([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; }); }
inline F abs(F a) { return lanes<F>([&](int i) { return std::fabs(a.v[i]); }); }
inline F round(F a) { return lanes<F>([&](int i) { return std::nearbyint(a.v[i]); }); }
inline F select_less(F x, F limit, F a, F b) {
    return lanes<F>([&](int i) { return x.v[i] < limit.v[i] ? a.v[i] : b.v[i]; });
}
inline F select_lanes(int first, int last, F a, F b) {
    return lanes<F>([&](int i) { return i >= first && i < last ? a.v[i] : b.v[i]; });
}
inline F scale_exponent(F a, F n) {
    return lanes<F>([&](int i) {
        const uint32_t bits = std::bit_cast<uint32_t>(a.v[i]) + (uint32_t(int32_t(n.v[i])) << 23);
        return std::bit_cast<float>(bits);
    });
}
// Order of the sum: lanes 8 apart, then 4, 2, 1. The same on every set.
inline float reduce_add(F a) {
    for (int width = 8; width > 0; width /= 2) {
        for (int i = 0; i < width; ++i) a.v[i] += a.v[i + width];
    }
    return a.v[0];
}
inline float reduce_max(F a) {
    float most = a.v[0];
    for (int i = 1; i < 16; ++i) most = a.v[i] > most ? a.v[i] : most;
    return most;
}
inline bool any_nan(F a) {
    bool found = false;
    for (int i = 0; i < 16; ++i) found |= a.v[i] != a.v[i];
    return found;
}

inline F load_half(const uint16_t* p) { return lanes<F>([&](int i) { return half_to_float(p[i]); }); }
inline void store_half(uint16_t* p, F a) {
    for (int i = 0; i < 16; ++i) p[i] = float_to_half(a.v[i]);
}
inline F load_bfloat(const uint16_t* p) {
    return lanes<F>([&](int i) { return bfloat_to_float(p[i]); });
}

// Clamps like the hardware would only for values in range; callers never leave the int32 range.
inline I to_int(F a) { return lanes<I>([&](int i) { return int32_t(std::nearbyint(a.v[i])); }); }
inline F to_float(I a) { return lanes<F>([&](int i) { return float(a.v[i]); }); }
inline I splat_int(int32_t x) { return lanes<I>([&](int) { return x; }); }
inline I operator+(I a, I b) { return lanes<I>([&](int i) { return a.v[i] + b.v[i]; }); }
inline void store_bytes(int8_t* p, I a) {
    for (int i = 0; i < 16; ++i) p[i] = int8_t(a.v[i]);
}

// Sum of sixteen signed bytes.
inline int32_t sum_bytes(const int8_t* p) {
    int32_t sum = 0;
    for (int i = 0; i < 16; ++i) sum += p[i];
    return sum;
}

inline B load_b(const uint8_t* p) { return bytes([&](int i) { return p[i]; }); }
inline void store_b(uint8_t* p, B a) { std::memcpy(p, a.v, sizeof a.v); }
inline B low_nibbles(B a) { return bytes([&](int i) { return a.v[i] & 15; }); }
inline B high_nibbles(B a) { return bytes([&](int i) { return a.v[i] >> 4; }); }
template <int shift>
inline B merge_plane(B low, B plane, int8_t mask) {
    return bytes([&](int i) {
        const int moved = shift >= 0 ? plane.v[i] << (shift & 7) : plane.v[i] >> (-shift & 7);
        return low.v[i] | (moved & uint8_t(mask));
    });
}

inline I dot(I sum, B w, int32_t a) {
    int8_t signed_bytes[4];
    std::memcpy(signed_bytes, &a, 4);
    return lanes<I>([&](int i) {
        int32_t total = sum.v[i];
        for (int k = 0; k < 4; ++k) total += int32_t(w.v[4 * i + k]) * signed_bytes[k];
        return total;
    });
}
inline I wide_start(int32_t activation_sum) { return splat_int(-128 * activation_sum); }
inline I wide_dot(I sum, B w, int32_t a) { return dot(sum, w, a); }

inline void prefetch(const void*) {}

}  // namespace stoker::STOKER_ISA
