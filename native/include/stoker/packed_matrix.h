// A weight matrix in the form the kernels read it.
//
// Layout. Rows are grouped in tiles of 16 (the last one padded with zeros), columns in groups of 32.
// A quantised tile is two 64-byte aligned regions: `groups` quant records, then `groups` scale
// records. Within a record, vector j (0..7) holds, for each of the 16 rows, the four consecutive
// columns 4j..4j+3 of the group: the operand of a 4-way int8 dot product whose other operand is a
// broadcast of four activations. Values are unsigned; `w = scale * (q - offset) + minimum`.
//   4-bit plane  4 x 64 bytes: low nibbles are vectors 0..3, high nibbles vectors 4..7
//   5th bit      64 bytes: bit j of a byte belongs to vector j
//   bits 5 and 6 2 x 64 bytes: bits 2(j%4).. of plane j/4 belong to vector j
//   scales       16 x fp16, then 16 x fp16 minimums (or the second scale where groups are of 16)
// A dense tile is `columns` rows of 16 elements, so one column is one vector.
//
// Memory is owned by the arena that packed it and is read-only afterwards: any number of threads
// may read it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "stoker/formats.h"

namespace stoker {

inline constexpr int kTileRows = 16;
inline constexpr int kGroup = 32;

enum class Codec : int32_t { U4, U4M, U5, U5M, U6, U8, F16, BF16, F32 };
inline constexpr int kCodecs = 9;

struct CodecTraits {
    int quant_bytes;  // per group and tile; for dense codecs per column
    int scale_bytes;  // per group and tile
    int offset;       // subtracted from every quant
    bool dense;

    STOKER_INLINE constexpr int bits() const { return quant_bytes / 64; }  // of quantised codecs
};

STOKER_INLINE constexpr CodecTraits codec_traits(Codec codec) {
    switch (codec) {
        case Codec::U4: return {256, 32, 8, false};
        case Codec::U4M: return {256, 64, 0, false};
        case Codec::U5: return {320, 32, 16, false};
        case Codec::U5M: return {320, 64, 0, false};
        case Codec::U6: return {384, 64, 32, false};
        case Codec::U8: return {512, 32, 128, false};
        case Codec::F16:
        case Codec::BF16: return {32, 0, 0, true};
        case Codec::F32: return {64, 0, 0, true};
    }
    return {0, 0, 0, false};
}

STOKER_INLINE constexpr Codec codec_for(TensorType type) {
    switch (type) {
        case TensorType::Q4_0: return Codec::U4;
        case TensorType::Q4_1:
        case TensorType::Q4_K: return Codec::U4M;
        case TensorType::Q5_0: return Codec::U5;
        case TensorType::Q5_1:
        case TensorType::Q5_K: return Codec::U5M;
        case TensorType::Q6_K: return Codec::U6;
        case TensorType::Q8_0: return Codec::U8;
        case TensorType::F16: return Codec::F16;
        case TensorType::BF16: return Codec::BF16;
        case TensorType::F32: return Codec::F32;
    }
    return Codec::F32;
}

struct PackedMatrix {
    const uint8_t* data = nullptr;  // 64-byte aligned
    Codec codec = Codec::F32;
    int rows = 0;
    int columns = 0;

    STOKER_INLINE int tiles() const { return (rows + kTileRows - 1) / kTileRows; }
    STOKER_INLINE int groups() const { return columns / kGroup; }
    STOKER_INLINE bool dense() const { return codec_traits(codec).dense; }

    STOKER_INLINE size_t quant_region() const {
        const CodecTraits traits = codec_traits(codec);
        return size_t(traits.dense ? columns : groups()) * traits.quant_bytes;
    }
    STOKER_INLINE size_t tile_bytes() const {
        const size_t scales = dense() ? 0 : size_t(groups()) * codec_traits(codec).scale_bytes;
        return quant_region() + (scales + 63) / 64 * 64;
    }
    STOKER_INLINE size_t bytes() const { return tile_bytes() * tiles(); }

    STOKER_INLINE const uint8_t* quants(int tile) const { return data + tile_bytes() * tile; }
    STOKER_INLINE const uint8_t* scales(int tile) const { return quants(tile) + quant_region(); }
};

// Packs tiles [tile_begin, tile_end) of a matrix of `type` stored row by row at `source` into
// `target`, which is matrix.bytes() long and zeroed. Disjoint ranges may run on different threads.
void pack_tiles(const PackedMatrix& matrix, TensorType type, const uint8_t* source,
                uint8_t* target, int tile_begin, int tile_end);

}  // namespace stoker
