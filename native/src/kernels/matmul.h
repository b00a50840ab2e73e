// Matrix products: int8 activations with packed weights, and float activations with dense ones.
//
// For each group of 32 columns and each row: the exact integer dot product, converted to float,
// times the weight scale, added to the accumulator times the activation scale; then, where the
// codec has minimums, minimum * scaled activation sum. That sequence is the same whether one row
// or sixty-four are computed together and whether weights were unpacked to a panel first.
#pragma once

#include "stoker/kernels.h"

namespace stoker::STOKER_ISA {

struct GroupWeights {
    B quants[8];
    F scale;
    F minimum;  // U6: scale of the second 16 columns
};

STOKER_INLINE void read_nibbles(const uint8_t* record, B* w) {
    for (int j = 0; j < 4; ++j) {
        const B packed = load_b(record + 64 * j);
        w[j] = low_nibbles(packed);
        w[j + 4] = high_nibbles(packed);
    }
}

template <int... j>
STOKER_INLINE void merge_fifth_bits(const uint8_t* record, B* w) {
    const B plane = load_b(record + 256);
    ((w[j] = merge_plane<4 - j>(w[j], plane, 16)), ...);
}

template <int... j>
STOKER_INLINE void merge_sixth_bits(const uint8_t* record, B* w) {
    const B planes[2] = {load_b(record + 256), load_b(record + 320)};
    ((w[j] = merge_plane<4 - 2 * (j % 4)>(w[j], planes[j / 4], 48)), ...);
}

template <Codec codec>
struct Reader {
    static constexpr CodecTraits traits = codec_traits(codec);
    static constexpr bool has_second = traits.scale_bytes == 64;

    STOKER_INLINE static GroupWeights read(const uint8_t* quants, const uint8_t* scales, int g) {
        const uint8_t* record = quants + size_t(g) * traits.quant_bytes;
        GroupWeights w;
        if constexpr (codec == Codec::U8) {
            for (int j = 0; j < 8; ++j) w.quants[j] = load_b(record + 64 * j);
        } else {
            read_nibbles(record, w.quants);
        }
        if constexpr (codec == Codec::U5 || codec == Codec::U5M) {
            merge_fifth_bits<0, 1, 2, 3, 4, 5, 6, 7>(record, w.quants);
        }
        if constexpr (codec == Codec::U6) {
            merge_sixth_bits<0, 1, 2, 3, 4, 5, 6, 7>(record, w.quants);
        }
        const auto* halves = reinterpret_cast<const uint16_t*>(scales + size_t(g) * traits.scale_bytes);
        w.scale = load_half(halves);
        if constexpr (has_second) w.minimum = load_half(halves + 16);
        return w;
    }
};

// A group of one activation row.
struct GroupActivations {
    const int8_t* quants;
    const int32_t* sums;
    float scale;
    float scaled_sum;
};

// Adds a group's contribution to the accumulator.
template <Codec codec>
STOKER_INLINE F accumulate(F sum, const GroupWeights& w, const GroupActivations& in) {
    constexpr int bits = codec_traits(codec).bits(), offset = codec_traits(codec).offset;
    const F activation_scale = splat(in.scale);
    if constexpr (codec == Codec::U6) {
        const I first = dot_sixteen<bits>(dot_start<bits>(offset * in.sums[0]), w.quants, in.quants);
        const I second = dot_sixteen<bits>(dot_start<bits>(offset * in.sums[1]), w.quants + 4, in.quants + 16);
        sum = fma(to_float(first) * w.scale, activation_scale, sum);
        return fma(to_float(second) * w.minimum, activation_scale, sum);
    } else {
        // Two chains: one would leave the multipliers waiting for its own last result.
        const I first = dot_sixteen<bits>(dot_start<bits>(offset * (in.sums[0] + in.sums[1])), w.quants, in.quants);
        const I second = dot_sixteen<bits>(splat_int(0), w.quants + 4, in.quants + 16);
        const I total = first + second;
        sum = fma(to_float(total) * w.scale, activation_scale, sum);
        if constexpr (Reader<codec>::has_second) sum = fma(w.minimum, splat(in.scaled_sum), sum);
        return sum;
    }
}

// Steps through the groups of rows: plain pointers, so that compilers keep them in registers.
struct GroupCursor {
    const int8_t* quants;
    const int32_t* sums;
    const float* scales;
    const float* scaled_sums;

