// Sixteen lanes on AVX2 with FMA and F16C, as pairs of 256-bit registers.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "stoker/formats.h"

namespace stoker::STOKER_ISA {

inline constexpr const char* kName = "avx2";
inline constexpr int kRowBlock = 8;
inline constexpr int kDenseTiles = 1;     // tiles of a dense matrix computed side by side
inline constexpr int kAccumulators = 4;

struct F { __m256 lo, hi; };
struct I { __m256i lo, hi; };
struct B { __m256i lo, hi; };

STOKER_INLINE F load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
STOKER_INLINE void store(float* p, F a) {
    _mm256_storeu_ps(p, a.lo);
    _mm256_storeu_ps(p + 8, a.hi);
}
STOKER_INLINE F splat(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
STOKER_INLINE F zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
STOKER_INLINE F operator+(F a, F b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
STOKER_INLINE F operator-(F a, F b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
STOKER_INLINE F operator*(F a, F b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
STOKER_INLINE F operator/(F a, F b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
STOKER_INLINE F fma(F a, F b, F c) {
    return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
STOKER_INLINE F max(F a, F b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
STOKER_INLINE F min(F a, F b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
STOKER_INLINE F abs(F a) {
    const __m256 mask = _mm256_castsi256_ps(_mm256_set1_epi32(0x7FFFFFFF));
    return {_mm256_and_ps(a.lo, mask), _mm256_and_ps(a.hi, mask)};
}
STOKER_INLINE F round(F a) {
    constexpr int mode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    return {_mm256_round_ps(a.lo, mode), _mm256_round_ps(a.hi, mode)};
}
STOKER_INLINE F select_less(F x, F limit, F a, F b) {
    return {_mm256_blendv_ps(b.lo, a.lo, _mm256_cmp_ps(x.lo, limit.lo, _CMP_LT_OQ)),
            _mm256_blendv_ps(b.hi, a.hi, _mm256_cmp_ps(x.hi, limit.hi, _CMP_LT_OQ))};
}
STOKER_INLINE __m256 lane_mask(int base, int first, int last) {
    const __m256i lane = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(base));
    const __m256i below = _mm256_cmpgt_epi32(_mm256_set1_epi32(first), lane);
    const __m256i inside = _mm256_cmpgt_epi32(_mm256_set1_epi32(last), lane);
    return _mm256_castsi256_ps(_mm256_andnot_si256(below, inside));
}
STOKER_INLINE F select_lanes(int first, int last, F a, F b) {
    return {_mm256_blendv_ps(b.lo, a.lo, lane_mask(0, first, last)),
            _mm256_blendv_ps(b.hi, a.hi, lane_mask(8, first, last))};
}
STOKER_INLINE __m256 scale_half(__m256 a, __m256 n) {
    const __m256i bits = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), bits));
}
STOKER_INLINE F scale_exponent(F a, F n) { return {scale_half(a.lo, n.lo), scale_half(a.hi, n.hi)}; }

// Order of the sum: lanes 8 apart, then 4, 2, 1. The same on every set.
STOKER_INLINE float reduce_add(F a) {
    const __m256 eight = _mm256_add_ps(a.lo, a.hi);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
STOKER_INLINE float reduce_max(F a) {
    const __m256 eight = _mm256_max_ps(a.lo, a.hi);
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
STOKER_INLINE bool any_nan(F a) {
    const __m256 unordered = _mm256_or_ps(_mm256_cmp_ps(a.lo, a.lo, _CMP_UNORD_Q),
                                          _mm256_cmp_ps(a.hi, a.hi, _CMP_UNORD_Q));
    return _mm256_movemask_ps(unordered) != 0;
}

inline __m128i load128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
STOKER_INLINE F load_half(const uint16_t* p) {
    return {_mm256_cvtph_ps(load128(p)), _mm256_cvtph_ps(load128(p + 8))};
}
STOKER_INLINE void store_half(uint16_t* p, F a) {
    constexpr int mode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a.lo, mode));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(a.hi, mode));
}
STOKER_INLINE __m256 widen_bfloat(const uint16_t* p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load128(p)), 16));
}
STOKER_INLINE F load_bfloat(const uint16_t* p) { return {widen_bfloat(p), widen_bfloat(p + 8)}; }

STOKER_INLINE I to_int(F a) { return {_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi)}; }
STOKER_INLINE F to_float(I a) { return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)}; }
STOKER_INLINE I splat_int(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
STOKER_INLINE I operator+(I a, I b) {
    return {_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)};
}
STOKER_INLINE void store_bytes(int8_t* p, I a) {
    __m256i words = _mm256_packs_epi32(a.lo, a.hi);
    words = _mm256_permute4x64_epi64(words, 0xD8);
    const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words),
                                          _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
}

