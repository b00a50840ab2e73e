// From file blocks to tiles: decodes 32 columns of one row at a time and scatters them.
#include "stoker/packed_matrix.h"

namespace stoker {
namespace {

// 32 consecutive columns of one row: w = scale * q + minimum, unsigned q with the codec's offset
// still inside. Where a scale covers 16 columns, `minimum` is the second scale.
struct Group {
    uint8_t q[kGroup];
    float scale;
    float minimum;
};

float half_at(const uint8_t* source) { return half_to_float(load_unaligned<uint16_t>(source)); }

void nibbles(const uint8_t* packed, uint8_t* q) {
    for (int i = 0; i < 16; ++i) {
        q[i] = packed[i] & 15;
        q[i + 16] = packed[i] >> 4;
    }
}

void add_fifth_bits(uint32_t bits, uint8_t* q) {
    for (int i = 0; i < kGroup; ++i) q[i] |= ((bits >> i) & 1) << 4;
}

// The 6-bit scales and minimums of a Q4_K or Q5_K super-block: eight of each in 12 bytes.
void six_bit_pair(const uint8_t* packed, int index, int& scale, int& minimum) {
    if (index < 4) {
        scale = packed[index] & 63;
        minimum = packed[index + 4] & 63;
    } else {
        scale = (packed[index + 4] & 15) | ((packed[index - 4] >> 6) << 4);
        minimum = (packed[index + 4] >> 4) | ((packed[index] >> 6) << 4);
    }
}

void k_scales(const uint8_t* block, int index, Group& out) {
    int scale, minimum;
    six_bit_pair(block + 4, index, scale, minimum);
    out.scale = half_at(block) * float(scale);
    out.minimum = -half_at(block + 2) * float(minimum);
}

void decode_q4_k(const uint8_t* block, int index, Group& out) {
    k_scales(block, index, out);
    const uint8_t* packed = block + 16 + index / 2 * 32;
    const int shift = index % 2 * 4;
    for (int i = 0; i < kGroup; ++i) out.q[i] = (packed[i] >> shift) & 15;
}

void decode_q5_k(const uint8_t* block, int index, Group& out) {
    k_scales(block, index, out);
    const uint8_t* high = block + 16;
    const uint8_t* packed = block + 48 + index / 2 * 32;
    const int shift = index % 2 * 4;
    for (int i = 0; i < kGroup; ++i) {
        out.q[i] = uint8_t(((packed[i] >> shift) & 15) | (((high[i] >> index) & 1) << 4));
    }
}

void decode_q6_k(const uint8_t* block, int index, Group& out) {
    const int half = index / 4, quarter = index % 4;
    const uint8_t* low = block + half * 64 + (quarter % 2) * 32;
    const uint8_t* high = block + 128 + half * 32;
    const auto* scales = reinterpret_cast<const int8_t*>(block + 192) + index * 2;
    const float super = half_at(block + 208);
    for (int i = 0; i < kGroup; ++i) {
        const int nibble = quarter < 2 ? low[i] & 15 : low[i] >> 4;
        out.q[i] = uint8_t(nibble | (((high[i] >> (2 * quarter)) & 3) << 4));
    }
    out.scale = super * float(scales[0]);
    out.minimum = super * float(scales[1]);
}

// Decodes group `index` of the row that starts at `row`.
void decode(TensorType type, const uint8_t* row, int index, Group& out) {
    const BlockGeometry geometry = block_geometry(type);
    const int per_block = geometry.values / kGroup;
    const uint8_t* block = row + size_t(index / per_block) * geometry.bytes;
    out.minimum = 0.0f;
    switch (type) {
        case TensorType::Q4_0:
            out.scale = half_at(block);
            nibbles(block + 2, out.q);
            break;
        case TensorType::Q4_1:
            out.scale = half_at(block);
            out.minimum = half_at(block + 2);
            nibbles(block + 4, out.q);
            break;
        case TensorType::Q5_0:
            out.scale = half_at(block);
            nibbles(block + 6, out.q);
            add_fifth_bits(load_unaligned<uint32_t>(block + 2), out.q);
            break;
        case TensorType::Q5_1:
            out.scale = half_at(block);
            out.minimum = half_at(block + 2);
            nibbles(block + 8, out.q);
            add_fifth_bits(load_unaligned<uint32_t>(block + 4), out.q);
            break;
        case TensorType::Q8_0:
            out.scale = half_at(block);
            for (int i = 0; i < kGroup; ++i) out.q[i] = block[2 + i] ^ 0x80;
            break;
        case TensorType::Q4_K: decode_q4_k(block, index % per_block, out); break;
        case TensorType::Q5_K: decode_q5_k(block, index % per_block, out); break;
        case TensorType::Q6_K: decode_q6_k(block, index % per_block, out); break;
        default: break;
    }
}

void store_quant(Codec codec, uint8_t* record, int byte, int vector, uint8_t q) {
    if (codec == Codec::U8) {
        record[vector * 64 + byte] = q;
        return;
    }
    record[vector % 4 * 64 + byte] |= uint8_t((q & 15) << (vector / 4 * 4));
    if (codec == Codec::U5 || codec == Codec::U5M) {
        record[256 + byte] |= uint8_t((q >> 4) << vector);
    } else if (codec == Codec::U6) {
        record[256 + vector / 4 * 64 + byte] |= uint8_t((q >> 4) << (vector % 4 * 2));
    }
}

void store_group(Codec codec, const Group& group, int lane, uint8_t* record, uint8_t* scales) {
    for (int i = 0; i < kGroup; ++i) {
        store_quant(codec, record, lane * 4 + i % 4, i / 4, group.q[i]);
    }
    const uint16_t scale = float_to_half(group.scale);
    std::memcpy(scales + lane * 2, &scale, 2);
    if (codec_traits(codec).scale_bytes == 64) {
        const uint16_t minimum = float_to_half(group.minimum);
        std::memcpy(scales + 32 + lane * 2, &minimum, 2);
    }
}

void pack_dense_row(const PackedMatrix& matrix, const uint8_t* row, int lane, uint8_t* tile) {
    const int size = codec_traits(matrix.codec).quant_bytes / kTileRows;
    for (int k = 0; k < matrix.columns; ++k) {
        std::memcpy(tile + (size_t(k) * kTileRows + lane) * size, row + size_t(k) * size, size);
    }
}

void pack_quantised_row(const PackedMatrix& matrix, TensorType type, const uint8_t* row, int lane,
                        uint8_t* tile) {
    const CodecTraits traits = codec_traits(matrix.codec);
    uint8_t* scales = tile + matrix.quant_region();
    Group group;
    for (int g = 0; g < matrix.groups(); ++g) {
        decode(type, row, g, group);
        store_group(matrix.codec, group, lane, tile + size_t(g) * traits.quant_bytes,
                    scales + size_t(g) * traits.scale_bytes);
    }
}

}  // namespace

void pack_tiles(const PackedMatrix& matrix, TensorType type, const uint8_t* source,
                uint8_t* target, int tile_begin, int tile_end) {
    const BlockGeometry geometry = block_geometry(type);
    const size_t row_bytes = size_t(matrix.columns / geometry.values) * geometry.bytes;
    for (int tile = tile_begin; tile < tile_end; ++tile) {
        uint8_t* out = target + matrix.tile_bytes() * tile;
        for (int lane = 0; lane < kTileRows; ++lane) {
            const int row = tile * kTileRows + lane;
            if (row >= matrix.rows) break;
            const uint8_t* in = source + row_bytes * row;
            if (matrix.dense()) {
                pack_dense_row(matrix, in, lane, out);
            } else {
                pack_quantised_row(matrix, type, in, lane, out);
            }
        }
    }
}

}  // namespace stoker
