"""Gemma 2: norms before and after each branch, soft caps, and a window in every other layer."""

from __future__ import annotations

from msgspec.structs import replace

from stoker.model.families.family import GGUF_NAMES, Family, GgufModel
from stoker.model.families.gemma import GEMMA_NAMES
from stoker.model.families.llama import plain_config, plain_gguf
from stoker.model.fields import Fields
from stoker.model.spec import Activation, DecoderSpec, RopeStyle

BIG_LAYERS = 46
"""Layers of the 27B model, the only one whose attention is not scaled by its head size."""


def _shaped(spec: DecoderSpec, window: int) -> DecoderSpec:
    """The first layer has a window, the second none, and so on."""
    layers = (
        replace(layer, window=None if i % 2 else window) for i, layer in enumerate(spec.layers)
    )
    return replace(
        spec,
        family="gemma2",
        layers=tuple(layers),
        post_norms=True,
        activation=Activation.GELU_TANH,
        embedding_scale=spec.hidden_size**0.5,
    )


def _cap(fields: Fields, key: str) -> float | None:
    return fields.number(key) if fields.has(key) else None


def _from_gguf(model: GgufModel) -> DecoderSpec:
    fields = model.fields
    spec = plain_gguf(model, "gemma2", RopeStyle.HALVES)
    big = spec.num_layers == BIG_LAYERS
    return replace(
        _shaped(spec, fields.integer("attention.sliding_window", 4096)),
        attention_scale=(spec.hidden_size / spec.num_heads if big else spec.head_dim) ** -0.5,
        attention_softcap=fields.number("attn_logit_softcapping", 50.0),
        final_softcap=fields.number("final_logit_softcapping", 30.0),
    )


def _from_config(config: Fields) -> DecoderSpec:
    spec = plain_config(config, None)
    return replace(
        _shaped(spec, config.integer("sliding_window", 4096)),
        norm_offset=1.0,
        attention_scale=config.number("query_pre_attn_scalar", 256.0) ** -0.5,
        attention_softcap=_cap(config, "attn_logit_softcapping"),
        final_softcap=_cap(config, "final_logit_softcapping"),
        tied_head=config.flag("tie_word_embeddings", True),
    )


GEMMA2 = Family("gemma2", _from_gguf, _from_config, GGUF_NAMES, GEMMA_NAMES)