// Sum of sixteen signed bytes.
STOKER_INLINE int32_t sum_bytes(const int8_t* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i halves = _mm_sad_epu8(_mm_xor_si128(bytes, _mm_set1_epi8(-128)), _mm_setzero_si128());
    return _mm_cvtsi128_si32(halves) + _mm_extract_epi16(halves, 4) - 16 * 128;
}

STOKER_INLINE B load_b(const uint8_t* p) {
    return {_mm256_load_si256(reinterpret_cast<const __m256i*>(p)),
            _mm256_load_si256(reinterpret_cast<const __m256i*>(p + 32))};
}
STOKER_INLINE void store_b(uint8_t* p, B a) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(p), a.lo);
    _mm256_store_si256(reinterpret_cast<__m256i*>(p + 32), a.hi);
}
STOKER_INLINE B low_nibbles(B a) {
    const __m256i mask = _mm256_set1_epi8(15);
    return {_mm256_and_si256(a.lo, mask), _mm256_and_si256(a.hi, mask)};
}
STOKER_INLINE B high_nibbles(B a) {
    return low_nibbles({_mm256_srli_epi16(a.lo, 4), _mm256_srli_epi16(a.hi, 4)});
}
template <int shift>
STOKER_INLINE __m256i shifted(__m256i a) {
    if constexpr (shift > 0) return _mm256_slli_epi16(a, shift);
    if constexpr (shift < 0) return _mm256_srli_epi16(a, -shift);
    return a;
}
template <int shift>
STOKER_INLINE B merge_plane(B low, B plane, int8_t mask) {
    const __m256i wide = _mm256_set1_epi8(mask);
    return {_mm256_or_si256(low.lo, _mm256_and_si256(shifted<shift>(plane.lo), wide)),
            _mm256_or_si256(low.hi, _mm256_and_si256(shifted<shift>(plane.hi), wide))};
}

// Weights of eight bits would overflow 16-bit sums, so their sign moves to the activations, and no
// offset is left to undo.
template <int bits>
STOKER_INLINE I dot_start(int32_t offset_sum) { return splat_int(bits == 8 ? 0 : -offset_sum); }

template <int bits>
STOKER_INLINE __m256i multiply_bytes(__m256i w, __m256i a) {
    if constexpr (bits < 8) return _mm256_maddubs_epi16(w, a);
    const __m256i q = _mm256_xor_si256(w, _mm256_set1_epi8(char(0x80)));
    return _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(a, q));
}

STOKER_INLINE __m256i add_pairs(__m256i sum, __m256i halves) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(halves, _mm256_set1_epi16(1)));
}

// A product is a pair already. Of 5-bit weights four fit into 16 bits (8 * 31 * 127 < 32768), of 6-bit
// ones two (4 * 63 * 127), of 8-bit ones one.
template <int bits>
STOKER_INLINE __m256i dot_half(__m256i sum, const __m256i* w, const __m256i* a) {
    __m256i products[4];
    for (int j = 0; j < 4; ++j) products[j] = multiply_bytes<bits>(w[j], a[j]);
    if constexpr (bits <= 6) {
        products[0] = _mm256_add_epi16(products[0], products[1]);
        products[2] = _mm256_add_epi16(products[2], products[3]);
    }
    if constexpr (bits <= 5) return add_pairs(sum, _mm256_add_epi16(products[0], products[2]));
    sum = add_pairs(add_pairs(sum, products[0]), products[2]);
    if constexpr (bits <= 6) return sum;
    return add_pairs(add_pairs(sum, products[1]), products[3]);
}

template <int bits>
STOKER_INLINE I dot_sixteen(I sum, const B* w, const int8_t* q) {
    __m256i a[4], low[4], high[4];
    for (int j = 0; j < 4; ++j) {
        int32_t four;
        __builtin_memcpy(&four, q + 4 * j, 4);
        a[j] = _mm256_set1_epi32(four);
        low[j] = w[j].lo;
        high[j] = w[j].hi;
    }
    return {dot_half<bits>(sum.lo, low, a), dot_half<bits>(sum.hi, high, a)};
}

STOKER_INLINE void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }

}  // namespace stoker::STOKER_ISA
