// The decoder as Python sees it. Every index is checked here, once a call, because the kernels
// trust theirs; a wrong one is a ValueError, never a signal.
#include "stoker/decoder.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <typeinfo>

#include "activations.h"
#include "arrays.h"
#include "pooling.h"
#include "runs.h"
#include "sampling.h"

namespace stoker {
namespace {

template <class T>
T field(const nb::dict& data, const char* name) {
    require(data.contains(name), std::string("the spec lacks ") + name);
    try {
        return nb::cast<T>(data[name]);
    } catch (const std::bad_cast&) {
        throw std::invalid_argument(std::string("the spec's ") + name + " has a wrong type or range");
    }
}

RopeSpec rope_from(const nb::dict& data) {
    RopeSpec rope;
    rope.pairs = field<std::string>(data, "style") == "pairs";
    rope.dim = field<int>(data, "dim");
    rope.inverse_frequencies = field<std::vector<float>>(data, "inverse_frequencies");
    rope.attention_factor = field<float>(data, "attention_factor");
    return rope;
}

ExpertSpec experts_from(const nb::dict& data) {
    ExpertSpec experts;
    experts.count = field<int>(data, "count");
    experts.used = field<int>(data, "used");
    experts.size = field<int>(data, "size");
    experts.normalised = field<bool>(data, "normalised");
    experts.router_bias = field<bool>(data, "router_bias");
    experts.shared_size = field<int>(data, "shared_size");
    require(experts.count > 0, "a mixture has no experts");
    return experts;
}

LayerSpec layer_from(const nb::dict& data) {
    LayerSpec layer;
    if (const auto rope = field<std::optional<nb::dict>>(data, "rope")) layer.rope = rope_from(*rope);
    layer.window = field<std::optional<int>>(data, "window").value_or(0);
    if (const auto experts = field<std::optional<nb::dict>>(data, "experts")) layer.experts = experts_from(*experts);
    return layer;
}

QkNorm qk_norm_from(const nb::dict& data) {
    const std::string kind = field<std::optional<std::string>>(data, "qk_norm").value_or("");
    require(kind == "" || kind == "head" || kind == "whole", "the spec's qk_norm is unknown");
    return kind == "" ? QkNorm::None : (kind == "head" ? QkNorm::Head : QkNorm::Whole);
}

DecoderSpec spec_from(const nb::dict& data) {
    DecoderSpec spec;
    spec.vocab_size = field<int>(data, "vocab_size");
    spec.hidden_size = field<int>(data, "hidden_size");
    spec.feed_forward_size = field<int>(data, "feed_forward_size");
    spec.num_heads = field<int>(data, "num_heads");
    spec.num_kv_heads = field<int>(data, "num_kv_heads");
    spec.head_dim = field<int>(data, "head_dim");
    spec.norm_eps = field<float>(data, "norm_eps");
    spec.norm_offset = field<float>(data, "norm_offset");
    spec.attention_scale = field<float>(data, "attention_scale");
    spec.qkv_bias = field<bool>(data, "qkv_bias");
    spec.output_bias = field<bool>(data, "output_bias");
    spec.qk_norm = qk_norm_from(data);
    spec.layer_norm = field<std::string>(data, "norm") == "layer";
    spec.norm_bias = field<bool>(data, "norm_bias");
    spec.pre_norms = field<bool>(data, "pre_norms");
    spec.post_norms = field<bool>(data, "post_norms");
    spec.parallel = field<bool>(data, "parallel");
    spec.attention_sinks = field<bool>(data, "attention_sinks");
    spec.activation = activation_from(field<std::string>(data, "activation"));
    spec.gated = field<bool>(data, "gated");
    spec.feed_forward_bias = field<bool>(data, "feed_forward_bias");
    spec.learned_positions = field<bool>(data, "learned_positions") ? field<int>(data, "max_context") : 0;
    spec.embedding_scale = field<float>(data, "embedding_scale");
    spec.residual_scale = field<float>(data, "residual_scale");
    spec.logit_scale = field<float>(data, "logit_scale");
    spec.attention_softcap = field<std::optional<float>>(data, "attention_softcap").value_or(0.0f);
    spec.final_softcap = field<std::optional<float>>(data, "final_softcap").value_or(0.0f);
    spec.tied_head = field<bool>(data, "tied_head");
    spec.causal = field<bool>(data, "causal");
    spec.residual_norms = field<bool>(data, "residual_norms");
    spec.token_types = field<int>(data, "token_types");
    spec.labels = field<int>(data, "labels");
    for (nb::handle layer : field<nb::sequence>(data, "layers")) {
        require(nb::isinstance<nb::dict>(layer), "a layer of the spec is not a record");
        spec.layers.push_back(layer_from(nb::borrow<nb::dict>(layer)));
    }
    return spec;
}

const Kernels& kernels_named(const std::string& name) {
    const Kernels* kernels = find_kernels(name.c_str());
    require(kernels != nullptr, "this machine cannot run the '" + name + "' kernels");
    return *kernels;
}

void set_tensor(Decoder& decoder, const std::string& name, int type, int rows, int columns,
                const nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>& source) {
    const std::span<const uint8_t> bytes(source.data(), source.shape(0));
    nb::gil_scoped_release release;
    decoder.set_tensor(name, TensorType(type), rows, columns, bytes);
}

// Slices of a flat array: slice i is [offsets[i], offsets[i + 1]).
template <class T>
std::span<const T> slice(const Array1<T>& flat, const Array1<int32_t>& offsets, size_t i) {
    const int64_t begin = offsets.data()[i], end = offsets.data()[i + 1];
    require(begin >= 0 && begin <= end && end <= int64_t(flat.shape(0)), "offsets are out of order");
    return view(flat).subspan(size_t(begin), size_t(end - begin));
}

void check_tokens(std::span<const int32_t> ids, int vocab_size, const char* what) {
    for (int32_t id : ids) {
        require(id >= 0 && id < vocab_size, std::string(what) + " has a token id outside the vocabulary");
    }
}

struct SamplingArrays {
    Array2<int32_t> rows;      // row, top_k, num_prompt_tokens, num_logprobs, target
    Array2<float> parameters;  // temperature, top_p, min_p, repetition, presence, frequency
    Array1<uint64_t> seeds;
    Array1<int64_t> positions;
    Array1<int32_t> history;
    Array1<int32_t> history_offsets;
    Array1<int32_t> bias_ids;
    Array1<float> bias_values;
    Array1<int32_t> bias_offsets;
    std::optional<Array1<int32_t>> mask_rows;  // -1: every token is allowed
    std::optional<Array2<uint32_t>> masks;     // a bit a token; filled while the step runs
};

void check_masks(const SamplingArrays& arrays, size_t count, int vocab_size) {
    if (!arrays.mask_rows && !arrays.masks) return;
    require(arrays.mask_rows && arrays.masks, "masks and their rows come together");
    require(arrays.mask_rows->shape(0) == count, "mask rows and logit rows differ in number");
    require(int64_t(arrays.masks->shape(1)) * 32 >= vocab_size, "the masks are too short");
}

std::span<const uint32_t> mask_of(const SamplingArrays& arrays, size_t i) {
    const int32_t row = arrays.mask_rows ? arrays.mask_rows->data()[i] : -1;
    if (row < 0) return {};
    require(size_t(row) < arrays.masks->shape(0), "a mask's row is outside the masks");
    const size_t words = arrays.masks->shape(1);
    return {arrays.masks->data() + size_t(row) * words, words};
}

LogitRow read_logit_row(const SamplingArrays& arrays, size_t i, int vocab_size) {
    const int32_t* row = arrays.rows.data() + i * 5;
    const float* parameter = arrays.parameters.data() + i * 6;
    SamplingRow sampling{};
    sampling.temperature = parameter[0];
    sampling.top_p = parameter[1];
    sampling.min_p = parameter[2];
    sampling.repetition_penalty = parameter[3];
    sampling.presence_penalty = parameter[4];
    sampling.frequency_penalty = parameter[5];
    sampling.top_k = row[1];
    sampling.num_prompt_tokens = row[2];
    sampling.num_logprobs = row[3];
    sampling.target = row[4];
    sampling.seed = arrays.seeds.data()[i];
    sampling.position = arrays.positions.data()[i];
    sampling.history = slice(arrays.history, arrays.history_offsets, i);
    sampling.bias_ids = slice(arrays.bias_ids, arrays.bias_offsets, i);
    sampling.bias_values = slice(arrays.bias_values, arrays.bias_offsets, i);
    sampling.allowed = mask_of(arrays, i);
    require(sampling.target >= -1 && sampling.target < vocab_size, "a target is outside the vocabulary");
    check_sampling(sampling);
    check_tokens(sampling.history, vocab_size, "the history");
    check_tokens(sampling.bias_ids, vocab_size, "the bias");
    return {row[0], sampling};
}

void read_logit_rows(const SamplingArrays& arrays, int vocab_size, StepInput& input) {
    const size_t count = arrays.rows.shape(0);
    require(arrays.rows.shape(1) == 5 && arrays.parameters.shape(1) == 6, "sampling arrays have wrong columns");
    require(arrays.parameters.shape(0) == count && arrays.seeds.shape(0) == count &&
                arrays.positions.shape(0) == count && arrays.history_offsets.shape(0) == count + 1 &&
                arrays.bias_offsets.shape(0) == count + 1 &&
                arrays.bias_ids.shape(0) == arrays.bias_values.shape(0),
            "sampling arrays have different lengths");
    check_masks(arrays, count, vocab_size);
    int before = -1;
    for (size_t i = 0; i < count; ++i) {
        input.logit_rows.push_back(read_logit_row(arrays, i, vocab_size));
        const int row = input.logit_rows.back().row;
        require(row > before && row < int(input.tokens.size()), "logit rows must ascend within the step");
        before = row;
    }
}

nb::tuple results_to_numpy(StepOutput&& output) {
    const size_t count = output.results.size(), width = size_t(output.width);
    std::vector<int32_t> tokens(count), ranks(count);
    std::vector<float> logprobs(count);
    std::vector<uint8_t> finite(count);
    for (size_t i = 0; i < count; ++i) {
        const SampleResult& result = output.results[i];
        tokens[i] = result.token;
        ranks[i] = result.rank;
        logprobs[i] = result.logprob;
        finite[i] = result.finite;
    }
    return nb::make_tuple(to_numpy(std::move(tokens), {count}), to_numpy(std::move(logprobs), {count}),
                          to_numpy(std::move(ranks), {count}), to_numpy(std::move(finite), {count}),
                          to_numpy(std::move(output.top_ids), {count, width}),
                          to_numpy(std::move(output.top_logprobs), {count, width}));
}

nb::tuple step(Decoder& decoder, const Array1<int32_t>& tokens, const Array2<int32_t>& runs,
               const Array1<int32_t>& block_tables, const Array2<int32_t>& rows,
               const Array2<float>& parameters, const Array1<uint64_t>& seeds,
               const Array1<int64_t>& positions, const Array1<int32_t>& history,
               const Array1<int32_t>& history_offsets, const Array1<int32_t>& bias_ids,
               const Array1<float>& bias_values, const Array1<int32_t>& bias_offsets, int width,
               const std::optional<Array1<int32_t>>& mask_rows,
               const std::optional<Array2<uint32_t>>& masks, const nb::object& before_sampling,
               const nb::object& adapters) {
    require(width >= 0 && width <= 1024, "at most 1024 alternatives");
    StepInput input;
    read_runs(decoder, tokens, runs, block_tables, input);
    read_adapters(decoder, adapters, input);
    const SamplingArrays arrays{rows, parameters, seeds, positions, history,
                                history_offsets, bias_ids, bias_values, bias_offsets, mask_rows, masks};
    read_logit_rows(arrays, decoder.spec().vocab_size, input);
    if (!before_sampling.is_none()) {
        input.before_sampling = [&] {
            nb::gil_scoped_acquire acquire;
            before_sampling();
        };
    }
    StepOutput output;
    output.width = width;
    {
        nb::gil_scoped_release release;
        decoder.step(input, output);
    }
    return results_to_numpy(std::move(output));
}

NumpyArray<float> forward_logits(Decoder& decoder, const Array1<int32_t>& tokens,
                                 const Array2<int32_t>& runs, const Array1<int32_t>& block_tables,
                                 const nb::object& adapters) {
    StepInput input;
    read_runs(decoder, tokens, runs, block_tables, input);
    read_adapters(decoder, adapters, input);
    const size_t count = input.tokens.size(), vocab = size_t(decoder.spec().vocab_size);
    std::vector<float> logits(count * vocab);
    {
        nb::gil_scoped_release release;
        decoder.forward_logits(input, logits.data());
    }
    return to_numpy(std::move(logits), {count, vocab});
}

void check_block(const Decoder& decoder, int block) {
    require(block >= 0 && block < decoder.num_blocks(), "a block id is outside the pool");
}

}  // namespace

void bind_decoder(nb::module_& m) {
    nb::class_<Decoder> decoder(m, "Decoder");
    decoder
        .def("__init__",
             [](Decoder* self, const nb::dict& spec, const std::string& kernels, int threads) {
                 require(threads >= 1 && threads <= 1024, "threads must be between 1 and 1024");
                 new (self) Decoder(spec_from(spec), kernels_named(kernels), threads);
             },
             nb::arg("spec"), nb::arg("kernels"), nb::arg("threads"))
        .def_prop_ro("kernels", [](const Decoder& d) { return std::string(d.kernels().name); })
        .def_prop_ro("weight_bytes", &Decoder::weight_bytes)
        .def_prop_ro("kv_bytes_per_block", &Decoder::kv_bytes_per_block)
        .def_prop_ro("num_blocks", &Decoder::num_blocks)
        .def("set_tensor", &set_tensor, nb::arg("name"), nb::arg("type"), nb::arg("rows"),
             nb::arg("columns"), nb::arg("source").noconvert())
        .def("finish", &Decoder::finish)
        .def("allocate_kv", &Decoder::allocate_kv, nb::arg("num_blocks"))
        .def("copy_block",
             [](Decoder& d, int source, int target) {
                 check_block(d, source);
                 check_block(d, target);
                 d.copy_block(source, target);
             })
        .def("poison_block",
             [](Decoder& d, int block) {
                 check_block(d, block);
                 d.poison_block(block);
             })
        .def("step", &step, nb::arg("tokens").noconvert(), nb::arg("runs").noconvert(),
             nb::arg("block_tables").noconvert(), nb::arg("rows").noconvert(),
             nb::arg("parameters").noconvert(), nb::arg("seeds").noconvert(),
             nb::arg("positions").noconvert(), nb::arg("history").noconvert(),
             nb::arg("history_offsets").noconvert(), nb::arg("bias_ids").noconvert(),
             nb::arg("bias_values").noconvert(), nb::arg("bias_offsets").noconvert(), nb::arg("width"),
             nb::arg("mask_rows").noconvert() = nb::none(), nb::arg("masks").noconvert() = nb::none(),
             nb::arg("before_sampling") = nb::none(), nb::arg("adapters") = nb::none())
        .def("forward_logits", &forward_logits, nb::arg("tokens").noconvert(),
             nb::arg("runs").noconvert(), nb::arg("block_tables").noconvert(),
             nb::arg("adapters") = nb::none());
    bind_pooling(decoder);
}

}  // namespace stoker
