// Timed runs of what is done to single rows: norm, quantisation, activation, rope with the write to
// the cache, and the sampler. The first four are short, so they run on one thread with everything
// in its caches, as they do between matrix products.
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <cmath>

#include "measure.h"
#include "sampling.h"

namespace stoker {
namespace {

constexpr int kPasses = 16;

std::vector<float> spread(size_t count) {
    std::vector<float> values(count);
    for (size_t i = 0; i < count; ++i) values[i] = float(i * 2654435761u >> 20 & 255) / 128.0f - 1.0f;
    return values;
}

// Seconds of kPasses passes. Kernels work in place, so each pass begins with the same values, put
// back outside the clock. One more pass goes before.
template <class Pass>
double seconds_in_place(std::vector<float>& values, const Pass& pass) {
    const std::vector<float> fresh = values;
    pass();
    double seconds = 0.0;
    for (int i = 0; i < kPasses; ++i) {
        std::copy(fresh.begin(), fresh.end(), values.begin());
        seconds += seconds_of(pass);
    }
    return seconds;
}

// Bytes are those read and written, whole passes.
Measured in_passes(double seconds, double bytes, double operations) {
    return {seconds, bytes * kPasses, operations * kPasses};
}

void check_rows(int rows, int columns) {
    require(rows > 0 && rows <= 65536 && columns > 0 && columns <= 65536, "rows and columns are 1 to 65536");
    require(columns % kGroup == 0, "columns must be a multiple of 32");
}

Measured rms_norm_run(const std::string& name, int rows, int columns) {
    check_rows(rows, columns);
    const Kernels& kernels = named_kernels(name);
    std::vector<float> values = spread(size_t(rows) * columns), out(values.size());
    const std::vector<float> weight(size_t(columns), 1.0f);
    const double seconds = seconds_in_place(values, [&] {
        for (size_t at = 0; at < values.size(); at += size_t(columns)) {
            kernels.rms_norm(values.data() + at, weight.data(), 1e-5f, columns, out.data() + at);
        }
    });
    return in_passes(seconds, double(values.size()) * 12, double(values.size()) * 4);
}

Measured quantize_run(const std::string& name, int rows, int columns) {
    check_rows(rows, columns);
    const Kernels& kernels = named_kernels(name);
    std::vector<float> values = spread(size_t(rows) * columns);
    std::vector<int8_t> quants(values.size());
    std::vector<float> scales(values.size() / kGroup), scaled_sums(scales.size());
    std::vector<int32_t> sums(scales.size() * 2);
    const Activations in{values.data(), quants.data(), scales.data(), scaled_sums.data(), sums.data(), columns};
    const double seconds = seconds_in_place(
        values, [&] { kernels.quantize_rows(in, rows, 0, columns / kGroup); });
    return in_passes(seconds, double(values.size()) * 5.5, double(values.size()) * 4);
}

Measured silu_run(const std::string& name, int rows, int columns) {
    check_rows(rows, columns);
    const Kernels& kernels = named_kernels(name);
    std::vector<float> gate = spread(size_t(rows) * columns);
    const std::vector<float> up = gate;
    const double seconds = seconds_in_place(gate, [&] {
        for (size_t at = 0; at < gate.size(); at += size_t(columns)) {
            kernels.gate[int(Activation::Silu)](gate.data() + at, up.data() + at, columns);
        }
    });
    return in_passes(seconds, double(gate.size()) * 12, double(gate.size()) * 20);
}

// Rotates queries and keys of `rows` positions and writes keys and values to pages.
Measured rope_store_run(const std::string& name, int rows, int heads, int kv_heads, int head_dim) {
    require(rows > 0 && rows <= 65536 && heads > 0 && heads <= 1024, "rows or heads out of range");
    require(kv_heads > 0 && kv_heads <= heads, "more KV heads than heads");
    require(head_dim > 0 && head_dim <= 1024 && head_dim % 16 == 0, "head_dim must be a multiple of 16");
    const Kernels& kernels = named_kernels(name);
    const size_t dim = size_t(head_dim), width = size_t(heads + 2 * kv_heads) * dim;
    std::vector<float> values = spread(width * size_t(rows));
    const std::vector<float> cosine(dim / 2, 0.8f), sine(dim / 2, 0.6f);
    const size_t page = dim * kPage * 2, block = page * size_t(kv_heads);
    std::vector<uint16_t> cache(block * size_t((rows + kPage - 1) / kPage));
    const double seconds = seconds_in_place(values, [&] {
        for (int row = 0; row < rows; ++row) {
            float* head = values.data() + width * size_t(row);
            for (int h = 0; h < heads + kv_heads; ++h) {
                kernels.rope_halves(head + size_t(h) * dim, cosine.data(), sine.data(), head_dim);
            }
            const float* keys = head + size_t(heads) * dim;
            uint16_t* slot = cache.data() + block * size_t(row / kPage) + row % kPage;
            for (int h = 0; h < kv_heads; ++h, keys += dim, slot += page) {
                uint16_t* value_slot = slot - row % kPage + page / 2 + size_t(row % kPage) * dim;
                kernels.store_key_value(keys, keys + size_t(kv_heads) * dim, head_dim, slot, value_slot);
            }
        }
    });
    const double rotated = double(rows) * (heads + kv_heads) * head_dim, stored = double(rows) * kv_heads * head_dim;
    return in_passes(seconds, rotated * 8 + stored * 12, rotated * 3);
}

// Logits whose tokens are about as likely as words are: the n-th in proportion to n^-1.5. The
// shuffle is fixed.
std::vector<float> likely_logits(size_t vocabulary) {
    std::vector<float> logits(vocabulary);
    for (size_t i = 0; i < vocabulary; ++i) {
        const double u = double((i * 2654435761u & 0xffffffffu) + 1) / 4294967297.0;
        logits[i] = float(-1.5 * std::log(u));
    }
    return logits;
}

// As many rows of logits as fit into `megabytes`, at least one a thread; one operation a logit.
Measured sampler_run(const std::string& name, int threads, int vocabulary, float temperature, int top_k,
                     float top_p, size_t megabytes) {
    require(vocabulary > 0 && vocabulary <= 1 << 24, "the vocabulary is 1 to 2^24");
    SamplingRow row;
    row.temperature = temperature;
    row.top_k = top_k;
    row.top_p = top_p;
    check_sampling(row);
    Bench bench(name, threads);
    const std::vector<float> logits = likely_logits(size_t(vocabulary));
    const size_t rows = std::max(size_t(threads), (Memory::checked(megabytes) << 20) / (logits.size() * sizeof(float)));
    Mapping memory(rows * logits.size() * sizeof(float), Mapping::Pages::Huge);
    float* all = reinterpret_cast<float*>(memory.data());
    for (size_t i = 0; i < rows; ++i) std::copy(logits.begin(), logits.end(), all + i * logits.size());
    std::vector<SampleScratch> scratch(static_cast<size_t>(threads));
    const auto draw = [&](std::span<float> of, SampleScratch& buffers, int64_t position) {
        SamplingRow here = row;
        here.position = position;
        SampleResult result;
        sample(of, here, buffers, {}, {}, result);
        bench.sink = float(result.token);
    };
    for (SampleScratch& buffers : scratch) {
        std::vector<float> copy = logits;
        draw(copy, buffers, 0);
    }
    bench.pool.run(threads, [](int, int) {});
    const double seconds = seconds_of([&] {
        bench.pool.run(int(rows), [&](int item, int thread) {
            draw({all + size_t(item) * logits.size(), logits.size()}, scratch[size_t(thread)], item);
        });
    });
    const double values = double(rows) * double(vocabulary);
    return {seconds, values * sizeof(float), values};
}

}  // namespace

void bind_measure_rows(nb::module_& measure) {
    using namespace nb::literals;
    using NoGil = nb::call_guard<nb::gil_scoped_release>;
    measure.def("rms_norm", &rms_norm_run, "kernels"_a, "rows"_a, "columns"_a, NoGil());
    measure.def("quantize_rows", &quantize_run, "kernels"_a, "rows"_a, "columns"_a, NoGil());
    measure.def("silu_multiply", &silu_run, "kernels"_a, "rows"_a, "columns"_a, NoGil());
    measure.def("rope_store", &rope_store_run, "kernels"_a, "rows"_a, "heads"_a, "kv_heads"_a,
                "head_dim"_a, NoGil());
    measure.def("sampler", &sampler_run, "kernels"_a, "threads"_a, "vocabulary"_a, "temperature"_a,
                "top_k"_a, "top_p"_a, "megabytes"_a, NoGil());
}

}  // namespace stoker
