// One row of the sampler, for comparison with its NumPy twin.
#include "stoker/sampler.h"

#include "arrays.h"
#include "sampling.h"

namespace stoker {
namespace {

nb::tuple sample_row(const Array1<float>& logits, float temperature, int top_k, float top_p, float min_p,
                     float repetition_penalty, float presence_penalty, float frequency_penalty,
                     uint64_t seed, int64_t position, const Array1<int32_t>& history, int num_prompt_tokens,
                     const Array1<int32_t>& bias_ids, const Array1<float>& bias_values, int num_logprobs,
                     int target, const Array1<uint32_t>& allowed) {
    const auto vocab = int64_t(logits.size());
    const auto inside = [&](std::span<const int32_t> ids) {
        for (int32_t id : ids) require(id >= 0 && id < vocab, "a token id is outside the vocabulary");
    };
    inside(view(history));
    inside(view(bias_ids));
    require(vocab > 0 && target >= -1 && target < vocab, "the target is outside the vocabulary");
    require(bias_ids.size() == bias_values.size(), "bias ids and values differ in length");
    require(num_logprobs >= -1 && num_logprobs <= 1024, "too many alternatives");
    require(allowed.size() == 0 || int64_t(allowed.size()) * 32 >= vocab, "the mask is too short");
    std::vector<float> copy(logits.data(), logits.data() + vocab);
    const size_t width = size_t(num_logprobs < 0 ? 0 : num_logprobs);
    std::vector<int32_t> top_ids(width, -1);
    std::vector<float> top_logprobs(width);
    SampleScratch scratch;
    SampleResult result;
    const SamplingRow row{temperature, top_k, top_p, min_p, repetition_penalty, presence_penalty,
                          frequency_penalty, seed, position, num_prompt_tokens, view(history),
                          view(bias_ids), view(bias_values), num_logprobs, target, view(allowed)};
    check_sampling(row);
    sample(copy, row, scratch, top_ids, top_logprobs, result);
    return nb::make_tuple(result.token, result.logprob, result.rank, result.finite,
                          to_numpy(std::move(top_ids), {width}), to_numpy(std::move(top_logprobs), {width}));
}

}  // namespace

void bind_sampler(nb::module_& m) {
    m.def("uniform", &uniform, nb::arg("seed"), nb::arg("position"));
    m.def("sample_row", &sample_row, nb::arg("logits").noconvert(), nb::kw_only(), nb::arg("temperature"),
          nb::arg("top_k"), nb::arg("top_p"), nb::arg("min_p"), nb::arg("repetition_penalty"),
          nb::arg("presence_penalty"), nb::arg("frequency_penalty"), nb::arg("seed"), nb::arg("position"),
          nb::arg("history").noconvert(), nb::arg("num_prompt_tokens"), nb::arg("bias_ids").noconvert(),
          nb::arg("bias_values").noconvert(), nb::arg("num_logprobs"), nb::arg("target"),
          nb::arg("allowed").noconvert());
}

}  // namespace stoker
