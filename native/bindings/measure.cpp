// Timed runs of matrix products, attention and the machine's limits, for `stoker bench kernels`.
// Everything is measured inside the core, so that no figure contains Python. Each function returns
// the seconds of one run and what it read and computed; repeating and comparing is the caller's
// business.
#include "measure.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <algorithm>

namespace stoker {
namespace {

Measured read_limit(const std::string& name, int threads, const Memory& memory) {
    Bench bench(name, threads);
    const size_t share = memory.bytes / size_t(threads) / 1024 * 1024;
    const double seconds = seconds_of([&] {
        bench.pool.run(threads, [&](int item, int) {
            bench.sink = bench.kernels.read_bytes(memory.mapping.data() + share * size_t(item), share);
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

// Activation rows, quantised as well.
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

// `batch` activation rows times each of as many matrices, one after the other in memory, as fit
// into `megabytes`; at least one.
Measured matmul_run(const std::string& name, int threads, const Memory& memory, int codec, int rows,
                    int columns, int batch, size_t megabytes) {
    require(codec >= 0 && codec < kCodecs, "no such codec");
    require(batch > 0 && batch <= 65536, "batch must be between 1 and 65536");
    require(rows > 0 && columns > 0 && columns % kGroup == 0, "columns must be a multiple of 32");
    Bench bench(name, threads);
    PackedMatrix first{memory.mapping.data(), Codec(codec), rows, columns};
    require(first.bytes() <= memory.bytes && megabytes <= memory.bytes >> 20, "more than the memory holds");
    const size_t count = std::max<size_t>(1, (megabytes << 20) / first.bytes());
    const Rows in(bench.kernels, batch, columns);
    const int tiles = first.tiles(), piece = std::max(1, tiles / (threads * 4));
    const size_t stride = size_t(tiles) * kTileRows;
    std::vector<float> out(size_t(batch) * stride);
    const double seconds = seconds_of([&] {
        for (size_t i = 0; i < count; ++i) {
            PackedMatrix matrix = first;
            matrix.data += first.bytes() * i;
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
    return {seconds, double(first.bytes()) * double(count), 2.0 * rows * columns * batch * double(count)};
}

constexpr int kTaskQueries = 24;  // of one item of work, as in the decoder

// One KV head's keys and values of `context` positions and the queries of the last `positions`.
struct AttentionShape {
    int heads, head_dim, context, positions;

    int task_positions() const { return std::min(positions, std::max(1, kTaskQueries / heads)); }
    int tasks() const { return (positions + task_positions() - 1) / task_positions(); }
    int pages() const { return (context + kPage - 1) / kPage; }
    size_t page_halves() const { return size_t(head_dim) * kPage * 2; }
    size_t bytes() const { return page_halves() * sizeof(uint16_t) * size_t(pages()); }
    size_t query_floats() const { return size_t(positions) * heads * head_dim; }
    // Each position sees itself and those before it.
    double operations() const {
        const double seen = positions * (context - positions + (positions + 1) / 2.0);
        return 4.0 * seen * head_dim * heads;
    }
};

AttentionTask attention_task(const AttentionShape& shape, int task_index) {
    AttentionTask task{};
    const int offset = task_index * shape.task_positions();
    task.query_stride = size_t(shape.head_dim);
    task.position_stride = task.output_stride = size_t(shape.heads) * shape.head_dim;
    task.num_positions = std::min(shape.task_positions(), shape.positions - offset);
    task.heads_per_position = shape.heads;
    task.first_position = shape.context - shape.positions + offset;
    task.head_dim = shape.head_dim;
    return task;
}

// Over as many KV heads as fit into `megabytes`, at least one a thread.
Measured attention_run(const std::string& name, int threads, const Memory& memory, int heads, int head_dim,
                       int context, int positions, size_t megabytes) {
    const AttentionShape shape{heads, head_dim, context, positions};
    require(heads > 0 && heads <= kMaxQueries && positions > 0, "too many or too few queries");
    require(head_dim > 0 && head_dim % 16 == 0 && context >= positions, "shapes do not fit");
    Bench bench(name, threads);
    const size_t kv_heads = std::max<size_t>(size_t(threads), (megabytes << 20) / shape.bytes());
    require(shape.bytes() * kv_heads <= memory.bytes, "more than the memory holds");
    std::vector<int32_t> table(size_t(shape.pages()) + 1);
    for (int i = 0; i < shape.pages(); ++i) table[size_t(i)] = i;
    const std::vector<float> queries(shape.query_floats(), 0.1f);
    std::vector<float> outputs(queries.size() * kv_heads);
    const size_t scratch_floats = (attention_scratch_floats(head_dim) + 15) / 16 * 16;
    Mapping scratch(scratch_floats * sizeof(float) * size_t(threads), Mapping::Pages::Normal);
    const double seconds = seconds_of([&] {
        bench.pool.run(int(kv_heads) * shape.tasks(), [&](int item, int thread) {
            const int head = item / shape.tasks(), index = item % shape.tasks();
            AttentionTask task = attention_task(shape, index);
            const size_t first = size_t(index) * shape.task_positions() * task.position_stride;
            task.queries = queries.data() + first;
            task.output = outputs.data() + queries.size() * size_t(head) + first;
            // Blocks hold every KV head, as in the decoder's cache: pages lie far apart.
            task.keys = reinterpret_cast<const uint16_t*>(memory.mapping.data()) + size_t(head) * shape.page_halves();
            task.values = task.keys + shape.page_halves() / 2;
            task.block_stride = shape.page_halves() * kv_heads;
            task.block_table = table.data();
            task.scratch = reinterpret_cast<float*>(scratch.data()) + scratch_floats * size_t(thread);
            bench.kernels.attention(task);
        });
    });
    return {seconds, double(shape.bytes()) * double(kv_heads), shape.operations() * double(kv_heads)};
}

}  // namespace

void bind_measure(nb::module_& m) {
    using namespace nb::literals;
    nb::module_ measure = m.def_submodule("measure", "Timed runs: (seconds, bytes, operations).");
    using NoGil = nb::call_guard<nb::gil_scoped_release>;
    nb::class_<Memory>(measure, "Memory").def(nb::init<size_t>(), "megabytes"_a, NoGil());
    measure.def("read_limit", &read_limit, "kernels"_a, "threads"_a, "memory"_a, NoGil());
    measure.def("dot_limit", &dot_limit, "kernels"_a, "threads"_a, NoGil());
    measure.def("fma_limit", &fma_limit, "kernels"_a, "threads"_a, NoGil());
    measure.def("matmul", &matmul_run, "kernels"_a, "threads"_a, "memory"_a, "codec"_a, "rows"_a,
                "columns"_a, "batch"_a, "megabytes"_a, NoGil());
    measure.def("attention", &attention_run, "kernels"_a, "threads"_a, "memory"_a, "heads"_a,
                "head_dim"_a, "context"_a, "positions"_a, "megabytes"_a, NoGil());
    bind_measure_rows(measure);
}

}  // namespace stoker
