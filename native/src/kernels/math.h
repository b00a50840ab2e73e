// Elementary functions, bit-identical on every set with fused multiply-add.
#pragma once

namespace stoker::STOKER_ISA {

// e^x to about 1 ulp; exactly 1 at 0; 0 below -87, where the result would be subnormal.
// Cody-Waite reduction and the degree-6 Taylor polynomial on [-ln 2 / 2, ln 2 / 2].
inline F exp(F x) {
    const F least = splat(-87.0f);
    const F clamped = min(max(x, least), splat(88.0f));
    const F n = round(clamped * splat(1.44269504089f));
    F r = fma(n, splat(-0.693359375f), clamped);
    r = fma(n, splat(2.12194440e-4f), r);
    F p = splat(1.0f / 720.0f);
    p = fma(p, r, splat(1.0f / 120.0f));
    p = fma(p, r, splat(1.0f / 24.0f));
    p = fma(p, r, splat(1.0f / 6.0f));
    p = fma(p, r, splat(0.5f));
    p = fma(p, r, splat(1.0f));
    p = fma(p, r, splat(1.0f));
    return select_less(x, least, zero(), scale_exponent(p, n));
}

inline float exp_scalar(float x) {
    alignas(64) float v[16];
    store(v, exp(splat(x)));
    return v[0];
}

inline F sigmoid(F x) { return splat(1.0f) / (splat(1.0f) + exp(zero() - x)); }

// The error function to 3e-7 absolute: Abramowitz and Stegun 7.1.26.
inline F erf(F x) {
    const F size = max(x, zero() - x);
    const F t = splat(1.0f) / fma(splat(0.3275911f), size, splat(1.0f));
    F p = splat(1.061405429f);
    p = fma(p, t, splat(-1.453152027f));
    p = fma(p, t, splat(1.421413741f));
    p = fma(p, t, splat(-0.284496736f));
    p = fma(p, t, splat(0.254829592f));
    const F tail = p * t * exp(zero() - size * size);
    return select_less(x, zero(), tail - splat(1.0f), splat(1.0f) - tail);
}

// 2 * sigmoid(2x) - 1
inline F tanh(F x) { return fma(splat(2.0f), sigmoid(x + x), splat(-1.0f)); }

}  // namespace stoker::STOKER_ISA
