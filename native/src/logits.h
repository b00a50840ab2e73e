// Passes over one row of logits, written as plain loops over fixed lanes: a compiler may vectorise
// them, but no sum or maximum changes with the width it picks (nothing here is reassociated, and
// the build forbids contraction), so every build gives the same bits.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "stoker/sampler.h"

// The same loops compiled for wider registers, chosen when the library is loaded.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define STOKER_WIDE_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define STOKER_WIDE_CLONES
#endif

namespace stoker {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
constexpr size_t kLogitBlock = 64;

// The order of every choice: the heavier first, and of equals the lower id.
inline bool heavier(const Candidate& a, const Candidate& b) {
    return a.weight > b.weight || (a.weight == b.weight && a.id < b.id);
}

inline size_t blocks_of(size_t size) { return (size + kLogitBlock - 1) / kLogitBlock; }

inline std::span<const float> block_of(std::span<const float> x, size_t block) {
    const size_t begin = block * kLogitBlock;
    return x.subspan(begin, std::min(kLogitBlock, x.size() - begin));
}

inline float larger(float a, float b) { return a > b ? a : b; }

// NaN for a NaN or plus infinity, else 0.
inline float poison_of(float x) {
    const float y = x < std::numeric_limits<float>::lowest() ? 0.0f : x;
    return y - y;
}

// maxima[b] = the largest value of block b, which is full. Returns false when any value is NaN or
// plus infinity.
STOKER_WIDE_CLONES
static bool full_block_maxima(const float* x, size_t blocks, float* maxima) {
    constexpr size_t lanes = kLogitBlock / 4;
    std::array<float, lanes> poison{}, most;
    for (size_t b = 0; b < blocks; ++b, x += kLogitBlock) {
        const float *second = x + lanes, *third = second + lanes, *fourth = third + lanes;
        for (size_t k = 0; k < lanes; ++k) {
            most[k] = larger(larger(x[k], second[k]), larger(third[k], fourth[k]));
        }
        for (size_t k = 0; k < lanes; ++k) {
            poison[k] += (poison_of(x[k]) + poison_of(second[k])) + (poison_of(third[k]) + poison_of(fourth[k]));
        }
        for (size_t half = lanes / 2; half > 0; half /= 2) {
            for (size_t k = 0; k < half; ++k) most[k] = larger(most[k], most[k + half]);
        }
        maxima[b] = most[0];
    }
    return std::all_of(poison.begin(), poison.end(), [](float sum) { return sum == 0.0f; });
}

// The largest value of each block. Returns the largest of all, or NaN when any value is NaN or plus
// infinity.
inline float block_maxima(std::span<const float> x, std::vector<float>& maxima) {
    maxima.resize(blocks_of(x.size()));
    const size_t full = x.size() / kLogitBlock;
    bool sound = full_block_maxima(x.data(), full, maxima.data());
    if (full < maxima.size()) {
        maxima[full] = kMinusInfinity;
        for (float value : block_of(x, full)) {
            maxima[full] = larger(value, maxima[full]);
            sound &= poison_of(value) == 0.0f;
        }
    }
    return sound ? *std::max_element(maxima.begin(), maxima.end())
                 : std::numeric_limits<float>::quiet_NaN();
}

// e^x for x <= 0: Cody-Waite reduction and a Taylor polynomial, to about 2 ulp; exactly 1 at 0,
// and 0 below -87, where the result would be subnormal.
inline float exp_negative(float x) {
    const float clamped = x < -87.0f ? -87.0f : x;
    const float n = (clamped * 1.44269504089f + 12582912.0f) - 12582912.0f;
    const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    const float scaled = std::bit_cast<float>(std::bit_cast<int32_t>(p) + int32_t(n) * (1 << 23));
    return x < -87.0f ? 0.0f : scaled;
}

STOKER_WIDE_CLONES
static void exponentiate_all(const float* x, size_t size, float most, float inverse_temperature, float* weights) {
    for (size_t i = 0; i < size; ++i) weights[i] = exp_negative((x[i] - most) * inverse_temperature);
}

// sums[b] = the sum of block b, which is full: four values to each of 16 lanes, then lane by lane.
STOKER_WIDE_CLONES
static void full_block_sums(const float* x, size_t blocks, double* sums) {
    constexpr size_t lanes = 16;
    for (size_t b = 0; b < blocks; ++b, x += kLogitBlock) {
        std::array<double, lanes> lane{};
        for (size_t i = 0; i < kLogitBlock; i += lanes) {
            for (size_t k = 0; k < lanes; ++k) lane[k] += double(x[i + k]);
        }
        for (size_t half = lanes / 2; half > 0; half /= 2) {
            for (size_t k = 0; k < half; ++k) lane[k] += lane[k + half];
        }
        sums[b] = lane[0];
    }
}

// weights[i] = exp((x[i] - most) * inverse_temperature). Returns their sum.
inline double exponentiate(std::span<const float> x, float most, float inverse_temperature,
                           std::vector<float>& weights, std::vector<double>& sums) {
    weights.resize(x.size());
    exponentiate_all(x.data(), x.size(), most, inverse_temperature, weights.data());
    sums.assign(blocks_of(x.size()), 0.0);
    const size_t full = x.size() / kLogitBlock;
    full_block_sums(weights.data(), full, sums.data());
    if (full < sums.size()) {
        for (float weight : block_of(weights, full)) sums[full] += double(weight);
    }
    double total = 0.0;
    for (double sum : sums) total += sum;
    return total;
}

STOKER_WIDE_CLONES
static int32_t count_above(const float* x, size_t size, float value) {
    int32_t above = 0;
    for (size_t i = 0; i < size; ++i) above += x[i] > value ? 1 : 0;
    return above;
}

// Appends the values of at least `least` in order of id, looking only into blocks whose bound (no
// less than their largest value) allows one.
template <class Bound>
void gather(std::span<const float> x, std::span<const Bound> bounds, float least,
            std::vector<Candidate>& out) {
    for (size_t b = 0; b < bounds.size(); ++b) {
        if (bounds[b] < Bound(least)) continue;
        const auto block = block_of(x, b);
        for (size_t i = 0; i < block.size(); ++i) {
            if (block[i] >= least) out.push_back({block[i], int32_t(b * kLogitBlock + i)});
        }
    }
}

}  // namespace stoker
