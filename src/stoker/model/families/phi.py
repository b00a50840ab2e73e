"""Phi-3 and Phi-4: llama with q, k and v in one tensor, gate and up in another."""

from __future__ import annotations

from msgspec.structs import replace

from stoker.model.families.family import GGUF_NAMES, HUGGING_FACE_NAMES, Family, GgufModel
from stoker.model.families.llama import config_window, plain_config, plain_gguf
from stoker.model.families.naming import fused
from stoker.model.fields import Fields
from stoker.model.spec import DecoderSpec, RopeStyle

_GGUF = (
    GGUF_NAMES
    | fused("blk.{i}.attn_qkv.weight", "q", "k", "v")
    | fused("blk.{i}.ffn_up.weight", "gate", "up")
)
_NAMES = (
    HUGGING_FACE_NAMES
    | fused("model.layers.{i}.self_attn.qkv_proj.weight", "q", "k", "v")
    | fused("model.layers.{i}.mlp.gate_up_proj.weight", "gate", "up")
)


def _from_gguf(model: GgufModel) -> DecoderSpec:
    if "rope_factors_short.weight" in model.tensor_names:
        raise model.fields.fail("rope.scaling", "with two sets of factors is not supported")
    return plain_gguf(model, "phi3", RopeStyle.HALVES)


def _from_config(config: Fields) -> DecoderSpec:
    """With longrope, the context is the original one: beyond it every key would change."""
    spec = plain_config(config, config_window(config))
    original = config.integer("original_max_position_embeddings", spec.max_context)
    scaled = config.section("rope_scaling") or config.section("rope_parameters")
    if scaled is None or scaled.text("rope_type", scaled.text("type", "default")) == "default":
        return spec
    return replace(spec, max_context=min(spec.max_context, original))


PHI3 = Family(
    "phi3",
    _from_gguf,
    _from_config,
    _GGUF,
    _NAMES,
    limits="with longrope, the context is the original one, and only from a folder",
)
