// Loading: shape checks, packing of tensors, and the KV pool.
#include "stoker/decoder.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "workspace.h"

namespace stoker {
namespace {

void require(bool condition, const std::string& message) {
    if (!condition) throw std::invalid_argument(message);
}

// Far above any model, and low enough that no product of two sizes leaves its type.
constexpr int64_t kMostColumns = int64_t(1) << 20;
constexpr int64_t kMostTokens = int64_t(1) << 22;
constexpr int kMostExperts = 4096;
constexpr int kMostTokenTypes = 1024;
constexpr size_t kMostKvBytes = size_t(1) << 46;

void check_experts(const DecoderSpec& spec, const ExpertSpec& experts) {
    if (experts.count == 0) return;
    require(experts.count > 0 && experts.count <= kMostExperts, "there are too many experts or fewer than none");
    require(experts.used >= 1 && experts.used <= experts.count, "a token uses no expert or more than there are");
    require(experts.size > 0 && experts.size % 16 == 0 && experts.shared_size >= 0 && experts.shared_size % 16 == 0,
            "the sizes of experts must be multiples of 16");
    const int64_t widest = std::max({experts.size, experts.shared_size, spec.hidden_size});
    require(widest <= kMostColumns && widest * experts.count < std::numeric_limits<int>::max(),
            "the experts are larger than any model's");
}

void check_shape(const DecoderSpec& spec) {
    const auto positive_multiple = [](int value, int of, const char* name) {
        require(value > 0 && value % of == 0,
                std::string(name) + " must be a positive multiple of " + std::to_string(of));
    };
    positive_multiple(spec.hidden_size, 16, "hidden_size");
    positive_multiple(spec.feed_forward_size, 16, "feed_forward_size");
    positive_multiple(spec.head_dim, 16, "head_dim");
    positive_multiple(spec.num_kv_heads, 1, "num_kv_heads");
    positive_multiple(spec.num_heads, spec.num_kv_heads, "num_heads");
    require(spec.vocab_size > 0 && !spec.layers.empty(), "the model has no layers or no vocabulary");
    const auto bounded = [](int64_t value, int64_t most, const char* name) {
        require(value <= most, std::string(name) + " is larger than any model's");
    };
    bounded(spec.hidden_size, kMostColumns, "hidden_size");
    bounded(spec.feed_forward_size, kMostColumns, "feed_forward_size");
    bounded(int64_t(spec.num_heads) * spec.head_dim, kMostColumns, "the size of all heads");
    bounded(spec.vocab_size, kMostTokens, "vocab_size");
    bounded(spec.learned_positions, kMostTokens, "the table of positions");
    require(spec.learned_positions >= 0, "the table of positions has fewer than no rows");
    require(spec.token_types >= 0 && spec.token_types <= kMostTokenTypes, "there are too many token types or fewer than none");
    require(spec.labels >= 0 && spec.labels <= spec.hidden_size, "there are more labels than the hidden size, or fewer than none");
    require(spec.residual_norms ? spec.pre_norms && !spec.parallel : true, "norms of the stream need a stream of their own");
    for (const LayerSpec& layer : spec.layers) {
        const RopeSpec& rope = layer.rope;
        require(layer.window >= 0, "a window is negative");
        check_experts(spec, layer.experts);
        require(rope.dim >= 0 && rope.dim % 2 == 0 && rope.dim <= spec.head_dim &&
                    int(rope.inverse_frequencies.size()) == rope.dim / 2,
                "rope dimensions do not match the head");
    }
}

}  // namespace

Decoder::Decoder(DecoderSpec spec, const Kernels& kernels, int threads)
    : spec_(std::move(spec)), kernels_(kernels), pool_(threads) {
    check_shape(spec_);
    for (const LayerSpec& layer : spec_.layers) {
        auto found = std::find(ropes_.begin(), ropes_.end(), layer.rope);
        layer_rope_.push_back(int(found - ropes_.begin()));
        if (found == ropes_.end()) ropes_.push_back(layer.rope);
    }
    require(ropes_.size() <= Workspace::kMaxRopes, "the layers rotate in too many different ways");
    weights_.layers.resize(spec_.layers.size());
    register_names();
    workspace_ = std::make_unique<Workspace>(spec_, pool_.size());
}

Decoder::~Decoder() = default;

namespace {

// Vectors are small and read as floats; they may be stored in any dense type.
void widen(TensorType type, std::span<const uint8_t> source, float offset, float* target, int size) {
    for (int i = 0; i < size; ++i) {
        float value = 0.0f;
        if (type == TensorType::F32) {
            value = load_unaligned<float>(&source[size_t(i) * 4]);
        } else {
            const auto half = load_unaligned<uint16_t>(&source[size_t(i) * 2]);
            value = type == TensorType::F16 ? half_to_float(half) : bfloat_to_float(half);
        }
        target[i] = value + offset;
    }
}

void check_tensor(const std::string& name, TensorType type, int rows, int columns, int wanted_rows,
                  int wanted_columns, size_t bytes) {
    const BlockGeometry geometry = block_geometry(type);
    require(geometry.values > 0, name + ": unknown tensor type");
    require(rows == wanted_rows && columns == wanted_columns,
            name + ": shape is (" + std::to_string(rows) + ", " + std::to_string(columns) +
                "), the model needs (" + std::to_string(wanted_rows) + ", " +
                std::to_string(wanted_columns) + ")");
    require(columns % geometry.values == 0, name + ": columns do not fill whole blocks");
    require(bytes == size_t(rows) * size_t(columns / geometry.values) * size_t(geometry.bytes),
            name + ": wrong number of bytes");
}

}  // namespace

void Decoder::set_tensor(const std::string& name, TensorType type, int rows, int columns,
                         std::span<const uint8_t> source) {
    if (const auto slot = vector_slots_.find(name); slot != vector_slots_.end()) {
        const auto [vector, size, norm] = slot->second;
        check_tensor(name, type, rows, columns, 1, size, source.size());
        require(block_geometry(type).values == 1, name + ": a vector must not be quantised");
        auto* target = reinterpret_cast<float*>(arena_.allocate(size_t(size) * 4));
        widen(type, source, norm ? spec_.norm_offset : 0.0f, target, size);
        *vector = target;
        return;
    }
    const auto slot = matrix_slots_.find(name);
    require(slot != matrix_slots_.end(), name + ": the model has no such tensor");
    check_tensor(name, type, rows, columns, slot->second.rows, slot->second.columns, source.size());
    PackedMatrix matrix{nullptr, codec_for(type), rows, columns};
    uint8_t* target = arena_.allocate(matrix.bytes());
    matrix.data = target;
    const int chunk = std::max(1, matrix.tiles() / (pool_.size() * 8));
    pool_.run((matrix.tiles() + chunk - 1) / chunk, [&](int item, int) {
        pack_tiles(matrix, type, source.data(), target, item * chunk,
                   std::min(matrix.tiles(), (item + 1) * chunk));
    });
    *slot->second.matrix = matrix;
}

void Decoder::finish() {
    for (const auto& [name, slot] : matrix_slots_) require(slot.matrix->data, name + ": missing");
    for (const auto& [name, slot] : vector_slots_) require(*slot.vector, name + ": missing");
    if (spec_.tied_head) weights_.head = weights_.embedding;
    finished_ = true;
}

size_t Decoder::kv_bytes_per_block() const {
    return spec_.layers.size() * size_t(spec_.kv_size()) * 2 * kPage * sizeof(uint16_t);
}

void Decoder::allocate_kv(int num_blocks) {
    require(num_blocks > 0, "the KV pool needs at least one block");
    require(size_t(num_blocks) <= kMostKvBytes / kv_bytes_per_block(), "no machine has room for such a KV pool");
    kv_ = Mapping(kv_bytes_per_block() * size_t(num_blocks), Mapping::Pages::Huge);
    num_blocks_ = num_blocks;
    workspace_ = std::make_unique<Workspace>(spec_, pool_.size());
}

void Decoder::copy_block(int source, int target) {
    if (source == target) return;
    const size_t size = kv_bytes_per_block();
    std::memcpy(kv_.data() + size * target, kv_.data() + size * source, size);
}

void Decoder::poison_block(int block) {
    const size_t size = kv_bytes_per_block();
    std::memset(kv_.data() + size * block, 0xFF, size);  // 0xFFFF is a NaN in fp16
}

}  // namespace stoker
