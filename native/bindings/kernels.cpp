// Single kernels, for comparison with their NumPy twins and for benchmarks. Shapes are checked;
// inputs are copied into aligned memory, as the decoder would hold them.
#include "stoker/kernels.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>

#include "activations.h"
#include "arrays.h"
#include "stoker/memory.h"
#include "stoker/router.h"

namespace stoker {
namespace {

using Bytes = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

const Kernels& named(const std::string& name) {
    const Kernels* kernels = find_kernels(name.c_str());
    require(kernels != nullptr, "this machine cannot run the '" + name + "' kernels");
    return *kernels;
}

std::vector<std::string> available() {
    std::vector<std::string> names;
    for (const char* name : {"avx512_vnni", "avx2", "portable"}) {
        if (find_kernels(name)) names.emplace_back(name);
    }
    return names;
}

// Activation rows in memory of their own.
struct OwnedActivations {
    Mapping values, quants, scales, scaled_sums, sums;
    Activations view;

    OwnedActivations(const Array2<float>& x)
        : values(x.size() * 4, Mapping::Pages::Normal), quants(x.size(), Mapping::Pages::Normal),
          scales(x.size(), Mapping::Pages::Normal), scaled_sums(x.size(), Mapping::Pages::Normal),
          sums(x.size(), Mapping::Pages::Normal) {
        std::memcpy(values.data(), x.data(), x.size() * 4);
        view.values = reinterpret_cast<float*>(values.data());
        view.quants = reinterpret_cast<int8_t*>(quants.data());
        view.scales = reinterpret_cast<float*>(scales.data());
        view.scaled_sums = reinterpret_cast<float*>(scaled_sums.data());
        view.sums = reinterpret_cast<int32_t*>(sums.data());
        view.columns = int(x.shape(1));
    }
};

struct OwnedMatrix {
    Mapping memory;
    PackedMatrix matrix;

