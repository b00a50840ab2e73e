// The inner half of a feed-forward: gate, up, activation.
//
// In strips of 32 outputs, so that a strip is activated and quantised while it is still in the
// first-level cache. A feed-forward without a gate is one whose gate is `up` and whose `up` is one.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>

#include "low_rank_sums.h"
#include "products.h"
#include "stoker/decoder.h"
#include "workspace.h"

namespace stoker {

// What adapters add in a layer; null: nothing.
struct Adapted {
    const LowRankSums* sums = nullptr;
    int layer = 0;
};

class FeedForward {
public:
    // Of the feed-forwards stacked in `weights`, the one whose inner rows begin with `first_row`.
    FeedForward(const DecoderSpec& spec, const Kernels& kernels, Workspace& workspace,
                const FeedForwardWeights& weights, int first_row, Adapted adapted = {})
        : spec_(spec), k_(kernels), workspace_(workspace), weights_(weights), first_row_(first_row),
          adapted_(adapted) {}

    // Strips [begin, end) of `rows` rows; `out` has as many columns as the feed-forward is wide.
    void strips(int begin, int end, const Activations& in, int rows, const Activations& out, int thread) const {
        for (int row = 0; row < rows; row += kMatmulRows) {
            for (int strip = begin; strip < end; ++strip) {
                one_strip(strip, row, in.from_row(row), std::min(kMatmulRows, rows - row), out.from_row(row), thread);
            }
        }
    }

private:
    void one_strip(int strip, int first, const Activations& in, int rows, const Activations& out, int thread) const {
        const int begin = strip * kGroup, width = std::min(kGroup, out.columns - begin);
        const int inner = first_row_ + begin;
        float* gate = workspace_.gate_scratch(thread);
        float* up = gate + size_t(kMatmulRows) * kGroup;
        const PackedMatrix& gates = spec_.gated ? weights_.gate : weights_.up;
        const float* gate_bias = spec_.gated ? weights_.gate_bias : weights_.up_bias;
        multiply(gates, inner, width, in, rows, gate);
        if (spec_.gated) multiply(weights_.up, inner, width, in, rows, up);
        if (adapted_.sums) adapt(begin, width, first, rows, gate, up, thread);
        for (int row = 0; row < rows; ++row) {
            float* values = gate + size_t(row) * kGroup;
            float* factors = up + size_t(row) * kGroup;
            if (gate_bias) k_.add(values, gate_bias + inner, width);
            if (spec_.gated && weights_.up_bias) k_.add(factors, weights_.up_bias + inner, width);
            k_.gate[int(spec_.activation)](values, spec_.gated ? factors : kOnes.data(), width);
            std::memcpy(out.values + size_t(row) * out.columns + begin, values, size_t(width) * sizeof(float));
        }
        if (!weights_.down.dense()) k_.quantize_rows(out, rows, strip, strip + 1);
    }

    void adapt(int begin, int width, int first, int rows, float* gate, float* up, int thread) const {
        const auto add = [&](Target target, float* out) {
            adapted_.sums->add_tiles(adapted_.layer, target, begin / kTileRows, (begin + width) / kTileRows, first,
                                     rows, out, kGroup, thread);
        };
        if (spec_.gated) add(Target::Gate, gate);
        add(Target::Up, spec_.gated ? up : gate);
    }

    void multiply(const PackedMatrix& matrix, int inner, int width, const Activations& in, int rows, float* out) const {
        k_.matmul[int(matrix.codec)](matrix, inner / kTileRows, (inner + width) / kTileRows, in, rows, out, kGroup);
    }

    alignas(64) static constexpr std::array<float, kGroup> kOnes = [] {
        std::array<float, kGroup> ones{};
        ones.fill(1.0f);
        return ones;
    }();

    const DecoderSpec& spec_;
    const Kernels& k_;
    Workspace& workspace_;
    const FeedForwardWeights& weights_;
    int first_row_;
    Adapted adapted_;
};

}  // namespace stoker
