// One step of the decoder, as a sequence of phases. Each phase is shared out over the pool and is
// complete before the next begins; within a phase, items write disjoint memory.
//
//   embed ─▶ per layer: [join + norm] ─▶ q,k,v ─▶ [bias, norm, rope, KV write] ─▶ attention ─▶ o
//                       [join + norm] ─▶ gate·up ─▶ down, or a mixture of experts
//   ─▶ for rows whose logits are wanted: [join + norm] ─▶ head ─▶ sampler
//
// Each product is followed by what adapters add to it, where a row has one (low_rank_sums.h).
// "Join" adds the previous branch to the residual stream, so that norms see the sum.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "attention_plan.h"
#include "embedder.h"
#include "feed_forward.h"
#include "low_rank_sums.h"
#include "mixture.h"
#include "products.h"
#include "stoker/decoder.h"
#include "workspace.h"

namespace stoker {
// What attention or feed-forward gives, until it is added to the residual stream.
struct Branch {
    float* rows;
    const float* bias;
    const Norm* norm;
};

class StepRun {
public:
    StepRun(Decoder& decoder, const StepInput& input)
        : d_(decoder), spec_(decoder.spec_), k_(decoder.kernels_), w_(*decoder.workspace_),
          input_(input), rows_(int(input.tokens.size())),
          attention_(spec_, input.runs, decoder.pool_.size()), products_(k_, decoder.pool_),
          adapters_(k_, decoder.pool_, w_, input.runs) {
        w_.reserve(rows_);
        w_.reserve_partials(attention_.partial_floats());
        for (const SequenceRun& run : input.runs) {
            for (int i = 0; i < run.count; ++i) rows_of_run_.push_back(&run);
        }
    }

    void forward() {
        embed();
        rotate_angles();
        for (size_t i = 0; i < spec_.layers.size(); ++i) {
            const LayerWeights& layer = d_.weights_.layers[i];
            join_and_norm(layer.attention_norm);
            project_qkv(layer, int(i));
            prepare_heads(layer, int(i));
            attend(int(i));
            each_row([&](int row, int) { products_.quantize(w_.attended, row); });
            multiply(w_.attended, {Product{&layer.o, w_.branch, size_t(spec_.hidden_size)}});
            adapters_.apply(int(i), {Target::O}, w_.attended, {w_.branch}, size_t(spec_.hidden_size));
            const Branch attended{w_.branch, layer.o_bias, &layer.attention_post_norm};
            if (!spec_.parallel) pending_ = {attended};
            join_and_norm(layer.feed_forward_norm);
            const Branch fed = feed_forward(layer, int(i));
            pending_ = {fed};
            if (spec_.parallel) pending_.push_back(attended);
        }
    }

    // Calls use(first, count, logits, stride) for blocks of the given rows of this step. Consumes
    // the residual stream, so it is called once.
    using UseLogits = std::function<void(int first, int count, float* logits, size_t stride)>;
    void head(const std::vector<int>& rows, const UseLogits& use) {
        const size_t stride = size_t(d_.weights_.head.tiles()) * kTileRows;
        for (int first = 0; first < int(rows.size()); first += kMatmulRows) {
            const int count = std::min(kMatmulRows, int(rows.size()) - first);
            d_.pool_.run(count, [&](int item, int) { final_norm(rows[size_t(first + item)], item); });
            products_.multiply(w_.normed, count, {Product{&d_.weights_.head, w_.logits, stride}});
            shape_logits(count, stride);
            use(first, count, w_.logits, stride);
        }
    }

    // Every row after the final norm, [rows][hidden_size], to be changed at will. Called once, instead
    // of `head`.
    const Activations& finish() {
        join_and_norm(d_.weights_.final_norm);
        return w_.normed;
    }

private:
    float* normed(int row) { return w_.normed.values + size_t(row) * spec_.hidden_size; }
    float* hidden(int row) { return w_.hidden + size_t(row) * spec_.hidden_size; }
    size_t qkv_stride() const { return size_t(spec_.query_size() + 2 * spec_.kv_size()); }

    // Runs work(row, thread) for every row of the step.
    template <class Work>
    void each_row(const Work& work) {
        const int size = chunk_size(rows_, d_.pool_.size(), 4, 1);
        d_.pool_.run(chunks(rows_, size), [&](int item, int thread) {
            const int end = std::min(rows_, (item + 1) * size);
            for (int row = item * size; row < end; ++row) work(row, thread);
        });
    }

    void embed() {
        const Embedder embedder(spec_, k_, d_.weights_);
        each_row([&](int row, int) {
            const RowPlace place{input_.tokens[size_t(row)], position(row), type(row)};
            embedder.embed(place, hidden(row), w_.branch + size_t(row) * spec_.hidden_size);
        });
    }

    int type(int row) const { return position(row) >= rows_of_run_[size_t(row)]->second_part ? 1 : 0; }

    int position(int row) const {
        const SequenceRun& run = *rows_of_run_[size_t(row)];
        return run.first_position + row - run.first_row;
    }

