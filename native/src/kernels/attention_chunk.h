// Attention over one chunk of a sequence, all query heads of a KV head at once: scores, softmax,
// weighted values. Lanes a query may not see weigh exactly zero, so a query's result does not depend
// on which other queries share the task.
#pragma once

#include <cmath>

#include "elementwise.h"
#include "stoker/kernels.h"

namespace stoker::STOKER_ISA {

inline constexpr int kBlockQueries = kAccumulators < 8 ? kAccumulators : 8;
inline constexpr float kNegativeInfinity = -__builtin_inff();

// What one chunk gives, for each query.
struct ChunkResult {
    float* values;   // [queries][head_dim], weighted by e^(score - maximum)
    float* maximum;  // [queries]; -infinity where a query sees nothing of the chunk
    float* total;    // [queries]: sum of the weights
};

struct AttentionState {
    const AttentionTask& task;
    float* queries;  // blocks of up to kBlockQueries, each [head_dim][queries of the block]
    float* scores;   // [queries][kAttentionChunk]

    const float* query(int q) const {
        return task.queries + size_t(q / task.heads_per_position) * task.position_stride +
               size_t(q % task.heads_per_position) * task.query_stride;
    }
    int position(int q) const { return task.first_position + q / task.heads_per_position; }
    int num_queries() const { return task.num_positions * task.heads_per_position; }
    const uint16_t* keys(int page) const {
        return task.keys + size_t(task.block_table[page]) * task.block_stride;
    }
    const uint16_t* values(int page) const {
        return task.values + size_t(task.block_table[page]) * task.block_stride;
    }
};

// The pages of a chunk. They lie far apart in memory and each half is shorter than the hardware's
// prefetcher needs to get going, so whoever reads a half first asks for the one that is read
// kPagesAhead later: the chunk's keys, then its values, then the next chunk's keys.
inline constexpr int kPagesAhead = 8;

struct Chunk {
    int begin;  // position
    int end;
    int last_page;  // of the sequence, as far as it is attended to

    int first_page() const { return begin / kPage; }
    int pages() const { return (end - begin + kPage - 1) / kPage; }
    int end_page() const { return first_page() + pages(); }

