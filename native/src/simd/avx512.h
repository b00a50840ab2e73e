// Sixteen lanes on AVX-512 with VNNI. Every simd/ header defines the same names, so kernels are
// written once; sums that cross lanes go through reduce_add, whose order is the same everywhere.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "stoker/formats.h"

namespace stoker::STOKER_ISA {

inline constexpr const char* kName = "avx512_vnni";
inline constexpr int kRowBlock = 8;       // activation rows sharing one unpacked weight group
inline constexpr int kDenseTiles = 4;     // tiles of a dense matrix computed side by side
inline constexpr int kAccumulators = 16;  // float accumulators an attention block may use

struct F { __m512 v; };
struct I { __m512i v; };
struct B { __m512i v; };  // 64 bytes

STOKER_INLINE F load(const float* p) { return {_mm512_loadu_ps(p)}; }
STOKER_INLINE void store(float* p, F a) { _mm512_storeu_ps(p, a.v); }
STOKER_INLINE F splat(float x) { return {_mm512_set1_ps(x)}; }
STOKER_INLINE F zero() { return {_mm512_setzero_ps()}; }
STOKER_INLINE F operator+(F a, F b) { return {_mm512_add_ps(a.v, b.v)}; }
STOKER_INLINE F operator-(F a, F b) { return {_mm512_sub_ps(a.v, b.v)}; }
STOKER_INLINE F operator*(F a, F b) { return {_mm512_mul_ps(a.v, b.v)}; }
STOKER_INLINE F operator/(F a, F b) { return {_mm512_div_ps(a.v, b.v)}; }
STOKER_INLINE F fma(F a, F b, F c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
STOKER_INLINE F max(F a, F b) { return {_mm512_max_ps(a.v, b.v)}; }
STOKER_INLINE F min(F a, F b) { return {_mm512_min_ps(a.v, b.v)}; }
STOKER_INLINE F abs(F a) { return {_mm512_abs_ps(a.v)}; }
STOKER_INLINE F round(F a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
// Lanes of `a` where x < limit, else lanes of `b`.
STOKER_INLINE F select_less(F x, F limit, F a, F b) {
    return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(x.v, limit.v, _CMP_LT_OQ), b.v, a.v)};
}
// Lanes [first, last) of `a`, other lanes of `b`; 0 <= first <= last <= 16.
STOKER_INLINE F select_lanes(int first, int last, F a, F b) {
    const __mmask16 mask = __mmask16(((1u << last) - 1) & ~((1u << first) - 1));
    return {_mm512_mask_blend_ps(mask, b.v, a.v)};
}
// a * 2^n for integral n in [-126, 127].
STOKER_INLINE F scale_exponent(F a, F n) { return {_mm512_scalef_ps(a.v, n.v)}; }

// Order of the sum: lanes 8 apart, then 4, 2, 1. The same on every set.
STOKER_INLINE float reduce_add(F a) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
STOKER_INLINE float reduce_max(F a) { return _mm512_reduce_max_ps(a.v); }
STOKER_INLINE bool any_nan(F a) { return _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q) != 0; }

STOKER_INLINE F load_half(const uint16_t* p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
STOKER_INLINE void store_half(uint16_t* p, F a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
STOKER_INLINE F load_bfloat(const uint16_t* p) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}

STOKER_INLINE I to_int(F a) { return {_mm512_cvtps_epi32(a.v)}; }
STOKER_INLINE F to_float(I a) { return {_mm512_cvtepi32_ps(a.v)}; }
STOKER_INLINE I splat_int(int32_t x) { return {_mm512_set1_epi32(x)}; }
STOKER_INLINE I operator+(I a, I b) { return {_mm512_add_epi32(a.v, b.v)}; }
STOKER_INLINE void store_bytes(int8_t* p, I a) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtsepi32_epi8(a.v));
}

// Sum of sixteen signed bytes.
STOKER_INLINE int32_t sum_bytes(const int8_t* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i halves = _mm_sad_epu8(_mm_xor_si128(bytes, _mm_set1_epi8(-128)), _mm_setzero_si128());
    return _mm_cvtsi128_si32(halves) + _mm_extract_epi16(halves, 4) - 16 * 128;
}

STOKER_INLINE B load_b(const uint8_t* p) { return {_mm512_load_si512(p)}; }
STOKER_INLINE void store_b(uint8_t* p, B a) { _mm512_store_si512(p, a.v); }
STOKER_INLINE B low_nibbles(B a) { return {_mm512_and_si512(a.v, _mm512_set1_epi8(15))}; }
STOKER_INLINE B high_nibbles(B a) {
    return {_mm512_and_si512(_mm512_srli_epi16(a.v, 4), _mm512_set1_epi8(15))};
}
// low | (bits of plane selected by mask after shifting left by `shift`, right when negative)
template <int shift>
STOKER_INLINE B merge_plane(B low, B plane, int8_t mask) {
    __m512i moved = plane.v;
    if constexpr (shift > 0) moved = _mm512_slli_epi16(moved, shift);
    if constexpr (shift < 0) moved = _mm512_srli_epi16(moved, -shift);
    // low | (moved & mask)
    return {_mm512_ternarylogic_epi32(low.v, moved, _mm512_set1_epi8(mask), 0xF8)};
}

// Where a dot product of weights that carry an offset starts, given offset times the activations.
template <int bits>
STOKER_INLINE I dot_start(int32_t offset_sum) { return splat_int(-offset_sum); }

// Per lane: sum + the dot product of sixteen weights of `bits` bits, four vectors of four, with
// sixteen activations.
template <int bits>
STOKER_INLINE I dot_sixteen(I sum, const B* w, const int8_t* q) {
    for (int j = 0; j < 4; ++j) {
        int32_t four;
        __builtin_memcpy(&four, q + 4 * j, 4);
        sum = {_mm512_dpbusd_epi32(sum.v, w[j].v, _mm512_set1_epi32(four))};
    }
    return sum;
}

STOKER_INLINE void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }

}  // namespace stoker::STOKER_ISA
