// The kernels of one instruction set, as a table of functions chosen once at start.
//
// All pointers are to distinct, non-overlapping memory unless a comment says otherwise. No kernel
// allocates or starts threads; callers split work.
// Results do not depend on how rows, tiles or heads are split between calls: every output element
// is one reduction in a fixed order (promise 2 of docs/behaviour.md).
#pragma once

#include <cstddef>
#include <cstdint>

#include "stoker/packed_matrix.h"

namespace stoker {

// Activation rows, as float and, for quantised weights, as int8 with a scale per group of 32.
// Row r of each array starts at r times its stride.
struct Activations {
    float* values = nullptr;       // [rows][columns]; null when only the quantised form exists
    int8_t* quants = nullptr;      // [rows][columns]
    float* scales = nullptr;       // [rows][columns / 32]
    float* scaled_sums = nullptr;  // [rows][columns / 32]: scale * sum of the group's quants
    int32_t* sums = nullptr;       // [rows][columns / 16]: sums of 16 quants
    int columns = 0;

    STOKER_INLINE Activations from_row(int row) const {
        const size_t r = size_t(row);
        return {values ? values + r * columns : nullptr,
                quants + r * columns,
                scales + r * (columns / 32),
                scaled_sums + r * (columns / 32),
                sums + r * (columns / 16),
                columns};
    }
};

// One run of query vectors that share a key-value head and a sequence.
struct AttentionTask {
    const float* queries;        // first head of the first position, scaled already
    size_t query_stride;         // floats between heads of a position
    int num_positions;           // consecutive positions, the first is first_position
    int heads_per_position;      // query heads sharing the KV head; query = position * heads + head
    size_t position_stride;      // floats between positions in `queries`
    int first_position;
    int window;                  // 0: unlimited
    float softcap;               // 0: none
    int head_dim;
    const uint16_t* keys;        // this layer and KV head, block 0: pages of [head_dim][16] fp16
    const uint16_t* values;      // likewise: pages of [16][head_dim] fp16
    size_t block_stride;         // fp16 values between blocks
    const int32_t* block_table;  // block of each page of 16 positions
    float* output;               // [num_positions][heads_per_position][head_dim]
    size_t output_stride;        // floats between positions in `output`
    float* scratch;              // attention_scratch_floats() floats, 64-byte aligned
    const float* sinks;          // of the task's heads: scores without a value; null: none
    float* partials;             // for tasks in pieces: attention_partial_floats() for each chunk
    int context;                 // 0: a query sees keys up to its own position; else all before this one

    // One past the last key that any query sees.
    STOKER_INLINE int end() const { return context > 0 ? context : first_position + num_positions; }
};

inline constexpr int kPage = 16;             // positions of a KV block
inline constexpr int kAttentionChunk = 256;  // positions whose softmax is computed at once
inline constexpr int kMaxQueries = 32;       // positions * heads of one task

// A chunk's result: weighted values, maximum and sum of each query.
STOKER_INLINE constexpr size_t attention_partial_floats(int queries, int head_dim) {
    return (size_t(queries) * (size_t(head_dim) + 2) + 15) / 16 * 16;
}

STOKER_INLINE constexpr size_t attention_scratch_floats(int head_dim) {
    return size_t(kMaxQueries) * (kAttentionChunk + size_t(head_dim)) +
           2 * attention_partial_floats(kMaxQueries, head_dim);
}

// What a feed-forward's gate goes through; see stoker.model.spec.
enum class Activation : int32_t { Silu, GeluTanh, Gelu, ClampedSwiglu };
inline constexpr int kActivations = 4;

struct Kernels {
    const char* name;

    // Quantises groups [group_begin, group_end) of `rows` rows of in.values to in.quants, scales,
    // scaled_sums and sums: q = round_half_even(x * (127 / max|x|)), scale = max|x| / 127.
    // A group holding a NaN or an infinity gets the scale NaN.
    void (*quantize_rows)(const Activations& in, int rows, int group_begin, int group_end);

    // out[r * out_stride + t * 16 + i] = row r of `in` times row (tile_begin + t) * 16 + i of w.
    // At most kMatmulRows rows a call. `in` has values for dense codecs, quants for others.
    void (*matmul[kCodecs])(const PackedMatrix& w, int tile_begin, int tile_end,
                            const Activations& in, int rows, float* out, size_t out_stride);

    // Writes row `row` of w as floats to out[columns].
    void (*unpack_row[kCodecs])(const PackedMatrix& w, int row, float* out);

    // y = x / sqrt(mean(x^2) + eps) * weight. y may be x. n is a multiple of 16.
    void (*rms_norm)(const float* x, const float* weight, float eps, int n, float* y);
    // y = (x - mean) / sqrt(variance + eps) * weight + bias. y may be x; bias may be null.
    void (*layer_norm)(const float* x, const float* weight, const float* bias, float eps, int n,
                       float* y);
    // x += y
    void (*add)(float* x, const float* y, int n);
    // x *= scale
    void (*scale)(float* x, float scale, int n);
    // gate[i] = activation(gate[i]) * up[i]
    void (*gate[kActivations])(float* gate, const float* up, int n);
    // x = cap * tanh(x / cap)
    void (*softcap)(float* x, float cap, int n);
    // Rotates pairs of one head in place; cosine and sine hold dim / 2 values.
    void (*rope_halves)(float* head, const float* cosine, const float* sine, int dim);
    void (*rope_pairs)(float* head, const float* cosine, const float* sine, int dim);
    // Writes one position's key (strided by kPage) and value to their page slots.
    void (*store_key_value)(const float* key, const float* value, int head_dim, uint16_t* key_slot,
                            uint16_t* value_slot);
    // The whole task; `partials` is not used.
    void (*attention)(const AttentionTask& task);
    // The same in pieces, with the same bits: chunks [first_chunk, end_chunk) to `partials`, on any
    // threads, then one join. Pieces need scratch of their own.
    void (*attention_chunks)(const AttentionTask& task, int first_chunk, int end_chunk);
    void (*attention_join)(const AttentionTask& task);

    // The machine's limits: nothing but reading, integer products, float products. The loops do
    // ops_per_dot and ops_per_fma operations each round. What they return only keeps them alive.
    float (*read_bytes)(const uint8_t* data, size_t bytes);
    int32_t (*dot_loop)(size_t count);
    float (*fma_loop)(size_t count);
    double ops_per_dot;
    double ops_per_fma;
};

inline constexpr int kMatmulRows = 64;

extern const Kernels kAvx512Kernels;
extern const Kernels kAvx2Kernels;
extern const Kernels kPortableKernels;

// The named table, or the best this machine can run for "auto". Null when the name is unknown or
// the machine lacks the instructions.
const Kernels* find_kernels(const char* name);

}  // namespace stoker
