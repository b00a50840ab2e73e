"""Granite 3: llama with four factors, on embeddings, attention, residuals and logits."""

from __future__ import annotations

from msgspec.structs import replace

from stoker.model.families.family import GGUF_NAMES, HUGGING_FACE_NAMES, Family, GgufModel
from stoker.model.families.llama import plain_config, plain_gguf
from stoker.model.fields import Fields
from stoker.model.spec import DecoderSpec, RopeStyle


def _from_gguf(model: GgufModel) -> DecoderSpec:
    fields = model.fields
    spec = plain_gguf(model, "granite", RopeStyle.PAIRS)
    return replace(
        spec,
        attention_scale=fields.number("attention.scale", spec.attention_scale),
        embedding_scale=fields.number("embedding_scale", 1.0),
        residual_scale=fields.number("residual_scale", 1.0),
        logit_scale=1 / fields.number("logit_scale", 1.0),
    )


def _from_config(config: Fields) -> DecoderSpec:
    bias = config.flag("attention_bias", False)
    return replace(
        plain_config(config, None, qkv_bias=bias),
        output_bias=bias,
        feed_forward_bias=config.flag("mlp_bias", False),
        attention_scale=config.number("attention_multiplier", 1.0),
        embedding_scale=config.number("embedding_multiplier", 1.0),
        residual_scale=config.number("residual_multiplier", 1.0),
        logit_scale=1 / config.number("logits_scaling", 1.0),
    )


GRANITE = Family("granite", _from_gguf, _from_config, GGUF_NAMES, HUGGING_FACE_NAMES)
