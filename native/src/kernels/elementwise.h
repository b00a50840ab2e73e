// Row-wise kernels: quantisation, norm, activation, rope.
#pragma once

#include <cmath>

#include "stoker/kernels.h"

namespace stoker::STOKER_ISA {

// A group with nothing larger is taken for zero: the inverse of its scale would be infinite.
constexpr float kLeastActivation = 1e-36f;

inline void quantize_group(const float* x, int8_t* q, float* scale, float* scaled_sum, int32_t* sums) {
    F low = load(x), high = load(x + 16);
    // Integers cannot carry a NaN or an infinity; the scale does, so that it reaches the logits.
    const bool poisoned = any_nan((low - low) + (high - high));
    if (poisoned) low = high = zero();
    const float most = reduce_max(max(abs(low), abs(high)));
    const float inverse = most > kLeastActivation ? 127.0f / most : 0.0f;
    const I q_low = to_int(low * splat(inverse)), q_high = to_int(high * splat(inverse));
    store_bytes(q, q_low);
    store_bytes(q + 16, q_high);
    sums[0] = sum_bytes(q);
    sums[1] = sum_bytes(q + 16);
    *scale = poisoned ? __builtin_nanf("") : most / 127.0f;
    *scaled_sum = *scale * float(sums[0] + sums[1]);
}

inline void quantize_rows(const Activations& in, int rows, int group_begin, int group_end) {
    for (int r = 0; r < rows; ++r) {
        const Activations row = in.from_row(r);
        for (int g = group_begin; g < group_end; ++g) {
            quantize_group(row.values + g * kGroup, row.quants + g * kGroup, row.scales + g,
                           row.scaled_sums + g, row.sums + 2 * g);
        }
    }
}

inline void rms_norm(const float* x, const float* weight, float eps, int n, float* y) {
    F squares = zero();
    for (int i = 0; i < n; i += 16) {
        const F v = load(x + i);
        squares = fma(v, v, squares);
    }
    const float mean = reduce_add(squares) / float(n);
    const F factor = splat(1.0f) / splat(std::sqrt(mean + eps));
    for (int i = 0; i < n; i += 16) store(y + i, load(x + i) * factor * load(weight + i));
}

inline void layer_norm(const float* x, const float* weight, const float* bias, float eps, int n,
                       float* y) {
    F total = zero();
    for (int i = 0; i < n; i += 16) total = total + load(x + i);
    const F mean = splat(reduce_add(total) / float(n));
    F squares = zero();
    for (int i = 0; i < n; i += 16) {
        const F v = load(x + i) - mean;
        squares = fma(v, v, squares);
    }
    const float variance = reduce_add(squares) / float(n);
    const F factor = splat(1.0f) / splat(std::sqrt(variance + eps));
    for (int i = 0; i < n; i += 16) {
        const F scaled = (load(x + i) - mean) * factor * load(weight + i);
        store(y + i, bias ? scaled + load(bias + i) : scaled);
    }
}

inline void add(float* x, const float* y, int n) {
    for (int i = 0; i < n; i += 16) store(x + i, load(x + i) + load(y + i));
}

inline void scale(float* x, float factor, int n) {
    for (int i = 0; i < n; i += 16) store(x + i, load(x + i) * splat(factor));
}

inline void silu_multiply(float* gate, const float* up, int n) {
    for (int i = 0; i < n; i += 16) {
        const F g = load(gate + i);
        store(gate + i, g * sigmoid(g) * load(up + i));
    }
}

// The tanh approximation of GELU (Hendrycks and Gimpel 2016).
inline void gelu_tanh_multiply(float* gate, const float* up, int n) {
    for (int i = 0; i < n; i += 16) {
        const F g = load(gate + i);
        const F inner = splat(0.7978845608f) * fma(splat(0.044715f) * g * g, g, g);
        store(gate + i, splat(0.5f) * g * (splat(1.0f) + tanh(inner)) * load(up + i));
    }
}

inline void gelu_multiply(float* gate, const float* up, int n) {
    for (int i = 0; i < n; i += 16) {
        const F g = load(gate + i);
        const F half = splat(0.5f) * g;
        store(gate + i, fma(half, erf(g * splat(0.70710678119f)), half) * load(up + i));
    }
}

// gpt-oss: both factors are clamped to 7, the sigmoid is steeper, the second factor is one more.
inline void clamped_swiglu_multiply(float* gate, const float* up, int n) {
    const F limit = splat(7.0f), least = splat(-7.0f);
    for (int i = 0; i < n; i += 16) {
        const F g = min(load(gate + i), limit);
        const F u = max(min(load(up + i), limit), least) + splat(1.0f);
        store(gate + i, g * sigmoid(splat(1.702f) * g) * u);
    }
}

inline void softcap(float* x, float cap, int n) {
    const F inverse = splat(1.0f / cap);
    for (int i = 0; i < n; i += 16) store(x + i, splat(cap) * tanh(load(x + i) * inverse));
}

inline void rope_halves(float* head, const float* cosine, const float* sine, int dim) {
    float* other = head + dim / 2;
    for (int i = 0; i < dim / 2; ++i) {
        const float a = head[i], b = other[i];
        head[i] = a * cosine[i] - b * sine[i];
        other[i] = b * cosine[i] + a * sine[i];
    }
}

inline void rope_pairs(float* head, const float* cosine, const float* sine, int dim) {
    for (int i = 0; i < dim / 2; ++i) {
        const float a = head[2 * i], b = head[2 * i + 1];
        head[2 * i] = a * cosine[i] - b * sine[i];
        head[2 * i + 1] = b * cosine[i] + a * sine[i];
    }
}

inline void store_key_value(const float* key, const float* value, int head_dim,
                            uint16_t* key_slot, uint16_t* value_slot) {
    alignas(64) uint16_t halves[16];
    for (int i = 0; i < head_dim; i += 16) {
        store_half(halves, load(key + i));
        for (int k = 0; k < 16; ++k) key_slot[size_t(i + k) * kPage] = halves[k];
        store_half(value_slot + i, load(value + i));
    }
}

}  // namespace stoker::STOKER_ISA
