"""Qwen's mixtures of experts, and Mixtral."""

from __future__ import annotations

from msgspec.structs import replace

from stoker.model.families import mixture
from stoker.model.families.family import GGUF_NAMES, Family, GgufModel
from stoker.model.families.llama import LLAMA, config_window, plain_config, plain_gguf
from stoker.model.fields import Fields
from stoker.model.spec import DecoderSpec, QkNorm, RopeStyle

_NAMES = mixture.hugging_face_names("mlp", "gate_proj", "up_proj", "down_proj")
_MIXTRAL_NAMES = mixture.hugging_face_names("block_sparse_moe", "w1", "w3", "w2")


def _mixtral_config(config: Fields) -> DecoderSpec:
    experts = mixture.from_config(config, "intermediate_size", normalised=True)
    return mixture.in_layers(plain_config(config, config_window(config)), experts)


def _dense_layers(config: Fields) -> frozenset[int]:
    """Layers without experts: those listed, and all but every `decoder_sparse_step`th."""
    step = config.integer("decoder_sparse_step", 1)
    count = config.integer("num_hidden_layers")
    between = {i for i in range(count) if (i + 1) % step}
    return frozenset(between | set(config.indices("mlp_only_layers")))


def _qwen_config(config: Fields, spec: DecoderSpec) -> DecoderSpec:
    if config.flag("use_sliding_window", False):
        raise config.fail("use_sliding_window", "is not supported for this family")
    chosen = config.flag("norm_topk_prob", False)
    experts = mixture.from_config(config, "moe_intermediate_size", normalised=chosen)
    return mixture.in_layers(spec, experts, _dense_layers(config))


def _qwen2_config(config: Fields) -> DecoderSpec:
    return _qwen_config(config, plain_config(config, None, qkv_bias=config.flag("qkv_bias", True)))


def _qwen3_config(config: Fields) -> DecoderSpec:
    bias = config.flag("attention_bias", False)
    spec = plain_config(config, None, qkv_bias=bias, qk_norm=QkNorm.HEAD)
    return _qwen_config(config, replace(spec, output_bias=bias))


def _with_experts(model: GgufModel, spec: DecoderSpec, *, normalised: bool) -> DecoderSpec:
    experts = mixture.from_gguf(model.fields, normalised=normalised)
    if experts is None:
        raise model.fields.fail("expert_count", "is missing")
    dense = frozenset(
        i
        for i in range(spec.num_layers)
        if f"blk.{i}.ffn_gate_inp.weight" not in model.tensor_names
    )
    return mixture.in_layers(spec, experts, dense)


def _qwen2_gguf(model: GgufModel) -> DecoderSpec:
    spec = plain_gguf(model, "qwen2_moe", RopeStyle.HALVES, qkv_bias=True)
    return _with_experts(model, spec, normalised=False)


def _qwen3_gguf(model: GgufModel) -> DecoderSpec:
    spec = plain_gguf(model, "qwen3_moe", RopeStyle.HALVES, qk_norm=QkNorm.HEAD)
    return _with_experts(model, spec, normalised=True)


MIXTRAL = Family("mixtral", LLAMA.from_gguf, _mixtral_config, GGUF_NAMES, _MIXTRAL_NAMES, "llama")
QWEN2_MOE = Family("qwen2_moe", _qwen2_gguf, _qwen2_config, GGUF_NAMES, _NAMES, "qwen2moe")
QWEN3_MOE = Family("qwen3_moe", _qwen3_gguf, _qwen3_config, GGUF_NAMES, _NAMES, "qwen3moe")
