// Choosing the next token from one row of logits.
//
// Order: repetition, presence and frequency penalties and bias on the raw logits; the mask;
// temperature; top_k; top_p; min_p; then one draw. The draw is the inverse of the cumulative
// distribution over the kept tokens in order of id, at a number that depends on (seed, position)
// alone, so it is the same in any batch, after a restart, and on any thread. Reported log
// probabilities are those of the raw logits. src/stoker/kernels/reference/sampler.py is the twin.
//
// Sums run in one fixed order. `sample` allocates only until the scratch has met the vocabulary.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace stoker {

struct SamplingRow {
    float temperature = 1.0f;  // below 1e-5: the most likely token, lowest id on a tie
    int32_t top_k = 0;         // 0: all
    float top_p = 1.0f;
    float min_p = 0.0f;
    float repetition_penalty = 1.0f;
    float presence_penalty = 0.0f;
    float frequency_penalty = 0.0f;
    uint64_t seed = 0;
    int64_t position = 0;
    int32_t num_prompt_tokens = 0;     // of `history`
    std::span<const int32_t> history;  // prompt and output; empty when no penalty is set
    std::span<const int32_t> bias_ids;
    std::span<const float> bias_values;
    int32_t num_logprobs = -1;  // -1: none, 0: of the chosen token, k: and of k alternatives
    int32_t target = -1;        // >= 0: draw nothing, report this token
    std::span<const uint32_t> allowed;  // a bit a token; empty: all
};

struct SampleResult {
    int32_t token = -1;
    float logprob = 0.0f;
    int32_t rank = 0;    // 1 is the most likely
    bool finite = true;  // false: the row held a NaN or plus infinity, or no token was left
};

struct Candidate {
    float weight;
    int32_t id;
};

// Buffers that grow to the vocabulary and are then reused. One per thread.
struct SampleScratch {
    std::vector<int32_t> counts;  // per token: 0 unseen, else 1 + occurrences in the output
    std::vector<int32_t> seen;
    std::vector<float> maxima;   // per block of logits
    std::vector<float> bounds;
    std::vector<float> weights;  // per token
    std::vector<double> sums;    // per block of weights
    std::vector<float> raw;
    std::vector<Candidate> candidates;  // in order of id
    std::vector<Candidate> ranking;
};

// `logits` is overwritten. The best alternatives go to top_ids and top_logprobs, best first; no more
// than fit there, and what is not filled stays as it is.
void sample(std::span<float> logits, const SamplingRow& row, SampleScratch& scratch,
            std::span<int32_t> top_ids, std::span<float> top_logprobs, SampleResult& result);

// The number in [0, 1) that decides a draw: Philox4x32-10 (Salmon et al. 2011) of seed, position.
double uniform(uint64_t seed, int64_t position);

}  // namespace stoker
