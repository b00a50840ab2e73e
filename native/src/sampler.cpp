#include "stoker/sampler.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace stoker {
namespace {

constexpr float kGreedyTemperature = 1e-5f;
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
constexpr size_t kLanes = 16;

// e^x for x <= 0 in plain arithmetic, so that the compiler can vectorise loops over it and every
// machine gets the same bits (this file is built without contraction). 0 below -87.
float exp_negative(float x) {
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
    const float scaled = std::bit_cast<float>(std::bit_cast<int32_t>(p) + (int32_t(n) << 23));
    return x < -87.0f ? 0.0f : scaled;
}

// The largest logit; NaN when any value is NaN or plus infinity.
float largest(std::span<const float> x) {
    std::array<float, kLanes> most;
    most.fill(kMinusInfinity);
    bool sound = true;
    size_t i = 0;
    for (; i + kLanes <= x.size(); i += kLanes) {
        for (size_t k = 0; k < kLanes; ++k) {
            most[k] = x[i + k] > most[k] ? x[i + k] : most[k];
            sound &= x[i + k] <= std::numeric_limits<float>::max();
        }
    }
    float result = *std::max_element(most.begin(), most.end());
    for (; i < x.size(); ++i) {
        result = std::max(result, x[i]);
        sound &= x[i] <= std::numeric_limits<float>::max();
    }
    return sound ? result : std::numeric_limits<float>::quiet_NaN();
}

// weights[i] = exp((x[i] - most) * inverse_temperature); returns their sum, in one fixed order.
double exponentiate(std::span<const float> x, float most, float inverse_temperature, std::vector<float>& weights) {
    weights.resize(x.size());
    for (size_t i = 0; i < x.size(); ++i) weights[i] = exp_negative((x[i] - most) * inverse_temperature);
    double sum = 0.0;
    size_t i = 0;
    for (; i + kLanes <= x.size(); i += kLanes) {
        double block = 0.0;
        for (size_t k = 0; k < kLanes; ++k) block += double(weights[i + k]);
        sum += block;
    }
    for (; i < x.size(); ++i) sum += double(weights[i]);
    return sum;
}

// The `count` largest logits, ties by id, by insertion into a short sorted list.
void best(std::span<const float> x, size_t count, std::vector<Candidate>& out) {
    out.clear();
    for (size_t i = 0; i < x.size(); ++i) {
        if (out.size() == count && !(x[i] > out.back().weight)) continue;
        if (out.size() == count) out.pop_back();
        const auto at = std::upper_bound(out.begin(), out.end(), x[i],
                                         [](float value, const Candidate& c) { return value > c.weight; });
        out.insert(at, {x[i], int32_t(i)});
    }
}

int32_t rank_of(std::span<const float> x, float value) {
    int32_t above = 0;
    for (float other : x) above += other > value;
    return above + 1;
}

void apply_penalties(std::span<float> x, const SamplingRow& row, SampleScratch& s) {
    if (row.history.empty()) return;
    if (s.counts.size() < x.size()) s.counts.resize(x.size());
    for (size_t i = 0; i < row.history.size(); ++i) {
        const auto token = size_t(row.history[i]);
        if (s.counts[token] == 0) {
            s.counts[token] = 1;
            s.seen.push_back(row.history[i]);
        }
        if (i >= size_t(row.num_prompt_tokens)) ++s.counts[token];
    }
    for (int32_t id : s.seen) {
        float& logit = x[size_t(id)];
        const int32_t produced = s.counts[size_t(id)] - 1;
        logit = logit > 0.0f ? logit / row.repetition_penalty : logit * row.repetition_penalty;
        logit -= float(produced) * row.frequency_penalty;
        if (produced > 0) logit -= row.presence_penalty;
        s.counts[size_t(id)] = 0;
    }
    s.seen.clear();
}

void apply_bias_and_mask(std::span<float> x, const SamplingRow& row) {
    for (size_t i = 0; i < row.bias_ids.size(); ++i) x[size_t(row.bias_ids[i])] += row.bias_values[i];
    if (row.allowed.empty()) return;
    for (size_t i = 0; i < x.size(); ++i) {
        if (!((row.allowed[i / 32] >> (i % 32)) & 1)) x[i] = kMinusInfinity;
    }
}

bool heavier(const Candidate& a, const Candidate& b) {
    return a.weight > b.weight || (a.weight == b.weight && a.id < b.id);
}

// Keeps the top_k heaviest candidates.
void keep_top_k(std::vector<Candidate>& c, size_t k) {
    if (k == 0 || k >= c.size()) return;
    std::nth_element(c.begin(), c.begin() + std::ptrdiff_t(k), c.end(), heavier);
    c.resize(k);
}

double total_weight(const std::vector<Candidate>& c) {
    double sum = 0.0;
    for (const Candidate& candidate : c) sum += double(candidate.weight);
    return sum;
}

// Keeps the fewest heaviest candidates whose weights reach top_p of the total, sorting only as far
// as needed.
void keep_top_p(std::vector<Candidate>& c, float top_p) {
    if (top_p >= 1.0f) return;
    std::sort(c.begin(), c.end(), [](const Candidate& a, const Candidate& b) { return a.id < b.id; });
    const double wanted = total_weight(c) * double(top_p);
    double sum = 0.0;
    size_t sorted = 0;
    for (size_t kept = 0; kept < c.size(); ++kept) {
        if (kept == sorted) {
            sorted = std::min(c.size(), std::max<size_t>(64, sorted * 4));
            std::partial_sort(c.begin() + std::ptrdiff_t(kept), c.begin() + std::ptrdiff_t(sorted), c.end(), heavier);
        }
        sum += double(c[kept].weight);
        if (sum >= wanted) {
            c.resize(kept + 1);
            return;
        }
    }
}

void gather(std::span<const float> weights, float least, std::vector<Candidate>& out) {
    out.clear();
    for (size_t i = 0; i < weights.size(); ++i) {
        if (weights[i] >= least && weights[i] > 0.0f) out.push_back({weights[i], int32_t(i)});
    }
}

int32_t draw(std::vector<Candidate>& c, double u) {
    std::sort(c.begin(), c.end(), [](const Candidate& a, const Candidate& b) { return a.id < b.id; });
    const double wanted = u * total_weight(c);
    double sum = 0.0;
    for (const Candidate& candidate : c) {
        sum += double(candidate.weight);
        if (sum > wanted) return candidate.id;
    }
    return c.back().id;
}

int32_t draw_from_all(std::span<const float> weights, double wanted) {
    double sum = 0.0;
    int32_t last = -1;
    for (size_t i = 0; i < weights.size(); ++i) {
        if (weights[i] <= 0.0f) continue;
        sum += double(weights[i]);
        last = int32_t(i);
        if (sum > wanted) break;
    }
    return last;
}

int32_t choose(std::span<const float> x, float most, const SamplingRow& row, SampleScratch& s) {
    if (row.temperature < kGreedyTemperature) {
        return int32_t(std::find(x.begin(), x.end(), most) - x.begin());
    }
    const double sum = exponentiate(x, most, 1.0f / row.temperature, s.weights);
    const double u = uniform(row.seed, row.position);
    if (row.top_k == 0 && row.top_p >= 1.0f && row.min_p <= 0.0f) return draw_from_all(s.weights, u * sum);
    // min_p compares with the heaviest token, whose weight is exactly 1 and which no filter drops,
    // so it may come first without changing what is kept, unless top_p renormalises: then after.
    gather(s.weights, row.top_p >= 1.0f ? row.min_p : 0.0f, s.candidates);
    keep_top_k(s.candidates, size_t(row.top_k));
    keep_top_p(s.candidates, row.top_p);
    std::erase_if(s.candidates, [&](const Candidate& c) { return c.weight < row.min_p; });
    return draw(s.candidates, u);
}

void report(std::span<const float> raw, float most, float log_total, const SamplingRow& row, float value,
            SampleScratch& s, std::span<int32_t> top_ids, std::span<float> top_logprobs, SampleResult& result) {
    result.logprob = (value - most) - log_total;
    result.rank = rank_of(raw, value);
    best(raw, size_t(row.num_logprobs), s.candidates);
    for (size_t i = 0; i < s.candidates.size(); ++i) {
        top_ids[i] = s.candidates[i].id;
        top_logprobs[i] = (s.candidates[i].weight - most) - log_total;
    }
}

}  // namespace

