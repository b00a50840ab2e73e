// What a token enters the first layer as: its embedding, with what the model learned for its position
// and for its type.
#pragma once

#include "stoker/decoder.h"

namespace stoker {

struct RowPlace {
    int32_t token;
    int position;
    int type;
};

class Embedder {
public:
    Embedder(const DecoderSpec& spec, const Kernels& kernels, const DecoderWeights& weights)
        : spec_(spec), k_(kernels), weights_(weights) {}

    // Both hold hidden_size floats; `added` is scratch.
    void embed(const RowPlace& place, float* out, float* added) const {
        unpack(weights_.embedding, place.token, out);
        if (spec_.embedding_scale != 1.0f) k_.scale(out, spec_.embedding_scale, spec_.hidden_size);
        if (spec_.token_types > 0) add(weights_.token_types, place.type, out, added);
        if (spec_.learned_positions > 0) add(weights_.positions, place.position, out, added);
    }

private:
    void unpack(const PackedMatrix& table, int row, float* out) const {
        k_.unpack_row[int(table.codec)](table, row, out);
    }

    void add(const PackedMatrix& table, int row, float* out, float* added) const {
        unpack(table, row, added);
        k_.add(out, added, spec_.hidden_size);
    }

    const DecoderSpec& spec_;
    const Kernels& k_;
    const DecoderWeights& weights_;
};

}  // namespace stoker