    OwnedMatrix(int type, int rows, int columns, const Bytes& source) {
        const BlockGeometry geometry = block_geometry(TensorType(type));
        require(geometry.values > 0, "unknown tensor type");
        require(rows > 0 && columns > 0 && columns % geometry.values == 0, "columns do not fill whole blocks");
        require(source.size() == size_t(rows) * size_t(columns / geometry.values) * size_t(geometry.bytes),
                "wrong number of bytes");
        matrix = {nullptr, codec_for(TensorType(type)), rows, columns};
        memory = Mapping(matrix.bytes(), Mapping::Pages::Normal);
        pack_tiles(matrix, TensorType(type), source.data(), memory.data(), 0, matrix.tiles());
        matrix.data = memory.data();
    }
};

nb::tuple quantize_rows(const std::string& kernels, const Array2<float>& x) {
    const size_t rows = x.shape(0), columns = x.shape(1);
    require(columns % kGroup == 0, "columns must be a multiple of 32");
    OwnedActivations in(x);
    named(kernels).quantize_rows(in.view, int(rows), 0, int(columns / kGroup));
    const size_t groups = rows * columns / kGroup;
    return nb::make_tuple(
        to_numpy(std::vector<int8_t>(in.view.quants, in.view.quants + x.size()), {rows, columns}),
        to_numpy(std::vector<float>(in.view.scales, in.view.scales + groups), {rows, columns / kGroup}),
        to_numpy(std::vector<float>(in.view.scaled_sums, in.view.scaled_sums + groups), {rows, columns / kGroup}),
        to_numpy(std::vector<int32_t>(in.view.sums, in.view.sums + groups * 2), {rows, columns / 16}));
}

NumpyArray<float> matmul(const std::string& kernels, int type, int rows, int columns,
                         const Bytes& source, const Array2<float>& x) {
    const Kernels& k = named(kernels);
    OwnedMatrix weights(type, rows, columns, source);
    require(int(x.shape(1)) == columns, "x must have as many columns as the matrix");
    OwnedActivations in(x);
    const int count = int(x.shape(0)), tiles = weights.matrix.tiles();
    if (!weights.matrix.dense()) k.quantize_rows(in.view, count, 0, columns / kGroup);
    std::vector<float> padded(size_t(count) * tiles * kTileRows);
    for (int row = 0; row < count; row += kMatmulRows) {
        k.matmul[int(weights.matrix.codec)](weights.matrix, 0, tiles, in.view.from_row(row),
                                            std::min(kMatmulRows, count - row),
                                            padded.data() + size_t(row) * tiles * kTileRows,
                                            size_t(tiles) * kTileRows);
    }
    std::vector<float> out(size_t(count) * rows);
    for (int row = 0; row < count; ++row) {
        std::copy_n(padded.data() + size_t(row) * tiles * kTileRows, rows, out.data() + size_t(row) * rows);
    }
    return to_numpy(std::move(out), {size_t(count), size_t(rows)});
}

NumpyArray<float> unpack(const std::string& kernels, int type, int rows, int columns, const Bytes& source) {
    const Kernels& k = named(kernels);
    OwnedMatrix weights(type, rows, columns, source);
    std::vector<float> out(size_t(rows) * columns);
    for (int row = 0; row < rows; ++row) {
        k.unpack_row[int(weights.matrix.codec)](weights.matrix, row, out.data() + size_t(row) * columns);
    }
    return to_numpy(std::move(out), {size_t(rows), size_t(columns)});
}

void require_lanes(size_t n) { require(n > 0 && n % 16 == 0, "length must be a positive multiple of 16"); }

NumpyArray<float> rms_norm(const std::string& kernels, const Array1<float>& x, const Array1<float>& weight,
                           float eps) {
    require_lanes(x.size());
    require(x.size() == weight.size(), "x and weight must have the same length");
    std::vector<float> out(x.size());
    named(kernels).rms_norm(x.data(), weight.data(), eps, int(x.size()), out.data());
    return to_numpy(std::move(out), {x.size()});
}

NumpyArray<float> layer_norm(const std::string& kernels, const Array1<float>& x, const Array1<float>& weight,
                             const Array1<float>& bias, float eps) {
    require_lanes(x.size());
    require(x.size() == weight.size() && x.size() == bias.size(), "x, weight and bias must have the same length");
    std::vector<float> out(x.size());
    named(kernels).layer_norm(x.data(), weight.data(), bias.data(), eps, int(x.size()), out.data());
    return to_numpy(std::move(out), {x.size()});
}

nb::tuple routed(const Array1<float>& scores, int used, bool normalised) {
    require(used >= 1 && size_t(used) <= scores.size(), "a token uses no expert or more than there are");
    std::vector<int32_t> experts(static_cast<size_t>(used));
    std::vector<float> weights(static_cast<size_t>(used));
    route(view(scores), used, normalised, experts.data(), weights.data());
    return nb::make_tuple(to_numpy(std::move(experts), {size_t(used)}), to_numpy(std::move(weights), {size_t(used)}));
}

NumpyArray<float> gated(const std::string& kernels, const std::string& activation,
                        const Array1<float>& gate, const Array1<float>& up) {
    require_lanes(gate.size());
    require(gate.size() == up.size(), "gate and up must have the same length");
    const Kernels& k = named(kernels);
    std::vector<float> out(gate.data(), gate.data() + gate.size());
    k.gate[int(activation_from(activation))](out.data(), up.data(), int(out.size()));
    return to_numpy(std::move(out), {gate.size()});
}

NumpyArray<float> softcap(const std::string& kernels, const Array1<float>& x, float cap) {
    require_lanes(x.size());
    require(cap > 0.0f, "the cap must be positive");
    std::vector<float> out(x.data(), x.data() + x.size());
    named(kernels).softcap(out.data(), cap, int(out.size()));
    return to_numpy(std::move(out), {x.size()});
}

NumpyArray<float> rope(const std::string& kernels, const std::string& style, const Array1<float>& head,
                       const Array1<float>& cosine, const Array1<float>& sine) {
    require(style == "halves" || style == "pairs", "unknown rope style");
    require(cosine.size() == sine.size() && cosine.size() * 2 <= head.size(), "angles do not match the head");
    const Kernels& k = named(kernels);
    std::vector<float> out(head.data(), head.data() + head.size());
    (style == "pairs" ? k.rope_pairs : k.rope_halves)(out.data(), cosine.data(), sine.data(),
                                                     int(cosine.size() * 2));
    return to_numpy(std::move(out), {head.size()});
}

// The task at once, or in pieces of some chunks, last piece first, and a join.
void attend(const Kernels& k, AttentionTask task, int chunks_per_piece) {
    if (chunks_per_piece <= 0) return k.attention(task);
    const int chunks = (task.end() + kAttentionChunk - 1) / kAttentionChunk;
    const int queries = task.num_positions * task.heads_per_position;
    std::vector<float> partials(size_t(chunks) * attention_partial_floats(queries, task.head_dim));
    task.partials = partials.data();
    for (int last = chunks; last > 0; last -= chunks_per_piece) {
        k.attention_chunks(task, std::max(0, last - chunks_per_piece), last);
    }
    k.attention_join(task);
}

// Attention of queries [positions][heads][head_dim] at first_position.. over one KV head's keys and
// values [context][head_dim], which are written to pages in the order block_table gives.
NumpyArray<float> attention(const std::string& kernels,
                            const nb::ndarray<const float, nb::ndim<3>, nb::c_contig, nb::device::cpu>& queries,
                            const Array2<float>& keys, const Array2<float>& values,
                            const Array1<int32_t>& block_table, int first_position, int window, float cap,
                            int chunks_per_piece, const std::optional<Array1<float>>& sinks, bool causal) {
    const Kernels& k = named(kernels);
    const size_t positions = queries.shape(0), heads = queries.shape(1), dim = queries.shape(2);
    const size_t context = keys.shape(0), pages = (context + kPage - 1) / kPage;
    require_lanes(dim);
    require(positions * heads > 0 && positions * heads <= size_t(kMaxQueries), "too many queries");
    require(first_position >= 0 && size_t(first_position) + positions <= context, "positions exceed the context");
    require(keys.shape(1) == dim && values.shape(1) == dim && values.shape(0) == context, "shapes differ");
    require(block_table.size() == pages, "one block per page of 16 positions is needed");
    require(!sinks || sinks->size() == heads, "one sink per head is needed");
    for (int32_t block : view(block_table)) require(block >= 0 && size_t(block) < pages, "block out of range");
    Mapping pool(pages * dim * kPage * 4, Mapping::Pages::Normal);
    std::memset(pool.data(), 0xFF, pages * dim * kPage * 4);  // NaN wherever nothing is written
    auto* halves = reinterpret_cast<uint16_t*>(pool.data());
    for (size_t t = 0; t < context; ++t) {
        uint16_t* block = halves + size_t(block_table.data()[t / kPage]) * dim * kPage * 2;
        k.store_key_value(keys.data() + t * dim, values.data() + t * dim, int(dim), block + t % kPage,
                          block + dim * kPage + t % kPage * dim);
    }
    Mapping scratch(attention_scratch_floats(int(dim)) * 4, Mapping::Pages::Normal);
    std::vector<float> out(positions * heads * dim);
    AttentionTask task{};
    task.queries = queries.data();
    task.query_stride = dim;
    task.position_stride = task.output_stride = heads * dim;
    task.num_positions = int(positions);
    task.heads_per_position = int(heads);
    task.first_position = first_position;
    task.window = window;
    task.context = causal ? 0 : int(context);
    task.softcap = cap;
    task.sinks = sinks ? sinks->data() : nullptr;
    task.head_dim = int(dim);
    task.keys = halves;
    task.values = halves + dim * kPage;
    task.block_stride = dim * kPage * 2;
    task.block_table = block_table.data();
    task.output = out.data();
    task.scratch = reinterpret_cast<float*>(scratch.data());
    attend(k, task, chunks_per_piece);
    return to_numpy(std::move(out), {positions, heads, dim});
}

}  // namespace

void bind_kernels(nb::module_& m) {
    m.attr("PAGE") = kPage;
    m.attr("ATTENTION_CHUNK") = kAttentionChunk;
    m.attr("MAX_QUERIES") = kMaxQueries;
    m.def("available_kernels", &available);
    m.def("quantize_rows", &quantize_rows, nb::arg("kernels"), nb::arg("x").noconvert());
    m.def("matmul", &matmul, nb::arg("kernels"), nb::arg("type"), nb::arg("rows"), nb::arg("columns"),
          nb::arg("source").noconvert(), nb::arg("x").noconvert());
    m.def("unpack", &unpack, nb::arg("kernels"), nb::arg("type"), nb::arg("rows"), nb::arg("columns"),
          nb::arg("source").noconvert());
    m.def("rms_norm", &rms_norm, nb::arg("kernels"), nb::arg("x").noconvert(), nb::arg("weight").noconvert(),
          nb::arg("eps"));
    m.def("layer_norm", &layer_norm, nb::arg("kernels"), nb::arg("x").noconvert(), nb::arg("weight").noconvert(),
          nb::arg("bias").noconvert(), nb::arg("eps"));
    m.def("route", &routed, nb::arg("scores").noconvert(), nb::arg("used"), nb::arg("normalised"));
    m.def("gated", &gated, nb::arg("kernels"), nb::arg("activation"), nb::arg("gate").noconvert(),
          nb::arg("up").noconvert());
    m.def("softcap", &softcap, nb::arg("kernels"), nb::arg("x").noconvert(), nb::arg("cap"));
    m.def("rope", &rope, nb::arg("kernels"), nb::arg("style"), nb::arg("head").noconvert(),
          nb::arg("cosine").noconvert(), nb::arg("sine").noconvert());
    m.def("attention", &attention, nb::arg("kernels"), nb::arg("queries").noconvert(),
          nb::arg("keys").noconvert(), nb::arg("values").noconvert(), nb::arg("block_table").noconvert(),
          nb::arg("first_position"), nb::arg("window"), nb::arg("softcap"),
          nb::arg("chunks_per_piece") = 0, nb::arg("sinks").noconvert() = nb::none(),
          nb::arg("causal") = true);
}

}  // namespace stoker