    GroupCursor(const Activations& in, int g)
        : quants(in.quants + g * kGroup), sums(in.sums + 2 * g), scales(in.scales + g),
          scaled_sums(in.scaled_sums + g) {}
    GroupActivations operator*() const { return {quants, sums, *scales, *scaled_sums}; }
    void next_row(ptrdiff_t columns, ptrdiff_t groups) {
        quants += columns;
        sums += 2 * groups;
        scales += groups;
        scaled_sums += groups;
    }
};

// Weights are read as one stream, but a tile of quants is about a page long: too short for the
// hardware's own prefetcher to get going. So whoever reads a tile first asks for the lines that many
// bytes ahead; measured best on Zen 5, where it takes one row from 75 to 93 % of read bandwidth.
inline constexpr size_t kPrefetchBytes = 8192;

template <Codec codec>
struct FromMemory {
    STOKER_INLINE static GroupWeights read(const uint8_t* quants, const uint8_t* scales, int g) {
        constexpr CodecTraits traits = codec_traits(codec);
        const uint8_t* record = quants + kPrefetchBytes + size_t(g) * traits.quant_bytes;
        for (int line = 0; line < traits.quant_bytes; line += 64) prefetch(record + line);
        prefetch(scales + kPrefetchBytes + size_t(g) * traits.scale_bytes);
        return Reader<codec>::read(quants, scales, g);
    }
};

// One tile, `rows` rows at a time.
template <Codec codec, class Source, int rows>
inline void row_block(const uint8_t* quants, const uint8_t* scales, int groups,
                      const Activations& in, float* out, size_t out_stride) {
    F sums[rows];
    for (int r = 0; r < rows; ++r) sums[r] = zero();
    for (int g = 0; g < groups; ++g) {
        const GroupWeights w = Source::read(quants, scales, g);
        GroupCursor cursor(in, g);
        STOKER_UNROLL
        for (int r = 0; r < rows; ++r, cursor.next_row(in.columns, groups)) {
            sums[r] = accumulate<codec>(sums[r], w, *cursor);
        }
    }
    for (int r = 0; r < rows; ++r) store(out + r * out_stride, sums[r]);
}

template <Codec codec>
inline void all_rows(const uint8_t* quants, const uint8_t* scales, int groups,
                     const Activations& in, int rows, float* out, size_t out_stride) {
    int r = 0;
    auto block = [&]<int size>() {
        for (; r + size <= rows; r += size) {
            const auto compute = r == 0 ? row_block<codec, FromMemory<codec>, size>
                                        : row_block<codec, Reader<codec>, size>;
            compute(quants, scales, groups, in.from_row(r), out + r * out_stride, out_stride);
        }
    };
    block.template operator()<kRowBlock>();
    if constexpr (kRowBlock > 4) block.template operator()<4>();
    block.template operator()<2>();
    block.template operator()<1>();
}

template <Codec codec>
void quantised_matmul(const PackedMatrix& w, int tile_begin, int tile_end, const Activations& in,
                      int rows, float* out, size_t out_stride) {
    for (int tile = tile_begin; tile < tile_end; ++tile, out += kTileRows) {
        all_rows<codec>(w.quants(tile), w.scales(tile), w.groups(), in, rows, out, out_stride);
    }
}

template <Codec codec>
inline F dense_column(const uint8_t* tile, int k) {
    if constexpr (codec == Codec::F32) {
        return load(reinterpret_cast<const float*>(tile) + size_t(k) * kTileRows);
    } else {
        const auto* column = reinterpret_cast<const uint16_t*>(tile) + size_t(k) * kTileRows;
        return codec == Codec::F16 ? load_half(column) : load_bfloat(column);
    }
}

template <Codec codec, int rows, int tiles>
inline void dense_block(const PackedMatrix& w, int tile, const Activations& in, float* out,
                        size_t out_stride) {
    F sums[rows][tiles];
    for (int r = 0; r < rows; ++r) {
        for (int t = 0; t < tiles; ++t) sums[r][t] = zero();
    }
    for (int k = 0; k < w.columns; ++k) {
        F column[tiles];
        for (int t = 0; t < tiles; ++t) column[t] = dense_column<codec>(w.quants(tile + t), k);
        for (int r = 0; r < rows; ++r) {
            const F x = splat(in.values[size_t(r) * in.columns + k]);
            for (int t = 0; t < tiles; ++t) sums[r][t] = fma(column[t], x, sums[r][t]);
        }
    }
    for (int r = 0; r < rows; ++r) {
        for (int t = 0; t < tiles; ++t) store(out + r * out_stride + t * kTileRows, sums[r][t]);
    }
}

template <Codec codec, int tiles>
inline void dense_rows(const PackedMatrix& w, int tile, const Activations& in, int rows, float* out,
                       size_t out_stride) {
    int r = 0;
    auto block = [&]<int size>() {
        for (; r + size <= rows; r += size) {
            Activations at = in;
            at.values += size_t(r) * in.columns;
            dense_block<codec, size, tiles>(w, tile, at, out + r * out_stride, out_stride);
        }
    };
    block.template operator()<4>();
    block.template operator()<1>();
}

template <Codec codec>
void dense_matmul(const PackedMatrix& w, int tile_begin, int tile_end, const Activations& in,
                  int rows, float* out, size_t out_stride) {
    int tile = tile_begin;
    for (; tile + kDenseTiles <= tile_end; tile += kDenseTiles, out += kDenseTiles * kTileRows) {
        dense_rows<codec, kDenseTiles>(w, tile, in, rows, out, out_stride);
    }
    for (; tile < tile_end; ++tile, out += kTileRows) {
        dense_rows<codec, 1>(w, tile, in, rows, out, out_stride);
    }
}

// One quant of a group as the kernels see it: the codec's offset taken off.
inline float quant_at(const GroupWeights& w, int lane, int k, int offset) {
    alignas(64) uint8_t quants[64];
    store_b(quants, w.quants[k / 4]);
    return float(int(quants[lane * 4 + k % 4]) - offset);
}

template <Codec codec>
void unpack_quantised_row(const PackedMatrix& w, int row, float* out) {
    const int tile = row / kTileRows, lane = row % kTileRows;
    alignas(64) float scale[16], minimum[16];
    for (int g = 0; g < w.groups(); ++g) {
        const GroupWeights weights = Reader<codec>::read(w.quants(tile), w.scales(tile), g);
        store(scale, weights.scale);
        store(minimum, Reader<codec>::has_second ? weights.minimum : zero());
        for (int k = 0; k < kGroup; ++k) {
            const float q = quant_at(weights, lane, k, codec_traits(codec).offset);
            const bool second = codec == Codec::U6 && k >= 16;
            const float base = codec == Codec::U6 ? 0.0f : minimum[lane];
            out[g * kGroup + k] = q * (second ? minimum[lane] : scale[lane]) + base;
        }
    }
}

template <Codec codec>
void unpack_dense_row(const PackedMatrix& w, int row, float* out) {
    alignas(64) float column[16];
    for (int k = 0; k < w.columns; ++k) {
        store(column, dense_column<codec>(w.quants(row / kTileRows), k));
        out[k] = column[row % kTileRows];
    }
}

}  // namespace stoker::STOKER_ISA
