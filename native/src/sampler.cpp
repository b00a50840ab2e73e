#include "stoker/sampler.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "logits.h"

namespace stoker {
namespace {

constexpr float kGreedyTemperature = 1e-5f;
using Candidates = std::vector<Candidate>;

void apply_penalties(std::span<float> x, const SamplingRow& row, SampleScratch& s) {
    if (s.counts.size() < x.size()) s.counts.resize(x.size());
    for (size_t i = 0; i < row.history.size(); ++i) {
        const auto token = size_t(row.history[i]);
        if (s.counts[token] == 0) {
            s.counts[token] = 1;
            s.seen.push_back(row.history[i]);
        }
        if (int64_t(i) >= row.num_prompt_tokens) ++s.counts[token];
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

void apply_mask(std::span<float> x, std::span<const uint32_t> allowed) {
    for (size_t begin = 0; begin < x.size(); begin += 32) {
        const uint32_t bits = allowed[begin / 32];
        if (bits == ~uint32_t(0)) continue;
        const size_t end = std::min(begin + 32, x.size());
        for (size_t i = begin; i < end; ++i) x[i] = (bits >> (i - begin)) & 1 ? x[i] : kMinusInfinity;
    }
}

// Leaves in s.candidates the k tokens with the largest values, none of them minus infinity. The k-th largest of the block
// maxima cannot exceed the k-th largest value, so few blocks are looked into.
void gather_largest(std::span<const float> x, size_t k, SampleScratch& s) {
    float least = std::numeric_limits<float>::lowest();
    if (k <= s.maxima.size()) {
        s.bounds = s.maxima;
        const auto kth = s.bounds.begin() + std::ptrdiff_t(k - 1);
        std::nth_element(s.bounds.begin(), kth, s.bounds.end(), std::greater<>());
        least = std::max(least, *kth);
    }
    s.candidates.clear();
    gather<float>(x, s.maxima, least, s.candidates);
    if (s.candidates.size() <= k) return;
    s.ranking = s.candidates;
    const auto last = s.ranking.begin() + std::ptrdiff_t(k - 1);
    std::nth_element(s.ranking.begin(), last, s.ranking.end(), heavier);
    std::erase_if(s.candidates, [last = *last](const Candidate& c) { return heavier(last, c); });
}

double total_weight(Candidates::const_iterator begin, Candidates::const_iterator end) {
    double sum = 0.0;
    for (; begin != end; ++begin) sum += double(begin->weight);
    return sum;
}

// The last of the fewest heaviest candidates whose weights reach `wanted`; the lightest of all when
// none do. Halves the part in question until it is short enough to sort.
Candidate last_within(Candidates& c, double wanted) {
    auto begin = c.begin(), end = c.end();
    double before = 0.0;
    while (end - begin > 64) {
        const auto middle = begin + (end - begin) / 2;
        std::nth_element(begin, middle, end, heavier);
        const double sum = before + total_weight(begin, middle);
        if (sum >= wanted) {
            end = middle;
        } else {
            before = sum;
            begin = middle;
        }
    }
    std::sort(begin, end, heavier);
    for (; begin + 1 < end; ++begin) {
        before += double(begin->weight);
        if (before >= wanted) break;
    }
    return *begin;
}

void keep_top_p(SampleScratch& s, double wanted) {
    s.ranking = s.candidates;
    const Candidate last = last_within(s.ranking, wanted);
    std::erase_if(s.candidates, [&](const Candidate& c) { return heavier(last, c); });
}

int32_t draw(const Candidates& c, double u) {
    const double wanted = u * total_weight(c.begin(), c.end());
    double sum = 0.0;
    for (const Candidate& candidate : c) {
        sum += double(candidate.weight);
        if (sum > wanted) return candidate.id;
    }
    return c.back().id;
}

// As `draw`, over all tokens, skipping whole blocks.
int32_t draw_from_all(const SampleScratch& s, double wanted) {
    double sum = 0.0;
    size_t last = 0;  // block that holds weight
    for (size_t b = 0; b < s.sums.size(); ++b) {
        if (s.sums[b] <= 0.0) continue;
        last = b;
        if (sum + s.sums[b] > wanted) break;
        sum += s.sums[b];
    }
    const auto block = block_of(s.weights, last);
    size_t chosen = 0;
    for (size_t i = 0; i < block.size(); ++i) {
        if (block[i] <= 0.0f) continue;
        chosen = i;
        sum += double(block[i]);
        if (sum > wanted) break;
    }
    return int32_t(last * kLogitBlock + chosen);
}

int32_t first_largest(std::span<const float> x, float most, const SampleScratch& s) {
    const auto block = size_t(std::find(s.maxima.begin(), s.maxima.end(), most) - s.maxima.begin());
    const auto values = block_of(x, block);
    return int32_t(block * kLogitBlock + size_t(std::find(values.begin(), values.end(), most) - values.begin()));
}

bool keeps_k(const SamplingRow& row, size_t vocabulary) {
    return row.top_k > 0 && size_t(row.top_k) < vocabulary;
}

// Leaves in s.candidates what top_k, top_p and min_p keep, weighed; the heaviest weighs 1.
void filter(std::span<const float> x, float most, const SamplingRow& row, SampleScratch& s) {
    const float inverse = 1.0f / row.temperature, min_p = std::min(row.min_p, 1.0f);
    double total = 0.0;
    if (keeps_k(row, x.size())) {
        gather_largest(x, size_t(row.top_k), s);
        for (Candidate& c : s.candidates) c.weight = exp_negative((c.weight - most) * inverse);
        total = total_weight(s.candidates.begin(), s.candidates.end());
    } else {
        total = exponentiate(x, most, inverse, s.weights, s.sums);
        // Tokens lighter than `spare` weigh less, all together, than what top_p leaves out.
        const double spare = std::max(0.0, 1.0 - double(row.top_p)) * total / double(x.size());
        const float least = row.top_p < 1.0f ? float(spare * 0.999) : min_p;
        s.candidates.clear();
        gather<double>(s.weights, s.sums, std::max(least, std::numeric_limits<float>::min()), s.candidates);
    }
    if (row.top_p < 1.0f) keep_top_p(s, double(row.top_p) * total);
    std::erase_if(s.candidates, [&](const Candidate& c) { return c.weight < min_p; });
}

int32_t choose(std::span<const float> x, float most, const SamplingRow& row, SampleScratch& s) {
    if (row.temperature < kGreedyTemperature) return first_largest(x, most, s);
    const double u = uniform(row.seed, row.position);
    if (keeps_k(row, x.size()) || row.top_p < 1.0f || row.min_p > 0.0f) {
        filter(x, most, row, s);
        return draw(s.candidates, u);
    }
    return draw_from_all(s, u * exponentiate(x, most, 1.0f / row.temperature, s.weights, s.sums));
}

// Log probabilities under the raw logits.
struct LogSoftmax {
    float most;
    float log_total;
    float operator()(float logit) const { return (logit - most) - log_total; }
};

LogSoftmax log_softmax(std::span<const float> raw, float most, SampleScratch& s) {
    return {most, float(std::log(exponentiate(raw, most, 1.0f, s.weights, s.sums)))};
}

// s.maxima must be those of `raw`.
void report_alternatives(std::span<const float> raw, const LogSoftmax& logprob, SampleScratch& s,
                         std::span<int32_t> top_ids, std::span<float> top_logprobs) {
    if (top_ids.empty()) return;
    gather_largest(raw, top_ids.size(), s);
    std::sort(s.candidates.begin(), s.candidates.end(), heavier);
    for (size_t i = 0; i < s.candidates.size(); ++i) {
        top_ids[i] = s.candidates[i].id;
        top_logprobs[i] = logprob(s.candidates[i].weight);
    }
}

// The token drawn, or -1 when a number is not finite or the mask leaves nothing.
int32_t next_token(std::span<float> logits, float most, const SamplingRow& row, SampleScratch& s) {
    if (row.history.empty() && row.bias_ids.empty() && row.allowed.empty()) {
        return choose(logits, most, row, s);
    }
    if (!row.history.empty()) apply_penalties(logits, row, s);
    for (size_t i = 0; i < row.bias_ids.size(); ++i) logits[size_t(row.bias_ids[i])] += row.bias_values[i];
    if (!row.allowed.empty()) apply_mask(logits, row.allowed);
    most = block_maxima(logits, s.maxima);
    return most > kMinusInfinity ? choose(logits, most, row, s) : -1;
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

void sample(std::span<float> logits, const SamplingRow& row, SampleScratch& s,
            std::span<int32_t> top_ids, std::span<float> top_logprobs, SampleResult& result) {
    result = {};
    const float most = block_maxima(logits, s.maxima);
    result.finite = most > kMinusInfinity;
    if (!result.finite) return;
    if (row.num_logprobs < 0) {
        result.token = row.target >= 0 ? row.target : next_token(logits, most, row, s);
        result.finite = result.token >= 0;
        return;
    }
    const LogSoftmax logprob = log_softmax(logits, most, s);
    const size_t wanted = std::min(size_t(row.num_logprobs), top_ids.size());
    report_alternatives(logits, logprob, s, top_ids.first(wanted), top_logprobs);
    s.raw.assign(logits.begin(), logits.end());
    result.token = row.target >= 0 ? row.target : next_token(logits, most, row, s);
    result.finite = result.token >= 0;
    if (!result.finite) return;
    const float logit = s.raw[size_t(result.token)];
    result.logprob = logprob(logit);
    result.rank = 1 + count_above(s.raw.data(), s.raw.size(), logit);
}

}  // namespace stoker