    float* angles(float* table, size_t rope, int row) const {
        return table + (rope * size_t(rows_) + size_t(row)) * size_t(spec_.head_dim / 2);
    }

    void rotate_angles() {
        each_row([&](int row, int) {
            for (size_t r = 0; r < d_.ropes_.size(); ++r) {
                const RopeSpec& rope = d_.ropes_[r];
                float* cosine = angles(w_.cosine, r, row);
                float* sine = angles(w_.sine, r, row);
                for (size_t i = 0; i < rope.inverse_frequencies.size(); ++i) {
                    const double angle = double(position(row)) * double(rope.inverse_frequencies[i]);
                    cosine[i] = float(std::cos(angle)) * rope.attention_factor;
                    sine[i] = float(std::sin(angle)) * rope.attention_factor;
                }
            }
        });
    }

    void normalise(const Norm& norm, const float* x, int n, float* y) {
        if (spec_.layer_norm) {
            k_.layer_norm(x, norm.weight, norm.bias, spec_.norm_eps, n, y);
        } else {
            k_.rms_norm(x, norm.weight, spec_.norm_eps, n, y);
        }
    }

    void norm_into(const Activations& out, int slot, const float* x, const Norm& norm) {
        float* y = out.values + size_t(slot) * spec_.hidden_size;
        if (norm.weight) {
            normalise(norm, x, spec_.hidden_size, y);
        } else {
            std::memcpy(y, x, size_t(spec_.hidden_size) * sizeof(float));
        }
        products_.quantize(out, slot);
    }

    void join(const Branch& branch, int row) {
        float* added = branch.rows + size_t(row) * spec_.hidden_size;
        if (branch.bias) k_.add(added, branch.bias, spec_.hidden_size);
        if (branch.norm->weight) normalise(*branch.norm, added, spec_.hidden_size, added);
        if (spec_.residual_scale != 1.0f) k_.scale(added, spec_.residual_scale, spec_.hidden_size);
        k_.add(hidden(row), added, spec_.hidden_size);
    }

    void join_and_norm(const Norm& norm) {
        each_row([&](int row, int) {
            for (const Branch& branch : pending_) join(branch, row);
            norm_into(w_.normed, row, hidden(row), norm);
            if (spec_.residual_norms) std::memcpy(hidden(row), normed(row), size_t(spec_.hidden_size) * sizeof(float));
        });
        pending_.clear();
    }

    void final_norm(int row, int slot) {
        for (const Branch& branch : pending_) join(branch, row);
        norm_into(w_.normed, slot, hidden(row), d_.weights_.final_norm);
    }

    void shape_logits(int count, size_t stride) {
        if (spec_.logit_scale == 1.0f && spec_.final_softcap == 0.0f) return;
        d_.pool_.run(count, [&](int item, int) {
            float* logits = w_.logits + size_t(item) * stride;
            if (spec_.logit_scale != 1.0f) k_.scale(logits, spec_.logit_scale, int(stride));
            if (spec_.final_softcap > 0.0f) k_.softcap(logits, spec_.final_softcap, int(stride));
        });
    }

    void multiply(const Activations& in, std::initializer_list<Product> products) {
        products_.multiply(in, rows_, products);
    }

    void project_qkv(const LayerWeights& layer, int index) {
        float* q = w_.qkv;
        float* k = q + spec_.query_size();
        float* v = k + spec_.kv_size();
        multiply(w_.normed, {Product{&layer.q, q, qkv_stride()}, Product{&layer.k, k, qkv_stride()},
                             Product{&layer.v, v, qkv_stride()}});
        adapters_.apply(index, {Target::Q, Target::K, Target::V}, w_.normed, {q, k, v}, qkv_stride());
    }

    void prepare_heads(const LayerWeights& layer, int index) {
        const size_t rope = size_t(d_.layer_rope_[size_t(index)]);
        each_row([&](int row, int) {
            float* q = w_.qkv + size_t(row) * qkv_stride();
            float* k = q + spec_.query_size();
            float* v = k + spec_.kv_size();
            if (spec_.qkv_bias) {
                k_.add(q, layer.q_bias, spec_.query_size());
                k_.add(k, layer.k_bias, spec_.kv_size());
                k_.add(v, layer.v_bias, spec_.kv_size());
            }
            if (spec_.qk_norm == QkNorm::Whole) {
                normalise(layer.q_norm, q, spec_.query_size(), q);
                normalise(layer.k_norm, k, spec_.kv_size(), k);
            }
            for (int h = 0; h < spec_.num_heads; ++h) {
                rotate(q + h * spec_.head_dim, layer.q_norm, rope, row);
            }
            k_.scale(q, spec_.attention_scale, spec_.query_size());
            for (int h = 0; h < spec_.num_kv_heads; ++h) {
                rotate(k + h * spec_.head_dim, layer.k_norm, rope, row);
                write_key_value(index, h, row, k + h * spec_.head_dim, v + h * spec_.head_dim);
            }
        });
    }

