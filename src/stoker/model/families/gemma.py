"""Gemma 3 (text): norms before and after each branch, and windows in five layers of six."""

from __future__ import annotations

from stoker.model.families import rope
from stoker.model.families.family import GGUF_NAMES, HUGGING_FACE_NAMES, Family, GgufModel
from stoker.model.fields import Fields
from stoker.model.spec import Activation, DecoderSpec, LayerSpec, RopeSpec, RopeStyle

LOCAL_BASE = 10_000.0
PATTERN = 6
"""Every sixth layer sees everything; the others see a window and use the local rope base."""

_NAMES = HUGGING_FACE_NAMES | {
    "attention_post_norm": "model.layers.{i}.post_attention_layernorm.weight",
    "feed_forward_norm": "model.layers.{i}.pre_feedforward_layernorm.weight",
    "feed_forward_post_norm": "model.layers.{i}.post_feedforward_layernorm.weight",
}


def _layers(
    count: int, everywhere: RopeSpec, nearby: RopeSpec, window: int, pattern: int
) -> tuple[LayerSpec, ...]:
    full = LayerSpec(rope=everywhere)
    local = LayerSpec(rope=nearby, window=window)
    return tuple(full if (i + 1) % pattern == 0 else local for i in range(count))


def _from_gguf(model: GgufModel) -> DecoderSpec:
    fields = model.fields
    hidden = fields.integer("embedding_length")
    heads = fields.integer("attention.head_count")
    dim = fields.integer("attention.key_length", 256)
    base = fields.number("rope.freq_base", 1_000_000.0)
    local = rope.rope(RopeStyle.HALVES, dim, rope.frequencies(LOCAL_BASE, dim))
    return DecoderSpec(
        family="gemma3",
        vocab_size=model.vocab_size,
        hidden_size=hidden,
        feed_forward_size=fields.integer("feed_forward_length"),
        num_heads=heads,
        num_kv_heads=fields.integer("attention.head_count_kv", heads),
        head_dim=dim,
        layers=_layers(
            fields.integer("block_count", most=1024),
            rope.from_gguf(fields, RopeStyle.HALVES, dim, base, model.rope_factors),
            local,
            fields.integer("attention.sliding_window", 1024),
            PATTERN,
        ),
        max_context=fields.integer("context_length"),
        norm_eps=fields.number("attention.layer_norm_rms_epsilon"),
        # Files do not state it; every released size but the 27B scales by its head size.
        attention_scale=dim**-0.5,
        qk_norm=True,
        post_norms=True,
        activation=Activation.GELU_TANH,
        embedding_scale=hidden**0.5,
        tied_head=model.tied,
    )


def _from_config(config: Fields) -> DecoderSpec:
    hidden = config.integer("hidden_size")
    dim = config.integer("head_dim", 256)
    local_base = config.number("rope_local_base_freq", LOCAL_BASE)
    base = config.number("rope_theta", 1_000_000.0)
    return DecoderSpec(
        family="gemma3",
        vocab_size=config.integer("vocab_size"),
        hidden_size=hidden,
        feed_forward_size=config.integer("intermediate_size"),
        num_heads=config.integer("num_attention_heads"),
        num_kv_heads=config.integer("num_key_value_heads"),
        head_dim=dim,
        layers=_layers(
            config.integer("num_hidden_layers", most=1024),
            rope.from_config(config, RopeStyle.HALVES, dim, base),
            rope.rope(RopeStyle.HALVES, dim, rope.frequencies(local_base, dim)),
            config.integer("sliding_window", 512),
            config.integer("sliding_window_pattern", PATTERN),
        ),
        max_context=config.integer("max_position_embeddings"),
        norm_eps=config.number("rms_norm_eps", 1e-6),
        norm_offset=1.0,
        attention_scale=config.number("query_pre_attn_scalar", float(dim)) ** -0.5,
        qk_norm=True,
        post_norms=True,
        activation=Activation.GELU_TANH,
        embedding_scale=hidden**0.5,
        tied_head=config.flag("tie_word_embeddings", True),
    )


GEMMA3 = Family("gemma3", _from_gguf, _from_config, GGUF_NAMES, _NAMES)
GEMMA3_TEXT = Family("gemma3_text", _from_gguf, _from_config, GGUF_NAMES, _NAMES)
