// A decoder-only transformer: weights, KV pool, and one call that computes a step.
//
// The shape comes as data (DecoderSpec, the twin of stoker.model.spec). One caller at a time; the
// work inside is spread over the pool. `step` trusts its input: the binding checks every index
// before the call. A row whose numbers are not finite is reported, not thrown.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "stoker/kernels.h"
#include "stoker/memory.h"
#include "stoker/sampler.h"
#include "stoker/thread_pool.h"

namespace stoker {

struct RopeSpec {
    bool pairs = false;  // rotate (2i, 2i + 1) instead of (i, i + dim / 2)
    int dim = 0;
    std::vector<float> inverse_frequencies;
    float attention_factor = 1.0f;
    bool operator==(const RopeSpec&) const = default;
};

struct ExpertSpec {
    int count = 0;  // 0: a dense feed-forward
    int used = 0;
    int size = 0;
    bool normalised = false;
    bool router_bias = false;
    int shared_size = 0;  // 0: no shared expert
};

struct LayerSpec {
    RopeSpec rope;   // dim 0: none
    int window = 0;  // 0: unlimited
    ExpertSpec experts;
};

enum class QkNorm { None, Head, Whole };

struct DecoderSpec {
    int vocab_size = 0;
    int hidden_size = 0;
    int feed_forward_size = 0;
    int num_heads = 0;
    int num_kv_heads = 0;
    int head_dim = 0;
    std::vector<LayerSpec> layers;
    int learned_positions = 0;  // rows of their table; 0: none
    bool layer_norm = false;    // instead of RMS
    float norm_eps = 0.0f;
    float norm_offset = 0.0f;
    bool norm_bias = false;
    bool pre_norms = true;
    bool post_norms = false;
    bool parallel = false;
    float attention_scale = 0.0f;
    bool qkv_bias = false;
    bool output_bias = false;
    QkNorm qk_norm = QkNorm::None;
    bool attention_sinks = false;
    float attention_softcap = 0.0f;
    Activation activation = Activation::Silu;
    bool gated = true;
    bool feed_forward_bias = false;
    float embedding_scale = 1.0f;
    float residual_scale = 1.0f;
    float logit_scale = 1.0f;
    float final_softcap = 0.0f;
    bool tied_head = false;
    bool causal = true;           // false: every position sees all of its sequence
    bool residual_norms = false;  // what a norm of the stream gives takes the stream's place
    int token_types = 0;          // rows of their table; 0: none
    int labels = 0;               // of the classification head; 0: none

    int query_size() const { return num_heads * head_dim; }
    int kv_size() const { return num_kv_heads * head_dim; }
    int heads_per_kv() const { return num_heads / num_kv_heads; }
};

inline constexpr int kNoSecondPart = std::numeric_limits<int>::max();

class Adapter;

// A run of consecutive positions of one sequence. Without causality it is the whole sequence.
struct SequenceRun {
    int first_row;        // rows [first_row, first_row + count) of the step
    int first_position;
    int count;
    const int32_t* block_table;  // one block per kPage positions, covering all of the run
    int second_part = kNoSecondPart;  // tokens from this position on have type 1, those before it 0
    const Adapter* adapter = nullptr;
};

// A row whose logits are wanted. `row` is its index in the step.
struct LogitRow {
    int row;
    SamplingRow sampling;
};

// Which row or rows of a run its result is made of; see stoker.core.pooling.
enum class Pooling : int32_t { None, First, Last, Mean, Labels };
inline constexpr int kPoolings = 5;

struct StepInput {
    std::span<const int32_t> tokens;
    std::vector<SequenceRun> runs;
    std::vector<LogitRow> logit_rows;  // each row at most once, in ascending order
    // Called between the forward pass and sampling: masks may be filled until it returns. May throw.
    std::function<void()> before_sampling;
};

// Per logit row, with `width` alternatives each (unused ones have id -1).
struct StepOutput {
    int width = 0;
    std::vector<SampleResult> results;
    std::vector<int32_t> top_ids;
    std::vector<float> top_logprobs;
};

struct Norm {
    const float* weight = nullptr;  // null: no norm
    const float* bias = nullptr;    // null: none
};

// One feed-forward, or those of all experts: `gate` of the second follows that of the first.
struct FeedForwardWeights {
    PackedMatrix gate, up, down;
    const float* gate_bias = nullptr;
    const float* up_bias = nullptr;
    const float* down_bias = nullptr;
};

struct LayerWeights {
    PackedMatrix q, k, v, o, router;
    FeedForwardWeights dense, experts, shared;
    Norm attention_norm, feed_forward_norm, attention_post_norm, feed_forward_post_norm, q_norm, k_norm;
    const float* q_bias = nullptr;
    const float* k_bias = nullptr;
    const float* v_bias = nullptr;
    const float* o_bias = nullptr;
    const float* sinks = nullptr;
    const float* router_bias = nullptr;
    const float* shared_router = nullptr;
};

struct DecoderWeights {
    PackedMatrix embedding;
    PackedMatrix positions;
    PackedMatrix token_types;
    PackedMatrix head;  // the embedding again when tied
    Norm final_norm;
    std::vector<LayerWeights> layers;
    PackedMatrix pooler, classifier;  // of a model with labels
    const float* pooler_bias = nullptr;
    const float* classifier_bias = nullptr;
};

class Workspace;

class Decoder {
public:
    // Throws std::invalid_argument for a shape the kernels cannot run, naming it.
    Decoder(DecoderSpec spec, const Kernels& kernels, int threads);
    ~Decoder();

