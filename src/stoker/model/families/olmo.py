"""OLMo 2: norms on the outputs of attention and feed-forward only, and on all of q and of k."""

from __future__ import annotations

from msgspec.structs import replace

from stoker.model.families.family import GGUF_NAMES, HUGGING_FACE_NAMES, Family, GgufModel
from stoker.model.families.llama import plain_config, plain_gguf
from stoker.model.families.naming import whole
from stoker.model.fields import Fields
from stoker.model.spec import DecoderSpec, QkNorm, RopeStyle

_NAMES = HUGGING_FACE_NAMES | whole(
    attention_post_norm="model.layers.{i}.post_attention_layernorm.weight",
    feed_forward_post_norm="model.layers.{i}.post_feedforward_layernorm.weight",
)


def _from_gguf(model: GgufModel) -> DecoderSpec:
    spec = plain_gguf(model, "olmo2", RopeStyle.HALVES, qk_norm=QkNorm.WHOLE)
    return replace(spec, pre_norms=False, post_norms=True)


def _from_config(config: Fields) -> DecoderSpec:
    bias = config.flag("attention_bias", False)
    spec = plain_config(config, None, qkv_bias=bias, qk_norm=QkNorm.WHOLE)
    return replace(spec, pre_norms=False, post_norms=True, output_bias=bias)


OLMO2 = Family("olmo2", _from_gguf, _from_config, GGUF_NAMES, _NAMES)