    const uint16_t* after_keys(const AttentionState& s, int page) const {
        const int next = page + kPagesAhead;
        if (next < end_page()) return s.keys(next);
        const int value = next - pages() < first_page() ? first_page() : next - pages();
        return s.values(value < last_page ? value : last_page);
    }
    const uint16_t* after_values(const AttentionState& s, int page) const {
        const int next = page + kPagesAhead;
        if (next < end_page()) return s.values(next);
        return s.keys(next < last_page ? next : last_page);
    }
};

template <int queries, int pages>
inline void score_block(const AttentionState& s, int q0, const Chunk& chunk, int first_page) {
    const uint16_t* keys[pages];
    const uint16_t* ahead[pages];
    F sums[queries][pages];
    STOKER_UNROLL
    for (int p = 0; p < pages; ++p) {
        keys[p] = s.keys(first_page + p);
        ahead[p] = q0 == 0 ? chunk.after_keys(s, first_page + p) : keys[p];
    }
    STOKER_UNROLL
    for (int q = 0; q < queries; ++q) {
        STOKER_UNROLL
        for (int p = 0; p < pages; ++p) sums[q][p] = zero();
    }
    const float* query = s.queries + size_t(q0) * s.task.head_dim;
    for (int d = 0; d < s.task.head_dim; d += 2) {
        STOKER_UNROLL
        for (int p = 0; p < pages; ++p) prefetch(ahead[p] + d * kPage);
        STOKER_UNROLL
        for (int i = d; i < d + 2; ++i, query += queries) {
            F key[pages];
            STOKER_UNROLL
            for (int p = 0; p < pages; ++p) key[p] = load_half(keys[p] + i * kPage);
            STOKER_UNROLL
            for (int q = 0; q < queries; ++q) {
                const F x = splat(query[q]);
                STOKER_UNROLL
                for (int p = 0; p < pages; ++p) sums[q][p] = fma(key[p], x, sums[q][p]);
            }
        }
    }
    STOKER_UNROLL
    for (int q = 0; q < queries; ++q) {
        float* row = s.scores + size_t(q0 + q) * kAttentionChunk + (first_page - chunk.first_page()) * kPage;
        STOKER_UNROLL
        for (int p = 0; p < pages; ++p) store(row + p * kPage, sums[q][p]);
    }
}

template <int queries, int vectors>
inline void value_block(const AttentionState& s, int q0, const Chunk& chunk, int d, float* values) {
    F sums[queries][vectors];
    STOKER_UNROLL
    for (int q = 0; q < queries; ++q) {
        STOKER_UNROLL
        for (int v = 0; v < vectors; ++v) sums[q][v] = zero();
    }
    const float* weights = s.scores + size_t(q0) * kAttentionChunk;
    for (int page = chunk.first_page(); page < chunk.end_page(); ++page) {
        const uint16_t* value = s.values(page) + d;
        const uint16_t* ahead = q0 == 0 ? chunk.after_values(s, page) + d : value;
        const int begin = page * kPage - chunk.begin;
        const int count = chunk.end - chunk.begin - begin < kPage ? chunk.end - chunk.begin - begin : kPage;
        for (int t = 0; t < count; ++t, value += s.task.head_dim, ahead += s.task.head_dim) {
            F x[vectors];
            STOKER_UNROLL
            for (int v = 0; v < vectors; ++v) x[v] = load_half(value + v * 16);
            STOKER_UNROLL
            for (int v = 0; v < vectors; v += 2) prefetch(ahead + v * 16);
            STOKER_UNROLL
            for (int q = 0; q < queries; ++q) {
                const F weight = splat(weights[q * kAttentionChunk + begin + t]);
                STOKER_UNROLL
                for (int v = 0; v < vectors; ++v) sums[q][v] = fma(x[v], weight, sums[q][v]);
            }
        }
    }
    STOKER_UNROLL
    for (int q = 0; q < queries; ++q) {
        float* out = values + size_t(q0 + q) * s.task.head_dim + d;
        STOKER_UNROLL
        for (int v = 0; v < vectors; ++v) store(out + v * 16, sums[q][v]);
    }
}

template <int queries>
inline void score_queries(const AttentionState& s, int q0, const Chunk& chunk) {
    constexpr int wide = kAccumulators / queries >= 4 ? 4 : (kAccumulators / queries >= 2 ? 2 : 1);
    int page = chunk.first_page();
    for (; page + wide <= chunk.end_page(); page += wide) score_block<queries, wide>(s, q0, chunk, page);
    for (; page < chunk.end_page(); ++page) score_block<queries, 1>(s, q0, chunk, page);
}

template <int queries>
inline void value_queries(const AttentionState& s, int q0, const Chunk& chunk, float* values) {
    constexpr int wide = kAccumulators / queries >= 4 ? 4 : (kAccumulators / queries >= 2 ? 2 : 1);
    int d = 0;
    for (; d + wide * 16 <= s.task.head_dim; d += wide * 16) value_block<queries, wide>(s, q0, chunk, d, values);
    for (; d < s.task.head_dim; d += 16) value_block<queries, 1>(s, q0, chunk, d, values);
}

// Calls f.operator()<n>(first) for blocks of n queries, n at most kBlockQueries.
template <int n, class Function>
inline void tail_queries(int first, int left, const Function& f) {
    if constexpr (n > 0) {
        if (left == n) return f.template operator()<n>(first);
        tail_queries<n - 1>(first, left, f);
    }
}
template <class Function>
inline void for_query_blocks(int queries, const Function& f) {
    int q = 0;
    for (; q + kBlockQueries <= queries; q += kBlockQueries) f.template operator()<kBlockQueries>(q);
    if (q < queries) tail_queries<kBlockQueries - 1>(q, queries - q, f);
}

template <int queries>
inline void transpose_queries(const AttentionState& s, int q0) {
    float* block = s.queries + size_t(q0) * s.task.head_dim;
    for (int q = 0; q < queries; ++q) {
        const float* query = s.query(q0 + q);
        for (int d = 0; d < s.task.head_dim; ++d) block[d * queries + q] = query[d];
    }
}

inline int clamp_lane(int x) { return x < 0 ? 0 : (x > kPage ? kPage : x); }

// Masks and exponentiates one query's scores of the chunk; returns maximum and sum.
inline void softmax_chunk(const AttentionState& s, int q, int begin, int pages, float& most, float& sum) {
    float* row = s.scores + size_t(q) * kAttentionChunk;
    const int last = s.task.context > 0 ? s.task.context - 1 : s.position(q);
    const int first = s.task.window > 0 ? s.position(q) - s.task.window + 1 : 0;
    const F hidden = splat(kNegativeInfinity);
    F maximum = hidden;
    if (s.task.softcap > 0.0f) softcap(row, s.task.softcap, pages * kPage);
    for (int p = 0; p < pages; ++p) {
        const int start = begin + p * kPage;
        const F x = select_lanes(clamp_lane(first - start), clamp_lane(last + 1 - start),
                                 load(row + p * kPage), hidden);
        maximum = max(x, maximum);
        store(row + p * kPage, x);
    }
    most = reduce_max(maximum);
    const F shift = splat(most == kNegativeInfinity ? 0.0f : most);
    F sums = zero();
    for (int p = 0; p < pages; ++p) {
        const F weight = exp(load(row + p * kPage) - shift);
        sums = sums + weight;
        store(row + p * kPage, weight);
    }
    sum = reduce_add(sums);
}

inline void attend_chunk(const AttentionState& s, const Chunk& chunk, const ChunkResult& result) {
    const int queries = s.num_queries();
    for_query_blocks(queries, [&]<int n>(int q) { score_queries<n>(s, q, chunk); });
    for (int q = 0; q < queries; ++q) {
        softmax_chunk(s, q, chunk.begin, chunk.pages(), result.maximum[q], result.total[q]);
    }
    for_query_blocks(queries, [&]<int n>(int q) { value_queries<n>(s, q, chunk, result.values); });
}

}  // namespace stoker::STOKER_ISA
