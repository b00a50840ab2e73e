// How a step's attention is cut into items for the thread pool.
//
// A task is some positions of one sequence with the query heads of one KV head. Tasks over a long
// context are cut into pieces, so that one long sequence keeps all threads busy and no thread is
// left with a long item at the end. The cut changes no bit (kernels/attention.h).
#pragma once

#include <algorithm>
#include <vector>

#include "stoker/decoder.h"

namespace stoker {

struct AttentionPiece {
    const SequenceRun* run;
    int offset;  // first position of the run
    int positions;
    int kv_head;
    int first_head;  // within the KV head's group
    int heads;
    int first_chunk;
    int end_chunk;
    size_t partials;  // floats into the step's partial results; of tasks in pieces
    bool causal;

    int first_position() const { return run->first_position + offset; }
    int queries() const { return positions * heads; }
    // What a kernel's task calls its context.
    int context() const { return causal ? 0 : run->first_position + run->count; }
    int end() const { return causal ? first_position() + positions : context(); }
    int chunks() const { return (end() + kAttentionChunk - 1) / kAttentionChunk; }
    bool whole() const { return first_chunk == 0 && end_chunk == chunks(); }
};

class AttentionPlan {
public:
    AttentionPlan(const DecoderSpec& spec, const std::vector<SequenceRun>& runs, int threads) {
        std::vector<AttentionPiece> tasks = all_tasks(spec, runs);
        long chunks = 0;
        for (const AttentionPiece& task : tasks) chunks += task.chunks();
        const int span = int(std::max<long>(kLeastSpan, chunks / (threads * kPiecesPerThread)));
        for (AttentionPiece& task : tasks) add(task, span, spec.head_dim);
    }

    const std::vector<AttentionPiece>& pieces() const { return pieces_; }
    // Tasks that were cut, to be joined when all pieces are done.
    const std::vector<AttentionPiece>& joins() const { return joins_; }
    size_t partial_floats() const { return partial_floats_; }

private:
    static constexpr int kLeastSpan = 4;  // chunks; starting a piece costs about a tenth of one
    static constexpr int kPiecesPerThread = 6;
    static constexpr int kTaskQueries = 24;  // three blocks of eight

    static std::vector<AttentionPiece> all_tasks(const DecoderSpec& spec, const std::vector<SequenceRun>& runs) {
        const int group = spec.heads_per_kv();
        const int heads = std::min(group, kMaxQueries);
        const int positions = std::max(1, kTaskQueries / heads);
        std::vector<AttentionPiece> tasks;
        for (const SequenceRun& run : runs) {
            for (int offset = 0; offset < run.count; offset += positions) {
                for (int kv_head = 0; kv_head < spec.num_kv_heads; ++kv_head) {
                    for (int head = 0; head < group; head += heads) {
                        tasks.push_back({&run, offset, std::min(positions, run.count - offset), kv_head, head,
                                         std::min(heads, group - head), 0, 0, 0, spec.causal});
                    }
                }
            }
        }
        return tasks;
    }

    void add(AttentionPiece task, int span, int head_dim) {
        const int chunks = task.chunks();
        task.end_chunk = chunks;
        // Without the join's cost, a task only little longer than a span stays whole.
        const int count = (chunks + span / 2) / span;
        if (count <= 1) {
            pieces_.push_back(task);
            return;
        }
        task.partials = partial_floats_;
        partial_floats_ += chunks * attention_partial_floats(task.queries(), head_dim);
        joins_.push_back(task);
        for (int i = 0; i < count; ++i) {
            task.first_chunk = chunks * i / count;
            task.end_chunk = chunks * (i + 1) / count;
            pieces_.push_back(task);
        }
    }

    std::vector<AttentionPiece> pieces_;
    std::vector<AttentionPiece> joins_;
    size_t partial_floats_ = 0;
};

}  // namespace stoker
