// A step whose results are tokens, and one whose results are logits.
#include <cstring>

#include "step_run.h"

namespace stoker {

void Decoder::step(const StepInput& input, StepOutput& output) {
    StepRun run(*this, input);
    run.forward();
    if (input.before_sampling) input.before_sampling();
    const size_t count = input.logit_rows.size(), width = size_t(output.width);
    output.results.assign(count, SampleResult{});
    output.top_ids.assign(count * width, -1);
    output.top_logprobs.assign(count * width, 0.0f);
    std::vector<int> rows(count);
    for (size_t i = 0; i < count; ++i) rows[i] = input.logit_rows[i].row;
    run.head(rows, [&](int first, int block, float* logits, size_t stride) {
        pool_.run(block, [&](int item, int thread) {
            const size_t at = size_t(first + item);
            sample({logits + size_t(item) * stride, size_t(spec_.vocab_size)},
                   input.logit_rows[at].sampling, workspace_->samplers[size_t(thread)],
                   {output.top_ids.data() + at * width, width},
                   {output.top_logprobs.data() + at * width, width}, output.results[at]);
        });
    });
}

void Decoder::forward_logits(const StepInput& input, float* logits) {
    StepRun run(*this, input);
    run.forward();
    std::vector<int> rows(input.tokens.size());
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = int(i);
    run.head(rows, [&](int first, int count, float* block, size_t stride) {
        for (int i = 0; i < count; ++i) {
            std::memcpy(logits + size_t(first + i) * size_t(spec_.vocab_size),
                        block + size_t(i) * stride, size_t(spec_.vocab_size) * sizeof(float));
        }
    });
}

}  // namespace stoker
