// A step whose results are hidden states: the first row of a run, its last, the mean of all, or the
// labels that a classification head gives its first one.
//
// A run's result depends on its own rows alone, summed in their order, so neighbours and threads
// change no bit.
#include <cmath>
#include <cstring>
#include <vector>

#include "step_run.h"

namespace stoker {
namespace {

// The mean of `count` rows, in double: the rows of a long text are many.
void mean_of(const float* rows, int count, int size, float* out) {
    std::vector<double> sums(size_t(size), 0.0);
    for (int row = 0; row < count; ++row, rows += size) {
        for (int i = 0; i < size; ++i) sums[size_t(i)] += double(rows[i]);
    }
    for (int i = 0; i < size; ++i) out[i] = float(sums[size_t(i)] / double(count));
}

void pool_run(const SequenceRun& run, Pooling pooling, const float* states, int size, float* out) {
    const float* first = states + size_t(run.first_row) * size_t(size);
    const float* last = first + size_t(run.count - 1) * size_t(size);
    switch (pooling) {
        case Pooling::None: return;
        case Pooling::Mean: return mean_of(first, run.count, size, out);
        case Pooling::Last: std::memcpy(out, last, size_t(size) * sizeof(float)); return;
        case Pooling::First:
        case Pooling::Labels: std::memcpy(out, first, size_t(size) * sizeof(float)); return;
    }
}

// BERT's head (Devlin et al. 2018): classifier x tanh(pooler x state).
class LabelHead {
public:
    LabelHead(const DecoderWeights& weights, const Products& products, int hidden, int labels)
        : weights_(weights), products_(products), hidden_(hidden), labels_(labels) {}

    // Replaces one state by its labels and zeros. `scratch` and `product` have room for a row.
    void apply(const Activations& scratch, float* product, float* state, int width) const {
        std::memcpy(scratch.values, state, size_t(hidden_) * sizeof(float));
        multiply(scratch, weights_.pooler, product);
        for (int i = 0; i < hidden_; ++i) scratch.values[i] = std::tanh(product[i] + weights_.pooler_bias[i]);
        multiply(scratch, weights_.classifier, product);
        for (int i = 0; i < width; ++i) state[i] = i < labels_ ? product[i] + weights_.classifier_bias[i] : 0.0f;
    }

private:
    void multiply(const Activations& in, const PackedMatrix& matrix, float* out) const {
        products_.quantize(in, 0);
        products_.multiply(in, 1, {Product{&matrix, out, size_t(matrix.tiles()) * kTileRows}});
    }

    const DecoderWeights& weights_;
    const Products& products_;
    int hidden_;
    int labels_;
};

}  // namespace

void Decoder::pool_step(const StepInput& input, std::span<const Pooling> poolings, float* out) {
    StepRun run(*this, input);
    run.forward();
    const Activations& states = run.finish();
    const size_t width = size_t(pooled_width());
    pool_.run(int(input.runs.size()), [&](int item, int) {
        pool_run(input.runs[size_t(item)], poolings[size_t(item)], states.values, spec_.hidden_size,
                 out + size_t(item) * width);
    });
    const Products products(kernels_, pool_);
    const LabelHead head(weights_, products, spec_.hidden_size, spec_.labels);
    for (size_t i = 0; i < poolings.size(); ++i) {
        if (poolings[i] == Pooling::Labels) head.apply(states, workspace_->branch, out + i * width, int(width));
    }
}

}  // namespace stoker