    const DecoderSpec& spec() const { return spec_; }
    const Kernels& kernels() const { return kernels_; }
    ThreadPool& pool() { return pool_; }
    size_t weight_bytes() const { return arena_.allocated(); }
    size_t kv_bytes_per_block() const;

    // Packs one tensor, named as in stoker.model.spec. The source is only read during the call.
    // Throws std::invalid_argument for an unknown name, a wrong shape or a wrong size.
    void set_tensor(const std::string& name, TensorType type, int rows, int columns,
                    std::span<const uint8_t> source);
    // Throws std::invalid_argument naming the first tensor that is still missing.
    void finish();
    bool finished() const { return finished_; }

    // A new pool. What the one before held goes back to the system, and so does the scratch of steps.
    void allocate_kv(int num_blocks);
    int num_blocks() const { return num_blocks_; }
    void copy_block(int source, int target);
    // Overwrites a block with NaN, so that a stale read shows. For tests.
    void poison_block(int block);

    void step(const StepInput& input, StepOutput& output);
    // A step whose results are hidden states, not tokens: for each run, `width` floats of `out` after
    // the final norm. What Labels leaves of them is zero; None leaves all of them as they are.
    void pool_step(const StepInput& input, std::span<const Pooling> poolings, float* out);
    int pooled_width() const { return std::max(spec_.hidden_size, spec_.labels); }
    // Logits of every row, [rows][vocab_size], without sampling. For tests and perplexity.
    void forward_logits(const StepInput& input, float* logits);

private:
    friend class StepRun;

    void register_names();
    void name_matrix(const std::string& name, PackedMatrix& matrix, int rows, int columns);
    void name_vector(const std::string& name, const float*& vector, int size);
    void name_norm(const std::string& name, Norm& norm, int size);
    void name_attention(const std::string& at, LayerWeights& layer);
    void name_feed_forward(const std::string& at, FeedForwardWeights& weights, int count, int size);
    void name_layer(const std::string& at, const LayerSpec& spec, LayerWeights& layer);
    void name_labels();

    DecoderSpec spec_;
    const Kernels& kernels_;
    ThreadPool pool_;
    Arena arena_;
    DecoderWeights weights_;
    struct MatrixSlot { PackedMatrix* matrix; int rows; int columns; };
    struct VectorSlot { const float** vector; int size; bool norm; };
    std::unordered_map<std::string, MatrixSlot> matrix_slots_;
    std::unordered_map<std::string, VectorSlot> vector_slots_;
    std::vector<RopeSpec> ropes_;   // distinct ones
    std::vector<int> layer_rope_;   // index into ropes_
    Mapping kv_;
    int num_blocks_ = 0;
    bool finished_ = false;
    std::unique_ptr<Workspace> workspace_;
};

}  // namespace stoker