double uniform(uint64_t seed, int64_t position) {
    std::array<uint32_t, 4> counter{uint32_t(position), uint32_t(uint64_t(position) >> 32), 0, 0};
    std::array<uint32_t, 2> key{uint32_t(seed), uint32_t(seed >> 32)};
    for (int round = 0; round < 10; ++round) {
        const uint64_t a = uint64_t(0xD2511F53u) * counter[0];
        const uint64_t b = uint64_t(0xCD9E8D57u) * counter[2];
        counter = {uint32_t(b >> 32) ^ counter[1] ^ key[0], uint32_t(b),
                   uint32_t(a >> 32) ^ counter[3] ^ key[1], uint32_t(a)};
        key = {key[0] + 0x9E3779B9u, key[1] + 0xBB67AE85u};
    }
    const uint64_t bits = (uint64_t(counter[0]) << 32 | counter[1]) >> 11;
    return double(bits) * 0x1p-53;
}

void sample(std::span<float> logits, const SamplingRow& row, SampleScratch& scratch,
            std::span<int32_t> top_ids, std::span<float> top_logprobs, SampleResult& result) {
    result = {};
    float most = largest(logits);
    if (!(most > kMinusInfinity)) {
        result.finite = false;
        return;
    }
    const bool reports = row.num_logprobs >= 0;
    const bool changes = !row.history.empty() || !row.bias_ids.empty() || !row.allowed.empty();
    if (row.target >= 0) {
        result.token = row.target;
    } else if (!changes) {
        result.token = choose(logits, most, row, scratch);
    }
    std::vector<float> raw;  // only when logits change and must still be reported
    if (result.token < 0) {
        if (reports) raw.assign(logits.begin(), logits.end());
        apply_penalties(logits, row, scratch);
        apply_bias_and_mask(logits, row);
        const float changed = largest(logits);
        result.finite = changed > kMinusInfinity;
        if (!result.finite) return;
        result.token = choose(logits, changed, row, scratch);
    }
    if (!reports) return;
    const std::span<const float> original = raw.empty() ? std::span<const float>(logits) : std::span<const float>(raw);
    const auto log_total = float(std::log(exponentiate(original, most, 1.0f, scratch.weights)));
    report(original, most, log_total, row, original[size_t(result.token)], scratch, top_ids, top_logprobs, result);
}

}  // namespace stoker