    void rotate(float* head, const Norm& norm, size_t rope, int row) {
        if (spec_.qk_norm == QkNorm::Head) normalise(norm, head, spec_.head_dim, head);
        const auto kernel = d_.ropes_[rope].pairs ? k_.rope_pairs : k_.rope_halves;
        kernel(head, angles(w_.cosine, rope, row), angles(w_.sine, rope, row), d_.ropes_[rope].dim);
    }

    // Blocks are [layer][kv head]{[head_dim][kPage] keys, [kPage][head_dim] values} in fp16.
    size_t head_halves() const { return size_t(spec_.head_dim) * kPage * 2; }
    size_t block_halves() const { return d_.kv_bytes_per_block() / sizeof(uint16_t); }
    uint16_t* key_value(int layer, int kv_head) const {
        return reinterpret_cast<uint16_t*>(d_.kv_.data()) +
               (size_t(layer) * spec_.num_kv_heads + kv_head) * head_halves();
    }

    void write_key_value(int layer, int kv_head, int row, const float* key, const float* value) {
        const SequenceRun& run = *rows_of_run_[size_t(row)];
        const int at = position(row);
        uint16_t* block = key_value(layer, kv_head) +
                          size_t(run.block_table[at / kPage]) * block_halves();
        uint16_t* values = block + size_t(spec_.head_dim) * kPage;
        k_.store_key_value(key, value, spec_.head_dim, block + at % kPage,
                           values + size_t(at % kPage) * spec_.head_dim);
    }

    void attend(int layer) {
        const auto& pieces = attention_.pieces();
        const auto& joins = attention_.joins();
        d_.pool_.run(int(pieces.size()), [&](int item, int thread) {
            const AttentionPiece& piece = pieces[size_t(item)];
            const AttentionTask task = attention_task(piece, layer, thread);
            if (piece.whole()) {
                k_.attention(task);
            } else {
                k_.attention_chunks(task, piece.first_chunk, piece.end_chunk);
            }
        });
        if (joins.empty()) return;
        d_.pool_.run(int(joins.size()), [&](int item, int thread) {
            k_.attention_join(attention_task(joins[size_t(item)], layer, thread));
        });
    }

    AttentionTask attention_task(const AttentionPiece& piece, int layer, int thread) const {
        const size_t row = size_t(piece.run->first_row + piece.offset);
        const size_t head = size_t(piece.kv_head * spec_.heads_per_kv() + piece.first_head);
        AttentionTask task{};
        task.queries = w_.qkv + row * qkv_stride() + head * spec_.head_dim;
        task.query_stride = size_t(spec_.head_dim);
        task.position_stride = qkv_stride();
        task.output = w_.attended.values + row * size_t(spec_.query_size()) + head * spec_.head_dim;
        task.output_stride = size_t(spec_.query_size());
        task.num_positions = piece.positions;
        task.heads_per_position = piece.heads;
        task.first_position = piece.first_position();
        task.context = piece.context();
        task.window = spec_.layers[size_t(layer)].window;
        task.softcap = spec_.attention_softcap;
        const float* sinks = d_.weights_.layers[size_t(layer)].sinks;
        task.sinks = sinks ? sinks + head : nullptr;
        task.head_dim = spec_.head_dim;
        task.keys = key_value(layer, piece.kv_head);
        task.values = task.keys + size_t(spec_.head_dim) * kPage;
        task.block_stride = block_halves();
        task.block_table = piece.run->block_table;
        task.scratch = w_.attention_scratch(thread);
        task.partials = w_.partials() + piece.partials;
        return task;
    }

    Branch feed_forward(const LayerWeights& layer, int index) {
        const ExpertSpec& experts = spec_.layers[size_t(index)].experts;
        float* out = spec_.parallel ? w_.parallel_branch : w_.branch;
        if (experts.count > 0) {
            Mixture(spec_, k_, d_.pool_, w_, layer, experts).run(w_.normed, rows_, out);
            return {out, nullptr, &layer.feed_forward_post_norm};
        }
        adapters_.shrink(index, {Target::Gate, Target::Up}, w_.normed);
        const FeedForward feed(spec_, k_, w_, layer.dense, 0, {&adapters_, index});
        const int strips = chunks(spec_.feed_forward_size, kGroup);
        const int size = chunk_size(strips, d_.pool_.size(), 4, 1);
        d_.pool_.run(chunks(strips, size), [&](int item, int thread) {
            feed.strips(item * size, std::min(strips, (item + 1) * size), w_.normed, rows_, w_.gated, thread);
        });
        multiply(w_.gated, {Product{&layer.dense.down, out, size_t(spec_.hidden_size)}});
        adapters_.apply(index, {Target::Down}, w_.gated, {out}, size_t(spec_.hidden_size));
        return {out, layer.dense.down_bias, &layer.feed_forward_post_norm};
    }

    Decoder& d_;
    const DecoderSpec& spec_;
    const Kernels& k_;
    Workspace& w_;
    const StepInput& input_;
    int rows_;
    std::vector<const SequenceRun*> rows_of_run_;
    AttentionPlan attention_;
    Products products_;
    LowRankSums adapters_;
    std::vector<Branch> pending_;  // not yet in the residual stream
};

}  // namespace stoker
