// Scratch memory of a step. Grown to the largest step seen; pages are touched only when used.
#pragma once

#include <algorithm>

#include "stoker/decoder.h"

namespace stoker {

// Of a layer's experts. A slot is one row of the step at one of its experts; slots are sorted by
// expert, so that an expert's are consecutive.
struct MixtureScratch {
    float* scores = nullptr;    // [rows][experts rounded up to a tile]
    float* weights = nullptr;   // [rows][used]
    int32_t* chosen = nullptr;  // [rows][used]: experts
    int32_t* slots = nullptr;   // [rows][used]
    Activations gathered;       // of each slot: its row of the input
    Activations gated;
    float* out = nullptr;       // [slots][hidden_size]
    Activations shared_gated;
    float* shared_out = nullptr;  // [rows][hidden_size]
};

class Workspace {
public:
    Workspace(const DecoderSpec& spec, int threads) : spec_(spec) {
        attention_bytes_ = attention_scratch_floats(spec.head_dim) * sizeof(float);
        thread_bytes_ = round(attention_bytes_) + kGuard + kStripBytes + kGuard;
        per_thread_ = Mapping(thread_bytes_ * size_t(threads), Mapping::Pages::Normal);
        for (int thread = 0; thread < threads; ++thread) {
            const size_t piece = thread_bytes_ * size_t(thread);
            per_thread_.guard(piece + attention_bytes_, round(attention_bytes_) + kGuard - attention_bytes_);
            per_thread_.guard(piece + thread_bytes_ - kGuard, kGuard);
        }
        for (const LayerSpec& layer : spec.layers) {
            experts_.count = std::max(experts_.count, layer.experts.count);
            experts_.used = std::max(experts_.used, layer.experts.used);
            experts_.size = std::max(experts_.size, layer.experts.size);
            experts_.shared_size = std::max(experts_.shared_size, layer.experts.shared_size);
        }
        samplers.resize(size_t(threads));
        reserve(64);
    }

    // Makes room for `rows` rows; contents are lost when it grows.
    void reserve(int rows) {
        if (rows <= rows_) return;
        rows_ = std::max(rows, rows_ * 2);
        const size_t hidden = size_t(spec_.hidden_size);
        size_t offset = 0;
        layout(nullptr, offset, hidden);
        memory_ = Mapping(offset, Mapping::Pages::Huge);
        offset = 0;
        layout(memory_.data(), offset, hidden);
    }

    void reserve_partials(size_t floats) {
        if (floats * sizeof(float) > partials_.size()) {
            partials_ = Mapping(floats * sizeof(float) * 2, Mapping::Pages::Normal);
        }
    }

    void reserve_low_rank(size_t floats) {
        if (floats * sizeof(float) > low_rank_.size()) {
            low_rank_ = Mapping(floats * sizeof(float), Mapping::Pages::Normal);
        }
    }

    float* low_rank() const { return reinterpret_cast<float*>(low_rank_.data()); }
    float* partials() const { return reinterpret_cast<float*>(partials_.data()); }
    float* attention_scratch(int thread) const {
        return reinterpret_cast<float*>(per_thread_.data() + thread_bytes_ * size_t(thread));
    }
    // [2][kMatmulRows][kGroup] floats: a strip of gate and of up.
    float* gate_scratch(int thread) {
        return attention_scratch(thread) + (round(attention_bytes_) + kGuard) / sizeof(float);
    }
    // [kMatmulRows][kGroup] floats: a strip to be added to another.
    float* strip_scratch(int thread) { return gate_scratch(thread) + size_t(2 * kMatmulRows) * kGroup; }

    float* hidden = nullptr;    // [rows][hidden_size]: the residual stream
    float* branch = nullptr;    // [rows][hidden_size]: output of attention or feed-forward
    float* parallel_branch = nullptr;  // likewise, of a feed-forward beside attention
    float* qkv = nullptr;       // [rows][query_size + 2 * kv_size]
    float* cosine = nullptr;    // [ropes][rows][head_dim / 2]
    float* sine = nullptr;
    float* logits = nullptr;    // [kMatmulRows][vocabulary rounded up to a tile]
    Activations normed;         // input of q, k, v and of gate, up
    Activations attended;       // input of o
    Activations gated;          // input of down
    MixtureScratch mixture;
    std::vector<SampleScratch> samplers;

