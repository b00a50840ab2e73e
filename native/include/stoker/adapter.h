// A low-rank adapter (Hu et al. 2021): to the product of a matrix W it adds scale * B (A x), in some
// layers for some matrices. Its own memory, so that it comes and goes while the model stays.
//
// A is [rank][columns of W] and B [rows of W][rank], in any dense type. Read-only after the last
// `set`: any number of steps may use it.
#pragma once

#include <array>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "stoker/decoder.h"
#include "stoker/memory.h"

namespace stoker {

enum class Target { Q, K, V, O, Gate, Up, Down };
inline constexpr size_t kTargets = 7;
inline constexpr int kMaxRank = 1024;

struct LowRank {
    PackedMatrix a, b;  // without data: nothing is added
    float scale = 0.0f;
};

struct StoredMatrix {
    TensorType type;
    int rows;
    int columns;
    std::span<const uint8_t> bytes;
};

class Adapter {
public:
    explicit Adapter(const Decoder& decoder);
    Adapter(const Adapter&) = delete;
    Adapter& operator=(const Adapter&) = delete;

    // Packs the pair for one matrix, named as in stoker.model.tensors. The sources are only read
    // during the call. Throws std::invalid_argument for a name or a shape that the decoder lacks.
    void set(const std::string& name, float scale, const StoredMatrix& a, const StoredMatrix& b);

    const LowRank& at(int layer, Target target) const { return layers_[size_t(layer)][size_t(target)]; }
    int max_rank() const { return max_rank_; }
    size_t bytes() const { return arena_.allocated(); }
    const Decoder* decoder() const { return decoder_; }

private:
    struct Place { LowRank* pair; int rows; int columns; };

    void name_layer(const std::string& at, const LayerSpec& layer, std::array<LowRank, kTargets>& pairs);
    PackedMatrix pack(const std::string& name, const StoredMatrix& source, int rows, int columns);

    const Decoder* decoder_;
    Arena arena_;
    std::vector<std::array<LowRank, kTargets>> layers_;
    std::unordered_map<std::string, Place> places_;
    int max_rank_ = 0;
};

}  // namespace stoker
