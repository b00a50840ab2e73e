"""Llama 2 and 3, SmolLM2 and Mistral: the plain pre-norm decoder with grouped-query attention."""

from __future__ import annotations

from msgspec.structs import replace

from stoker.model.families import mixture, rope
from stoker.model.families.family import GGUF_NAMES, HUGGING_FACE_NAMES, Family, GgufModel
from stoker.model.fields import Fields
from stoker.model.spec import DecoderSpec, LayerSpec, QkNorm, RopeStyle

MAX_LAYERS = 1024


def plain_gguf(
    model: GgufModel,
    family: str,
    style: RopeStyle,
    *,
    qkv_bias: bool = False,
    qk_norm: QkNorm | None = None,
    eps: str = "attention.layer_norm_rms_epsilon",
) -> DecoderSpec:
    """The fields that llama, qwen2, qwen3 and many other files share."""
    fields = model.fields
    hidden = fields.integer("embedding_length")
    heads = fields.integer("attention.head_count")
    head_dim = fields.integer("attention.key_length", hidden // heads or 1, most=rope.MAX_HEAD)
    base = rope.base_of(fields, "rope.freq_base", 10_000.0)
    dim = rope.dimensions(fields, "rope.dimension_count", head_dim)
    layer = LayerSpec(
        rope=rope.from_gguf(fields, style, dim, base, model.rope_factors),
        window=fields.integer("attention.sliding_window")
        if fields.has("attention.sliding_window")
        else None,
    )
    return DecoderSpec(
        family=family,
        vocab_size=model.vocab_size,
        hidden_size=hidden,
        feed_forward_size=fields.integer("feed_forward_length"),
        num_heads=heads,
        num_kv_heads=fields.integer("attention.head_count_kv", heads),
        head_dim=head_dim,
        layers=(layer,) * fields.integer("block_count", most=MAX_LAYERS),
        max_context=fields.integer("context_length"),
        norm_eps=fields.number(eps),
        attention_scale=head_dim**-0.5,
        tied_head=model.tied,
        qkv_bias=qkv_bias,
        qk_norm=qk_norm,
    )


def plain_config(
    config: Fields,
    window: int | None,
    *,
    qkv_bias: bool = False,
    qk_norm: QkNorm | None = None,
    eps: str = "rms_norm_eps",
    rotary: str = "partial_rotary_factor",
) -> DecoderSpec:
    """The fields that llama, mistral, qwen2, qwen3 and many other configs share."""
    hidden = config.integer("hidden_size")
    heads = config.integer("num_attention_heads")
    head_dim = config.integer("head_dim", hidden // heads or 1, most=rope.MAX_HEAD)
    base = rope.config_base(config, 10_000.0)
    dim = rope.config_dimensions(config, rotary, head_dim)
    layer = LayerSpec(rope=rope.from_config(config, RopeStyle.HALVES, dim, base), window=window)
    return DecoderSpec(
        family=config.text("model_type"),
        vocab_size=config.integer("vocab_size"),
        hidden_size=hidden,
        feed_forward_size=config.integer("intermediate_size"),
        num_heads=heads,
        num_kv_heads=config.integer("num_key_value_heads", heads),
        head_dim=head_dim,
        layers=(layer,) * config.integer("num_hidden_layers", most=MAX_LAYERS),
        max_context=config.integer("max_position_embeddings"),
        norm_eps=config.number(eps, 1e-6),
        attention_scale=head_dim**-0.5,
        tied_head=config.flag("tie_word_embeddings", False),
        qkv_bias=qkv_bias,
        qk_norm=qk_norm,
    )


def config_window(config: Fields) -> int | None:
    return config.integer("sliding_window") if config.has("sliding_window") else None


def _from_gguf(model: GgufModel) -> DecoderSpec:
    """Mixtral's files are llama's with experts."""
    spec = plain_gguf(model, "llama", RopeStyle.PAIRS)
    experts = mixture.from_gguf(model.fields, normalised=True)
    return mixture.in_layers(spec, experts) if experts else spec


def _from_config(config: Fields) -> DecoderSpec:
    bias = config.flag("attention_bias", False)
    spec = plain_config(config, config_window(config), qkv_bias=bias)
    return replace(spec, output_bias=bias, feed_forward_bias=config.flag("mlp_bias", False))


LLAMA = Family("llama", _from_gguf, _from_config, GGUF_NAMES, HUGGING_FACE_NAMES)
MISTRAL = Family("mistral", _from_gguf, _from_config, GGUF_NAMES, HUGGING_FACE_NAMES, "llama")
