// One step of the decoder, as a sequence of phases. Each phase is shared out over the pool and is
// complete before the next begins; within a phase, items write disjoint memory.
//
//   embed ─▶ per layer: [join + norm] ─▶ q,k,v ─▶ [bias, norm, rope, KV write] ─▶ attention ─▶ o
//                       [join + norm] ─▶ gate·up ─▶ down
//   ─▶ for rows whose logits are wanted: [join + norm] ─▶ head ─▶ sampler
//
// "Join" adds the previous branch to the residual stream, so that norms see the sum.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <stdexcept>

#include "attention_plan.h"
#include "stoker/decoder.h"
#include "workspace.h"

namespace stoker {
namespace {

struct Product {
    const PackedMatrix* matrix;
    float* out;
    size_t out_stride;
};

int chunk_size(int total, int threads, int items_per_thread, int least) {
    return std::max(least, (total + threads * items_per_thread - 1) / (threads * items_per_thread));
}

int chunks(int total, int size) { return (total + size - 1) / size; }

}  // namespace

class StepRun {
public:
    StepRun(Decoder& decoder, const StepInput& input)
        : d_(decoder), spec_(decoder.spec_), k_(decoder.kernels_), w_(*decoder.workspace_),
          input_(input), rows_(int(input.tokens.size())),
          attention_(spec_, input.runs, decoder.pool_.size()) {
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
            const float* joined_norm = i == 0 ? nullptr : d_.weights_.layers[i - 1].feed_forward_post_norm;
            join_and_norm(i > 0, joined_norm, layer.attention_norm);
            project_qkv(layer);
            prepare_heads(layer, int(i));
            attend(int(i));
            each_row([&](int row, int) { quantize(w_.attended, row); });
            multiply(w_.attended, {Product{&layer.o, w_.branch, size_t(spec_.hidden_size)}});
            join_and_norm(true, layer.attention_post_norm, layer.feed_forward_norm);
            feed_forward(layer);
            multiply(w_.gated, {Product{&layer.down, w_.branch, size_t(spec_.hidden_size)}});
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
            multiply_rows(w_.normed, count, {Product{&d_.weights_.head, w_.logits, stride}});
            if (spec_.final_softcap > 0.0f) {
                d_.pool_.run(count, [&](int item, int) {
                    k_.softcap(w_.logits + item * stride, spec_.final_softcap, int(stride));
                });
            }
            use(first, count, w_.logits, stride);
        }
    }

private:
    float* hidden(int row) { return w_.hidden + size_t(row) * spec_.hidden_size; }
    float* branch(int row) { return w_.branch + size_t(row) * spec_.hidden_size; }
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
        const auto unpack = k_.unpack_row[int(d_.weights_.embedding.codec)];
        each_row([&](int row, int) {
            unpack(d_.weights_.embedding, input_.tokens[size_t(row)], hidden(row));
            if (spec_.embedding_scale != 1.0f) {
                k_.scale(hidden(row), spec_.embedding_scale, spec_.hidden_size);
            }
        });
    }

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

    // Matrices that share an input may mix dense and quantised codecs, so both forms are kept.
    void quantize(const Activations& in, int row) {
        if (in.columns % kGroup == 0) k_.quantize_rows(in.from_row(row), 1, 0, in.columns / kGroup);
    }

    void norm_into(const Activations& out, int row, const float* x, const float* weight) {
        k_.rms_norm(x, weight, spec_.norm_eps, spec_.hidden_size,
                    out.values + size_t(row) * spec_.hidden_size);
    }

    void join(int row, const float* post_norm) {
        float* added = branch(row);
        if (post_norm) k_.rms_norm(added, post_norm, spec_.norm_eps, spec_.hidden_size, added);
        k_.add(hidden(row), added, spec_.hidden_size);
    }

    void join_and_norm(bool joins, const float* post_norm, const float* norm) {
        each_row([&](int row, int) {
            if (joins) join(row, post_norm);
            norm_into(w_.normed, row, hidden(row), norm);
            quantize(w_.normed, row);
        });
    }

    void final_norm(int row, int slot) {
        join(row, d_.weights_.layers.back().feed_forward_post_norm);
        norm_into(w_.normed, slot, hidden(row), d_.weights_.final_norm);
        quantize(w_.normed, slot);
    }

    void multiply(const Activations& in, std::initializer_list<Product> products) {
        multiply_rows(in, rows_, products);
    }

    // out = in x matrix for each product, all tiles of all of them in one phase.
    void multiply_rows(const Activations& in, int rows, std::initializer_list<Product> products) {
        int tiles = 0;
        for (const Product& product : products) tiles += product.matrix->tiles();
        const int size = chunk_size(tiles, d_.pool_.size(), 4, 1);
        d_.pool_.run(chunks(tiles, size), [&](int item, int) {
            int begin = item * size, end = std::min(tiles, begin + size);
            for (const Product& product : products) {
                const int here = product.matrix->tiles();
                if (begin < here && end > 0) {
                    product_tiles(product, in, rows, std::max(begin, 0), std::min(end, here));
                }
                begin -= here;
                end -= here;
            }
        });
    }

    void product_tiles(const Product& product, const Activations& in, int rows, int begin, int end) {
        for (int row = 0; row < rows; row += kMatmulRows) {
            k_.matmul[int(product.matrix->codec)](
                *product.matrix, begin, end, in.from_row(row), std::min(kMatmulRows, rows - row),
                product.out + size_t(row) * product.out_stride + size_t(begin) * kTileRows,
                product.out_stride);
        }
    }

    void project_qkv(const LayerWeights& layer) {
        float* q = w_.qkv;
        float* k = q + spec_.query_size();
        float* v = k + spec_.kv_size();
        multiply(w_.normed, {Product{&layer.q, q, qkv_stride()}, Product{&layer.k, k, qkv_stride()},
                             Product{&layer.v, v, qkv_stride()}});
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

    void rotate(float* head, const float* norm, size_t rope, int row) {
        if (norm) k_.rms_norm(head, norm, spec_.norm_eps, spec_.head_dim, head);
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
        task.window = spec_.layers[size_t(layer)].window;
        task.softcap = spec_.attention_softcap;
        task.head_dim = spec_.head_dim;
        task.keys = key_value(layer, piece.kv_head);
        task.values = task.keys + size_t(spec_.head_dim) * kPage;
        task.block_stride = block_halves();
        task.block_table = piece.run->block_table;
        task.scratch = w_.attention_scratch(thread);
        task.partials = w_.partials() + piece.partials;
        return task;
    }

    // gate and up in strips of 32 outputs, so that a strip is activated and quantised while it is
    // still in the first-level cache.
    void feed_forward(const LayerWeights& layer) {
        const int strips = chunks(spec_.feed_forward_size, kGroup);
        const int size = chunk_size(strips, d_.pool_.size(), 4, 1);
        d_.pool_.run(chunks(strips, size), [&](int item, int thread) {
            for (int row = 0; row < rows_; row += kMatmulRows) {
                const int end = std::min(strips, (item + 1) * size);
                for (int strip = item * size; strip < end; ++strip) {
                    feed_strip(layer, strip, row, std::min(kMatmulRows, rows_ - row), thread);
                }
            }
        });
    }

    void feed_strip(const LayerWeights& layer, int strip, int first_row, int rows, int thread) {
        const int begin = strip * 2, end = std::min(begin + 2, layer.gate.tiles());
        const int width = (end - begin) * kTileRows;
        float* gate = w_.gate_scratch(thread);
        float* up = gate + size_t(kMatmulRows) * kGroup;
        const Activations in = w_.normed.from_row(first_row);
        k_.matmul[int(layer.gate.codec)](layer.gate, begin, end, in, rows, gate, kGroup);
        k_.matmul[int(layer.up.codec)](layer.up, begin, end, in, rows, up, kGroup);
        const auto activate = spec_.gelu ? k_.gelu_multiply : k_.silu_multiply;
        const Activations out = w_.gated.from_row(first_row);
        for (int row = 0; row < rows; ++row) {
            float* values = gate + size_t(row) * kGroup;
            activate(values, up + size_t(row) * kGroup, width);
            std::memcpy(out.values + size_t(row) * out.columns + strip * kGroup, values,
                        size_t(width) * sizeof(float));
        }
        if (!layer.down.dense()) k_.quantize_rows(out, rows, strip, strip + 1);
    }

    Decoder& d_;
    const DecoderSpec& spec_;
    const Kernels& k_;
    Workspace& w_;
    const StepInput& input_;
    int rows_;
    std::vector<const SequenceRun*> rows_of_run_;
    AttentionPlan attention_;
};

