// Timed runs of single kernels and of the machine's limits, for `stoker bench kernels`. Everything is
// measured inside the core, so that no figure contains Python. Each function returns the seconds of
// one run and what it read and computed; repeating and comparing is the caller's business.
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <tuple>

#include "arrays.h"
#include "stoker/kernels.h"
#include "stoker/memory.h"
#include "stoker/thread_pool.h"

namespace stoker {
namespace {

using Measured = std::tuple<double, double, double>;  // seconds, bytes read, operations

const Kernels& named(const std::string& name) {
    const Kernels* kernels = find_kernels(name.c_str());
    require(kernels != nullptr, "kernels '" + name + "' cannot run here");
    return *kernels;
}

template <class Work>
double seconds_of(const Work& work) {
    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    work();
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

// A pool whose threads are awake, and a place for results nobody needs.
struct Bench {
    Bench(const std::string& name, int threads) : kernels(named(name)), pool(checked(threads)) {
        pool.run(threads, [](int, int) {});
    }
    static int checked(int threads) {
        require(threads > 0 && threads <= 1024, "threads must be between 1 and 1024");
        return threads;
    }
    const Kernels& kernels;
    ThreadPool pool;
    volatile float sink = 0.0f;
};

Measured read_limit(const std::string& name, int threads, size_t megabytes) {
    Bench bench(name, threads);
    const size_t share = megabytes * (size_t(1) << 20) / size_t(threads);
    Mapping memory(share * size_t(threads) + 16384, Mapping::Pages::Huge);
    std::memset(memory.data(), 1, memory.size());
    const double seconds = seconds_of([&] {
        bench.pool.run(threads, [&](int item, int) {
            bench.sink = bench.kernels.read_bytes(memory.data() + share * size_t(item), share);
        });
    });
    return {seconds, double(share) * threads, 0.0};
}

Measured loop_limit(const std::string& name, int threads, bool floats) {
    constexpr size_t kRounds = 200'000;
    Bench bench(name, threads);
    const double seconds = seconds_of([&] {
        bench.pool.run(threads, [&](int, int) {
            bench.sink = floats ? bench.kernels.fma_loop(kRounds) : float(bench.kernels.dot_loop(kRounds));
        });
    });
    const double each = floats ? bench.kernels.ops_per_fma : bench.kernels.ops_per_dot;
    return {seconds, 0.0, each * kRounds * threads};
}

Measured dot_limit(const std::string& name, int threads) { return loop_limit(name, threads, false); }
Measured fma_limit(const std::string& name, int threads) { return loop_limit(name, threads, true); }

// Matrices one after the other in memory, filled with small quants and scales of about 0.06.
struct Matrices {
    Matrices(Codec codec, int rows, int columns, size_t bytes) : first{nullptr, codec, rows, columns} {
        require(rows > 0 && columns > 0 && columns % kGroup == 0, "columns must be a multiple of 32");
        count = std::max<size_t>(1, bytes / first.bytes());
        memory = Mapping(first.bytes() * count + 16384, Mapping::Pages::Huge);
        std::memset(memory.data(), 0x2C, memory.size());
        first.data = memory.data();
    }
    PackedMatrix at(size_t index) const {
        PackedMatrix matrix = first;
        matrix.data += first.bytes() * index;
        return matrix;
    }
    double bytes() const { return double(first.bytes()) * double(count); }

    PackedMatrix first;
    size_t count = 0;
    Mapping memory;
};

struct Rows {
    Rows(const Kernels& kernels, int rows, int columns)
        : values(size_t(rows) * columns), quants(values.size()), scales(values.size() / kGroup),
          scaled_sums(scales.size()), sums(scales.size() * 2) {
        for (size_t i = 0; i < values.size(); ++i) values[i] = float(i * 2654435761u >> 20 & 255) / 128.0f - 1.0f;
        view = {values.data(), quants.data(), scales.data(), scaled_sums.data(), sums.data(), columns};
        kernels.quantize_rows(view, rows, 0, columns / kGroup);
    }
    std::vector<float> values;
    std::vector<int8_t> quants;
    std::vector<float> scales, scaled_sums;
    std::vector<int32_t> sums;
    Activations view;
};

// `batch` activation rows times each of as many matrices as fit into `megabytes`.
Measured matmul_run(const std::string& name, int threads, int codec, int rows, int columns, int batch,
                    size_t megabytes) {
    require(codec >= 0 && codec < kCodecs, "no such codec");
    require(batch > 0, "batch must be positive");
    Bench bench(name, threads);
    const Matrices matrices(Codec(codec), rows, columns, megabytes << 20);
    const Rows in(bench.kernels, batch, columns);
    const int tiles = matrices.first.tiles(), piece = std::max(1, tiles / (threads * 4));
    const size_t stride = size_t(tiles) * kTileRows;
    std::vector<float> out(size_t(batch) * stride);
    const double seconds = seconds_of([&] {
        for (size_t i = 0; i < matrices.count; ++i) {
            const PackedMatrix matrix = matrices.at(i);
            bench.pool.run((tiles + piece - 1) / piece, [&](int item, int) {
                const int begin = item * piece, end = std::min(tiles, begin + piece);
                for (int row = 0; row < batch; row += kMatmulRows) {
                    bench.kernels.matmul[codec](matrix, begin, end, in.view.from_row(row),
                                                std::min(kMatmulRows, batch - row),
                                                out.data() + size_t(row) * stride + size_t(begin) * kTileRows, stride);
                }
            });
        }
    });
    return {seconds, matrices.bytes(), 2.0 * rows * columns * batch * double(matrices.count)};
}

// `positions` queries of `heads` heads each at the end of `context`, over as many KV heads as fit.
Measured attention_run(const std::string& name, int threads, int heads, int head_dim, int context,
                       int positions, size_t megabytes) {
    require(heads > 0 && positions > 0 && heads * positions <= kMaxQueries, "too many queries");
    require(head_dim > 0 && head_dim % 16 == 0 && context >= positions, "shapes do not fit");
    Bench bench(name, threads);
    const int pages = (context + kPage - 1) / kPage;
    const size_t half = size_t(head_dim) * kPage, per_head = half * 2 * size_t(pages);
    const size_t kv_heads = std::max<size_t>(size_t(threads), (megabytes << 20) / (per_head * 2));
    Mapping memory(per_head * 2 * kv_heads, Mapping::Pages::Huge);
    std::memset(memory.data(), 0x2C, memory.size());
    std::vector<int32_t> table(size_t(pages) + 1);
    for (int i = 0; i < pages; ++i) table[size_t(i)] = i;
    const std::vector<float> queries(size_t(heads) * positions * head_dim, 0.1f);
    std::vector<float> outputs(queries.size() * kv_heads);
    const size_t scratch_floats = (attention_scratch_floats(head_dim) + 15) / 16 * 16;
    Mapping scratch(scratch_floats * sizeof(float) * size_t(threads), Mapping::Pages::Normal);
    const double seconds = seconds_of([&] {
        bench.pool.run(int(kv_heads), [&](int item, int thread) {
            AttentionTask task{};
            task.queries = queries.data();
            task.query_stride = size_t(head_dim);
            task.position_stride = task.output_stride = size_t(heads) * head_dim;
            task.num_positions = positions;
            task.heads_per_position = heads;
            task.first_position = context - positions;
            task.head_dim = head_dim;
            // Blocks hold every KV head, as in the decoder's cache: pages lie far apart.
            task.keys = reinterpret_cast<const uint16_t*>(memory.data()) + size_t(item) * half * 2;
            task.values = task.keys + half;
            task.block_stride = half * 2 * kv_heads;
            task.block_table = table.data();
            task.output = outputs.data() + queries.size() * size_t(item);
            task.scratch = reinterpret_cast<float*>(scratch.data()) + scratch_floats * size_t(thread);
            bench.kernels.attention(task);
        });
    });
    const double bytes = double(per_head) * 2 * double(kv_heads);
    return {seconds, bytes, 4.0 * context * head_dim * heads * positions * double(kv_heads)};
}

// Row-wise kernels on `rows` rows of `columns` values, one thread. Bytes: read and written.
Measured rowwise_run(const std::string& name, const std::string& kernel, int rows, int columns) {
    require(rows > 0 && columns > 0 && columns % kGroup == 0, "columns must be a multiple of 32");
    const Kernels& k = named(name);
    Rows in(k, rows, columns), other(k, rows, columns);
    const std::vector<float> weight(size_t(columns), 1.0f);
    auto each_row = [&](auto work) {
        return seconds_of([&] {
            for (int row = 0; row < rows; ++row) work(in.view.from_row(row), other.view.from_row(row));
        });
    };
    const double values = double(rows) * columns;
    if (kernel == "rms_norm") {
        return {each_row([&](const Activations& x, const Activations& y) {
                    k.rms_norm(x.values, weight.data(), 1e-5f, columns, y.values);
                }), values * 12, values * 4};
    }
    if (kernel == "quantize_rows") {
        return {each_row([&](const Activations& x, const Activations&) {
                    k.quantize_rows(x, 1, 0, columns / kGroup);
                }), values * 5.5, values * 4};
    }
    require(kernel == "silu_multiply", "no such kernel");
    return {each_row([&](const Activations& x, const Activations& y) {
                k.silu_multiply(x.values, y.values, columns);
            }), values * 12, values * 20};
}

}  // namespace

void bind_measure(nb::module_& m) {
    using namespace nb::literals;
    nb::module_ measure = m.def_submodule("measure", "Timed runs: (seconds, bytes, operations).");
    using NoGil = nb::call_guard<nb::gil_scoped_release>;
    measure.def("read_limit", &read_limit, "kernels"_a, "threads"_a, "megabytes"_a, NoGil());
    measure.def("dot_limit", &dot_limit, "kernels"_a, "threads"_a, NoGil());
    measure.def("fma_limit", &fma_limit, "kernels"_a, "threads"_a, NoGil());
    measure.def("matmul", &matmul_run, "kernels"_a, "threads"_a, "codec"_a, "rows"_a, "columns"_a,
                "batch"_a, "megabytes"_a, NoGil());
    measure.def("attention", &attention_run, "kernels"_a, "threads"_a, "heads"_a, "head_dim"_a,
                "context"_a, "positions"_a, "megabytes"_a, NoGil());
    measure.def("rowwise", &rowwise_run, "kernels"_a, "kernel"_a, "rows"_a, "columns"_a, NoGil());
}

}  // namespace stoker
