#include "pooling.h"

#include "runs.h"

namespace stoker {
namespace {

// One of each for every run: where its second part begins, or -1, and how it is pooled.
std::vector<Pooling> read_poolings(const Decoder& decoder, const Array1<int32_t>& second_parts,
                                   const Array1<int32_t>& poolings, StepInput& input) {
    const size_t count = input.runs.size();
    require(second_parts.shape(0) == count && poolings.shape(0) == count,
            "there must be a second part and a pooling for each run");
    std::vector<Pooling> found;
    for (size_t i = 0; i < count; ++i) {
        const int32_t second = second_parts.data()[i], pooling = poolings.data()[i];
        require(second >= -1 && (second == -1 || decoder.spec().token_types >= 2),
                "a second part is negative, or the model knows no parts");
        require(pooling >= 0 && pooling < kPoolings, "a pooling is unknown");
        require(Pooling(pooling) != Pooling::Labels || decoder.spec().labels > 0, "the model has no labels");
        if (second >= 0) input.runs[i].second_part = second;
        found.push_back(Pooling(pooling));
    }
    return found;
}

NumpyArray<float> pool_step(Decoder& decoder, const Array1<int32_t>& tokens, const Array2<int32_t>& runs,
                            const Array1<int32_t>& block_tables, const Array1<int32_t>& second_parts,
                            const Array1<int32_t>& poolings, const nb::object& adapters) {
    StepInput input;
    read_runs(decoder, tokens, runs, block_tables, input);
    read_adapters(decoder, adapters, input);
    const std::vector<Pooling> how = read_poolings(decoder, second_parts, poolings, input);
    const size_t count = input.runs.size(), width = size_t(decoder.pooled_width());
    std::vector<float> pooled(count * width, 0.0f);
    {
        nb::gil_scoped_release release;
        decoder.pool_step(input, how, pooled.data());
    }
    return to_numpy(std::move(pooled), {count, width});
}

}  // namespace

void bind_pooling(nb::class_<Decoder>& decoder) {
    decoder.def("pool_step", &pool_step, nb::arg("tokens").noconvert(), nb::arg("runs").noconvert(),
                nb::arg("block_tables").noconvert(), nb::arg("second_parts").noconvert(),
                nb::arg("poolings").noconvert(), nb::arg("adapters") = nb::none());
}

}  // namespace stoker
