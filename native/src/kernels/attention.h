// Paged attention with an online softmax (Dao et al. 2022).
//
// Positions are taken in chunks of kAttentionChunk counted from 0, whatever the sequence, the step
// or the number of threads, and the chunks' results are joined in that order. So it makes no
// difference whether one call does it all or several compute chunks that another joins (as in
// Flash-Decoding, Dao et al. 2023).
#pragma once

#include "attention_chunk.h"

namespace stoker::STOKER_ISA {

struct ChunkRange {
    int first;
    int end;
};

// The chunks of which any query of the task sees something.
inline ChunkRange visible_chunks(const AttentionTask& task) {
    const int oldest = task.window > 0 ? task.first_position - task.window + 1 : 0;
    const int end = task.end();
    return {oldest > 0 ? oldest / kAttentionChunk : 0, (end + kAttentionChunk - 1) / kAttentionChunk};
}

inline Chunk chunk_at(const AttentionTask& task, int index) {
    const int begin = index * kAttentionChunk;
    const int end = task.end();
    const int chunk_end = end < begin + kAttentionChunk ? end : begin + kAttentionChunk;
    return {begin, chunk_end, (end - 1) / kPage};
}

inline AttentionState start_attention(const AttentionTask& task) {
    AttentionState s{task, task.scratch, task.scratch + size_t(kMaxQueries) * task.head_dim};
    for_query_blocks(s.num_queries(), [&]<int n>(int q) { transpose_queries<n>(s, q); });
    return s;
}

inline ChunkResult result_at(float* memory, int queries, int head_dim) {
    float* maximum = memory + size_t(queries) * head_dim;
    return {memory, maximum, maximum + queries};
}

inline ChunkResult partial_at(const AttentionTask& task, int chunk) {
    const int queries = task.num_positions * task.heads_per_position;
    return result_at(task.partials + chunk * attention_partial_floats(queries, task.head_dim), queries,
                     task.head_dim);
}

inline void clear(const ChunkResult& result, int queries, int head_dim) {
    for (int q = 0; q < queries; ++q) {
        result.maximum[q] = kNegativeInfinity;
        result.total[q] = 0.0f;
        for (int d = 0; d < head_dim; d += 16) store(result.values + size_t(q) * head_dim + d, zero());
    }
}

// Joins query q of a chunk's result to the running one.
inline void join(const ChunkResult& running, const ChunkResult& chunk, int q, int head_dim) {
    const float most = chunk.maximum[q];
    if (most == kNegativeInfinity) return;
    const float before = running.maximum[q];
    const float now = before > most ? before : most;
    const float keep = before == kNegativeInfinity ? 0.0f : exp_scalar(before - now);
    const float take = exp_scalar(most - now);
    float* values = running.values + size_t(q) * head_dim;
    const float* added = chunk.values + size_t(q) * head_dim;
    for (int d = 0; d < head_dim; d += 16) {
        store(values + d, fma(load(added + d), splat(take), load(values + d) * splat(keep)));
    }
    running.total[q] = running.total[q] * keep + chunk.total[q] * take;
    running.maximum[q] = now;
}

// What a query's weighted values are multiplied by: one over the sum of all weights, that of the
// head's sink included.
inline float share(const AttentionTask& task, const ChunkResult& result, int q) {
    if (!task.sinks) return 1.0f / result.total[q];
    const float sink = task.sinks[q % task.heads_per_position], most = result.maximum[q];
    const float shift = sink > most ? sink : most;
    const float keep = exp_scalar(most - shift);
    return keep / (result.total[q] * keep + exp_scalar(sink - shift));
}

inline void write_output(const AttentionTask& task, const ChunkResult& result) {
    const int queries = task.num_positions * task.heads_per_position;
    for (int q = 0; q < queries; ++q) {
        const F inverse = splat(share(task, result, q));
        float* out = task.output + size_t(q / task.heads_per_position) * task.output_stride +
                     size_t(q % task.heads_per_position) * size_t(task.head_dim);
        for (int d = 0; d < task.head_dim; d += 16) {
            store(out + d, load(result.values + size_t(q) * task.head_dim + d) * inverse);
        }
    }
}

// Scratch behind the state's: two results.
inline ChunkResult scratch_result(const AttentionTask& task, int index) {
    float* memory = task.scratch + size_t(kMaxQueries) * (task.head_dim + kAttentionChunk);
    return result_at(memory + index * attention_partial_floats(kMaxQueries, task.head_dim), kMaxQueries,
                     task.head_dim);
}

inline void attention(const AttentionTask& task) {
    const AttentionState s = start_attention(task);
    const ChunkResult running = scratch_result(task, 0), chunk = scratch_result(task, 1);
    const ChunkRange visible = visible_chunks(task);
    clear(running, s.num_queries(), task.head_dim);
    for (int index = visible.first; index < visible.end; ++index) {
        attend_chunk(s, chunk_at(task, index), chunk);
        for (int q = 0; q < s.num_queries(); ++q) join(running, chunk, q, task.head_dim);
    }
    write_output(task, running);
}

inline void attention_chunks(const AttentionTask& task, int first_chunk, int end_chunk) {
    const AttentionState s = start_attention(task);
    const ChunkRange visible = visible_chunks(task);
    const int first = first_chunk < visible.first ? visible.first : first_chunk;
    for (int index = first; index < end_chunk && index < visible.end; ++index) {
        attend_chunk(s, chunk_at(task, index), partial_at(task, index));
    }
}

inline void attention_join(const AttentionTask& task) {
    const int queries = task.num_positions * task.heads_per_position;
    const ChunkResult running = scratch_result(task, 0);
    const ChunkRange visible = visible_chunks(task);
    clear(running, queries, task.head_dim);
    for (int index = visible.first; index < visible.end; ++index) {
        for (int q = 0; q < queries; ++q) join(running, partial_at(task, index), q, task.head_dim);
    }
    write_output(task, running);
}

}  // namespace stoker::STOKER_ISA