void Decoder::step(const StepInput& input, StepOutput& output) {
    StepRun run(*this, input);
    run.forward();
    const size_t count = input.logit_rows.size(), width = size_t(output.width);
    output.results.assign(count, SampleResult{});
    output.top_ids.assign(count * width, -1);
    output.top_logprobs.assign(count * width, 0.0f);
    std::vector<int> rows(count);
    for (size_t i = 0; i < count; ++i) rows[i] = input.logit_rows[i].row;
    run.head(rows, [&](int first, int block, float* logits, size_t stride) {
        pool_.run(block, [&](int item, int thread) {
            const size_t at = size_t(first + item);
            sample({logits + size_t(item) * stride, size_t(spec_.vocab_size)},
                   input.logit_rows[at].sampling, workspace_->samplers[size_t(thread)],
                   {output.top_ids.data() + at * width, width},
                   {output.top_logprobs.data() + at * width, width}, output.results[at]);
        });
    });
}

void Decoder::forward_logits(const StepInput& input, float* logits) {
    StepRun run(*this, input);
    run.forward();
    std::vector<int> rows(input.tokens.size());
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = int(i);
    run.head(rows, [&](int first, int count, float* block, size_t stride) {
        for (int i = 0; i < count; ++i) {
            std::memcpy(logits + size_t(first + i) * size_t(spec_.vocab_size),
                        block + size_t(i) * stride, size_t(spec_.vocab_size) * sizeof(float));
        }
    });
}

}  // namespace stoker
