// What every kind of step is given: its tokens, and which of them belong to which sequence.
#pragma once

#include "arrays.h"
#include "stoker/adapter.h"
#include "stoker/decoder.h"

namespace stoker {

// The runs of a step: one row (first position, count, offset in block_tables) a sequence.
inline void read_runs(const Decoder& decoder, const Array1<int32_t>& tokens, const Array2<int32_t>& runs,
                      const Array1<int32_t>& block_tables, StepInput& input) {
    require(decoder.finished(), "the decoder lacks weights: call finish first");
    input.tokens = view(tokens);
    for (int32_t token : input.tokens) {
        require(token >= 0 && token < decoder.spec().vocab_size, "a token id is outside the vocabulary");
    }
    for (int32_t block : view(block_tables)) {
        require(block >= 0 && block < decoder.num_blocks(), "a block id is outside the pool");
    }
    require(runs.shape(1) == 3, "runs must have three columns");
    int64_t row = 0;
    for (size_t i = 0; i < runs.shape(0); ++i) {
        const int32_t* run = runs.data() + i * 3;
        const int64_t position = run[0], count = run[1], offset = run[2];
        require(position >= 0 && count > 0 && offset >= 0, "a run is empty or negative");
        const int learned = decoder.spec().learned_positions;
        require(learned == 0 || position + count <= learned, "a run is longer than the model has positions");
        require(decoder.spec().causal || position == 0, "a model that is not causal takes whole sequences");
        const int64_t pages = (position + count + kPage - 1) / kPage;
        require(offset + pages <= int64_t(block_tables.shape(0)), "a block table is too short for its run");
        require(row + count <= int64_t(tokens.shape(0)), "runs cover more rows than there are tokens");
        input.runs.push_back({int(row), int(position), int(count), block_tables.data() + offset});
        row += count;
    }
    require(row == int64_t(tokens.shape(0)) && row > 0, "runs must cover every token");
}

// One adapter or None for each run; None: no run has one. They must outlive the step.
inline void read_adapters(const Decoder& decoder, const nb::object& adapters, StepInput& input) {
    if (adapters.is_none()) return;
    const auto listed = nb::cast<nb::sequence>(adapters);
    require(nb::len(listed) == input.runs.size(), "adapters and runs differ in number");
    for (size_t i = 0; i < input.runs.size(); ++i) {
        const nb::object adapter = listed[i];
        if (adapter.is_none()) continue;
        input.runs[i].adapter = nb::cast<const Adapter*>(adapter);
        require(input.runs[i].adapter->decoder() == &decoder, "an adapter belongs to another decoder");
    }
}

}  // namespace stoker
