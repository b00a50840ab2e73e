// Loading an adapter: shape checks and packing.
#include "stoker/adapter.h"

#include <stdexcept>

namespace stoker {
namespace {

void require(bool condition, const std::string& message) {
    if (!condition) throw std::invalid_argument(message);
}

}  // namespace

Adapter::Adapter(const Decoder& decoder) : decoder_(&decoder), layers_(decoder.spec().layers.size()) {
    for (size_t i = 0; i < layers_.size(); ++i) {
        name_layer("layers." + std::to_string(i) + ".", decoder.spec().layers[i], layers_[i]);
    }
}

void Adapter::name_layer(const std::string& at, const LayerSpec& layer, std::array<LowRank, kTargets>& pairs) {
    const DecoderSpec& spec = decoder_->spec();
    const int hidden = spec.hidden_size, inner = spec.feed_forward_size;
    const auto name = [&](const char* kind, Target target, int rows, int columns) {
        places_[at + kind] = {&pairs[size_t(target)], rows, columns};
    };
    name("q", Target::Q, spec.query_size(), hidden);
    name("k", Target::K, spec.kv_size(), hidden);
    name("v", Target::V, spec.kv_size(), hidden);
    name("o", Target::O, hidden, spec.query_size());
    if (layer.experts.count > 0) return;
    if (spec.gated) name("gate", Target::Gate, inner, hidden);
    name("up", Target::Up, inner, hidden);
    name("down", Target::Down, hidden, inner);
}

void Adapter::set(const std::string& name, float scale, const StoredMatrix& a, const StoredMatrix& b) {
    const auto place = places_.find(name);
    require(place != places_.end(), name + ": the model has no such matrix to adapt");
    require(a.rows >= 1 && a.rows <= kMaxRank, name + ": the rank is not between 1 and " + std::to_string(kMaxRank));
    const PackedMatrix packed_a = pack(name + ".a", a, a.rows, place->second.columns);
    const PackedMatrix packed_b = pack(name + ".b", b, place->second.rows, a.rows);
    *place->second.pair = {packed_a, packed_b, scale};
    max_rank_ = std::max(max_rank_, a.rows);
}

PackedMatrix Adapter::pack(const std::string& name, const StoredMatrix& source, int rows, int columns) {
    const BlockGeometry geometry = block_geometry(source.type);
    require(geometry.values == 1, name + ": must be F32, F16 or BF16");
    require(source.rows == rows && source.columns == columns,
            name + ": shape is (" + std::to_string(source.rows) + ", " + std::to_string(source.columns) +
                "), the model needs (" + std::to_string(rows) + ", " + std::to_string(columns) + ")");
    require(source.bytes.size() == size_t(rows) * size_t(columns) * size_t(geometry.bytes),
            name + ": wrong number of bytes");
    PackedMatrix matrix{nullptr, codec_for(source.type), rows, columns};
    uint8_t* target = arena_.allocate(matrix.bytes());
    matrix.data = target;
    pack_tiles(matrix, source.type, source.bytes.data(), target, 0, matrix.tiles());
    return matrix;
}

}  // namespace stoker
