"""Qwen2 (biases on q, k and v) and Qwen3 (norms on q and k instead)."""

from __future__ import annotations

from stoker.model.families.family import GGUF_NAMES, HUGGING_FACE_NAMES, Family, GgufModel
from stoker.model.families.llama import plain_config, plain_gguf
from stoker.model.fields import Fields
from stoker.model.spec import DecoderSpec, QkNorm, RopeStyle


def _window(config: Fields) -> int | None:
    # use_sliding_window only ever applied to layers past max_window_layers; released models
    # leave it off.
    if not config.flag("use_sliding_window", False):
        return None
    raise config.fail("use_sliding_window", "is not supported for this family")


def _qwen2_gguf(model: GgufModel) -> DecoderSpec:
    return plain_gguf(model, "qwen2", RopeStyle.HALVES, qkv_bias=True)


def _qwen2_config(config: Fields) -> DecoderSpec:
    return plain_config(config, _window(config), qkv_bias=True)


def _qwen3_gguf(model: GgufModel) -> DecoderSpec:
    return plain_gguf(model, "qwen3", RopeStyle.HALVES, qk_norm=QkNorm.HEAD)


def _qwen3_config(config: Fields) -> DecoderSpec:
    bias = config.flag("attention_bias", False)
    return plain_config(config, _window(config), qk_norm=QkNorm.HEAD, qkv_bias=bias)


QWEN2 = Family("qwen2", _qwen2_gguf, _qwen2_config, GGUF_NAMES, HUGGING_FACE_NAMES)
QWEN3 = Family("qwen3", _qwen3_gguf, _qwen3_config, GGUF_NAMES, HUGGING_FACE_NAMES)
