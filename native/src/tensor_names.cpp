// The canonical names of stoker.model.tensors, with their shapes and where each tensor goes.
#include "stoker/decoder.h"

namespace stoker {

void Decoder::name_matrix(const std::string& name, PackedMatrix& matrix, int rows, int columns) {
    matrix_slots_[name] = {&matrix, rows, columns};
}

void Decoder::name_vector(const std::string& name, const float*& vector, int size) {
    vector_slots_[name] = {&vector, size, false};
}

void Decoder::name_norm(const std::string& name, Norm& norm, int size) {
    vector_slots_[name] = {&norm.weight, size, true};
    if (spec_.norm_bias) name_vector(name + "_bias", norm.bias, size);
}

void Decoder::name_attention(const std::string& at, LayerWeights& layer) {
    const int hidden = spec_.hidden_size, queries = spec_.query_size(), keys = spec_.kv_size();
    name_matrix(at + "q", layer.q, queries, hidden);
    name_matrix(at + "k", layer.k, keys, hidden);
    name_matrix(at + "v", layer.v, keys, hidden);
    name_matrix(at + "o", layer.o, hidden, queries);
    if (spec_.qkv_bias) {
        name_vector(at + "q_bias", layer.q_bias, queries);
        name_vector(at + "k_bias", layer.k_bias, keys);
        name_vector(at + "v_bias", layer.v_bias, keys);
    }
    if (spec_.output_bias) name_vector(at + "o_bias", layer.o_bias, hidden);
    if (spec_.qk_norm != QkNorm::None) {
        const bool whole = spec_.qk_norm == QkNorm::Whole;
        name_norm(at + "q_norm", layer.q_norm, whole ? queries : spec_.head_dim);
        name_norm(at + "k_norm", layer.k_norm, whole ? keys : spec_.head_dim);
    }
    if (spec_.attention_sinks) name_vector(at + "sinks", layer.sinks, spec_.num_heads);
}

void Decoder::name_feed_forward(const std::string& at, FeedForwardWeights& weights, int count, int size) {
    const int hidden = spec_.hidden_size;
    if (spec_.gated) name_matrix(at + "gate", weights.gate, count * size, hidden);
    name_matrix(at + "up", weights.up, count * size, hidden);
    name_matrix(at + "down", weights.down, count * hidden, size);
    if (!spec_.feed_forward_bias) return;
    if (spec_.gated) name_vector(at + "gate_bias", weights.gate_bias, count * size);
    name_vector(at + "up_bias", weights.up_bias, count * size);
    name_vector(at + "down_bias", weights.down_bias, count * hidden);
}

void Decoder::name_layer(const std::string& at, const LayerSpec& spec, LayerWeights& layer) {
    const int hidden = spec_.hidden_size;
    if (spec_.pre_norms) {
        name_norm(at + "attention_norm", layer.attention_norm, hidden);
        name_norm(at + "feed_forward_norm", layer.feed_forward_norm, hidden);
    }
    if (spec_.post_norms) {
        name_norm(at + "attention_post_norm", layer.attention_post_norm, hidden);
        name_norm(at + "feed_forward_post_norm", layer.feed_forward_post_norm, hidden);
    }
    name_attention(at, layer);
    const ExpertSpec& experts = spec.experts;
    if (experts.count == 0) {
        name_feed_forward(at, layer.dense, 1, spec_.feed_forward_size);
        return;
    }
    name_matrix(at + "router", layer.router, experts.count, hidden);
    if (experts.router_bias) name_vector(at + "router_bias", layer.router_bias, experts.count);
    name_feed_forward(at + "experts_", layer.experts, experts.count, experts.size);
    if (experts.shared_size == 0) return;
    name_feed_forward(at + "shared_", layer.shared, 1, experts.shared_size);
    name_vector(at + "shared_router", layer.shared_router, hidden);
}

void Decoder::name_labels() {
    const int hidden = spec_.hidden_size;
    name_matrix("pooler", weights_.pooler, hidden, hidden);
    name_vector("pooler_bias", weights_.pooler_bias, hidden);
    name_matrix("classifier", weights_.classifier, spec_.labels, hidden);
    name_vector("classifier_bias", weights_.classifier_bias, spec_.labels);
}

void Decoder::register_names() {
    const int hidden = spec_.hidden_size;
    name_matrix("embedding", weights_.embedding, spec_.vocab_size, hidden);
    if (spec_.learned_positions) {
        name_matrix("positions", weights_.positions, spec_.learned_positions, hidden);
    }
    if (spec_.token_types > 0) name_matrix("types", weights_.token_types, spec_.token_types, hidden);
    if (spec_.labels > 0) name_labels();
    if (!spec_.tied_head) name_matrix("head", weights_.head, spec_.vocab_size, hidden);
    name_norm("final_norm", weights_.final_norm, hidden);
    for (size_t i = 0; i < weights_.layers.size(); ++i) {
        name_layer("layers." + std::to_string(i) + ".", spec_.layers[i], weights_.layers[i]);
    }
}

}  // namespace stoker
