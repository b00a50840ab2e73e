// A layer's mixture of experts as grouped products: rows are sorted by expert, and each expert's
// weights are read once for all rows that go through it.
//
// What a row gets does not depend on the rows beside it: products of single rows do not (kernels.h),
// and its experts' results are added best first.
#pragma once

#include <vector>

#include "feed_forward.h"

namespace stoker {

class Mixture {
public:
    Mixture(const DecoderSpec& spec, const Kernels& kernels, ThreadPool& pool, Workspace& workspace,
            const LayerWeights& weights, const ExpertSpec& experts);

    // out [rows][hidden_size] = what the experts make of rows of `in`.
    void run(const Activations& in, int rows, float* out);

private:
    struct Group {
        int expert;
        int first;  // slot
        int count;
    };

    void choose(const Activations& in, int rows);
    void sort_slots(int rows);
    void gather(const Activations& in, int rows);
    void multiply_experts();
    void multiply_shared(const Activations& in, int rows);
    void join(const Activations& in, int row, float* out);
    float shared_weight(const float* x) const;

    // Calls work(group, begin, end, thread) for parts of [0, units) of every group.
    template <class Work>
    void each_part(int units, const Work& work);

    const DecoderSpec& spec_;
    const Kernels& k_;
    ThreadPool& pool_;
    Workspace& workspace_;
    MixtureScratch& scratch_;
    const LayerWeights& weights_;
    const ExpertSpec& experts_;
    Products products_;
    Activations gated_;
    std::vector<Group> groups_;  // of experts that are used
    std::vector<int> row_of_slot_;
};

}  // namespace stoker