    static constexpr int kMaxRopes = 4;

private:
    static constexpr size_t kStripBytes = size_t(kMatmulRows) * 3 * kGroup * sizeof(float);
    static constexpr size_t round(size_t bytes) { return (bytes + 63) / 64 * 64; }

    template <class T>
    T* take(uint8_t* base, size_t& offset, size_t count) {
        T* piece = base ? reinterpret_cast<T*>(base + offset) : nullptr;
        const size_t bytes = count * sizeof(T), rounded = round(bytes);
        if (base) memory_.guard(offset + bytes, rounded + kGuard - bytes);
        offset += rounded + kGuard;
        return piece;
    }

    Activations take_activations(uint8_t* base, size_t& offset, int columns, int rows_each) {
        const size_t rows = size_t(rows_) * size_t(rows_each), k = size_t(columns);
        Activations a;
        a.values = take<float>(base, offset, rows * k);
        a.quants = take<int8_t>(base, offset, rows * k);
        a.scales = take<float>(base, offset, rows * (k / kGroup));
        a.scaled_sums = take<float>(base, offset, rows * (k / kGroup));
        a.sums = take<int32_t>(base, offset, rows * (k / 16));
        a.columns = columns;
        return a;
    }

    void layout_mixture(uint8_t* base, size_t& offset) {
        const size_t rows = size_t(rows_), slots = rows * size_t(experts_.used);
        mixture.scores = take<float>(base, offset, rows * size_t((experts_.count + 15) / 16 * 16));
        mixture.weights = take<float>(base, offset, slots);
        mixture.chosen = take<int32_t>(base, offset, slots);
        mixture.slots = take<int32_t>(base, offset, slots);
        mixture.gathered = take_activations(base, offset, spec_.hidden_size, experts_.used);
        mixture.gated = take_activations(base, offset, experts_.size, experts_.used);
        mixture.out = take<float>(base, offset, slots * size_t(spec_.hidden_size));
        if (experts_.shared_size == 0) return;
        mixture.shared_gated = take_activations(base, offset, experts_.shared_size, 1);
        mixture.shared_out = take<float>(base, offset, rows * size_t(spec_.hidden_size));
    }

    void layout(uint8_t* base, size_t& offset, size_t hidden_size) {
        const size_t rows = size_t(rows_);
        hidden = take<float>(base, offset, rows * hidden_size);
        branch = take<float>(base, offset, rows * hidden_size);
        qkv = take<float>(base, offset, rows * size_t(spec_.query_size() + 2 * spec_.kv_size()));
        cosine = take<float>(base, offset, kMaxRopes * rows * size_t(spec_.head_dim / 2));
        sine = take<float>(base, offset, kMaxRopes * rows * size_t(spec_.head_dim / 2));
        logits = take<float>(base, offset, size_t(kMatmulRows) * size_t((spec_.vocab_size + 15) / 16 * 16));
        normed = take_activations(base, offset, spec_.hidden_size, 1);
        attended = take_activations(base, offset, spec_.query_size(), 1);
        gated = take_activations(base, offset, spec_.feed_forward_size, 1);
        if (spec_.parallel) parallel_branch = take<float>(base, offset, rows * hidden_size);
        if (experts_.count > 0) layout_mixture(base, offset);
    }

    const DecoderSpec& spec_;
    ExpertSpec experts_;  // the largest of any layer
    int rows_ = 0;
    size_t attention_bytes_ = 0;
    size_t thread_bytes_ = 0;
    Mapping memory_;
    Mapping per_thread_;
    Mapping partials_;
    Mapping low_rank_;  // what adapters make of rows, before it is widened
};

}  // namespace stoker
