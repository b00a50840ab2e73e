"""Gemma 3 (text): norms before and after each branch, and windows in five layers of six."""

from __future__ import annotations

from stoker.model.families import rope
from stoker.model.families.family import GGUF_NAMES, HUGGING_FACE_NAMES, Family, GgufModel
from stoker.model.families.naming import whole
from stoker.model.fields import Fields
from stoker.model.spec import Activation, DecoderSpec, LayerSpec, QkNorm, RopeSpec, RopeStyle

LOCAL_BASE = 10_000.0
MAX_LAYERS = 1024
MAX_CONTEXT = 131_072
PATTERN = 6
"""Every sixth layer sees everything; the others see a window and use the local rope base."""

GEMMA_NAMES = HUGGING_FACE_NAMES | whole(
    attention_post_norm="model.layers.{i}.post_attention_layernorm.weight",
    feed_forward_norm="model.layers.{i}.pre_feedforward_layernorm.weight",
    feed_forward_post_norm="model.layers.{i}.post_feedforward_layernorm.weight",
)


BIG_LAYERS = 62
"""Layers of the 27B model, the only released one whose attention is not scaled by its head size."""


def _layers(
    sees_all: list[bool], everywhere: RopeSpec, nearby: RopeSpec, window: int
) -> tuple[LayerSpec, ...]:
    full = LayerSpec(rope=everywhere)
    local = LayerSpec(rope=nearby, window=window)
    return tuple(full if everything else local for everything in sees_all)


def every(pattern: int, count: int) -> list[bool]:
    """Which layers see everything."""
    return [(i + 1) % pattern == 0 for i in range(count)]


def _from_gguf(model: GgufModel) -> DecoderSpec:
    fields = model.fields
    hidden = fields.integer("embedding_length")
    heads = fields.integer("attention.head_count")
    dim = fields.integer("attention.key_length", 256, most=rope.MAX_HEAD)
    rope.dimensions(fields, "attention.key_length", dim)
    count = fields.integer("block_count", most=MAX_LAYERS)
    base = rope.base_of(fields, "rope.freq_base", 1_000_000.0)
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
            every(PATTERN, count),
            rope.from_gguf(fields, RopeStyle.HALVES, dim, base, model.rope_factors),
            local,
            fields.integer("attention.sliding_window", 1024),
        ),
        max_context=fields.integer("context_length"),
        norm_eps=fields.number("attention.layer_norm_rms_epsilon"),
        # Files do not state the scale.
        attention_scale=(hidden / heads if count == BIG_LAYERS else dim) ** -0.5,
        qk_norm=QkNorm.HEAD,
        post_norms=True,
        activation=Activation.GELU_TANH,
        embedding_scale=hidden**0.5,
        tied_head=model.tied,
    )


def _from_config(config: Fields) -> DecoderSpec:
    """Published files leave out what equals the family's defaults."""
    hidden = config.integer("hidden_size", 2304)
    dim = config.integer("head_dim", 256, most=rope.MAX_HEAD)
    rope.dimensions(config, "head_dim", dim)
    everywhere, nearby = _ropes(config, dim)
    return DecoderSpec(
        family="gemma3",
        vocab_size=config.integer("vocab_size", 262_208),
        hidden_size=hidden,
        feed_forward_size=config.integer("intermediate_size", 9216),
        num_heads=config.integer("num_attention_heads", 8),
        num_kv_heads=config.integer("num_key_value_heads", 4),
        head_dim=dim,
        layers=_layers(
            _sees_all(config),
            everywhere,
            nearby,
            config.integer("sliding_window", 4096),
        ),
        max_context=config.integer("max_position_embeddings", MAX_CONTEXT),
        norm_eps=config.number("rms_norm_eps", 1e-6),
        norm_offset=1.0,
        attention_scale=config.number("query_pre_attn_scalar", 256.0) ** -0.5,
        qk_norm=QkNorm.HEAD,
        post_norms=True,
        activation=Activation.GELU_TANH,
        embedding_scale=hidden**0.5,
        tied_head=config.flag("tie_word_embeddings", True),
    )


def _sees_all(config: Fields) -> list[bool]:
    count = config.integer("num_hidden_layers", 26, most=MAX_LAYERS)
    if not config.has("layer_types"):
        return every(config.integer("sliding_window_pattern", PATTERN), count)
    kinds = config.texts("layer_types", [])
    if len(kinds) != count or not set(kinds) <= {"full_attention", "sliding_attention"}:
        raise config.fail("layer_types", "does not name one known kind for each layer")
    return [kind == "full_attention" for kind in kinds]


def _ropes(config: Fields, dim: int) -> tuple[RopeSpec, RopeSpec]:
    """Of the layers that see everything, and of the others; only the former are ever scaled."""
    newer = config.section("rope_parameters")
    full = newer.section("full_attention") if newer else None
    sliding = newer.section("sliding_attention") if newer else None
    base = rope.base_of(full or config, "rope_theta", 1_000_000.0)
    local_base = (
        rope.base_of(sliding, "rope_theta", LOCAL_BASE)
        if sliding
        else rope.base_of(config, "rope_local_base_freq", LOCAL_BASE)
    )
    nearby = rope.rope(RopeStyle.HALVES, dim, rope.frequencies(local_base, dim))
    scaling = full or config.section("rope_scaling") or newer
    if scaling is None:
        return rope.rope(RopeStyle.HALVES, dim, rope.frequencies(base, dim)), nearby
    context = config.integer("max_position_embeddings", MAX_CONTEXT)
    return rope.from_scaling(scaling, RopeStyle.HALVES, dim, base, context), nearby


GEMMA3 = Family("gemma3", _from_gguf, _from_config, GGUF_NAMES, GEMMA_NAMES)
GEMMA3_TEXT = Family("gemma3_text", _from_gguf, _from_config, GGUF_NAMES, GEMMA_NAMES, "gemma3")
