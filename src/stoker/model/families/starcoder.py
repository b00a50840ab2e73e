"""StarCoder 2: layer norms, biases everywhere, and a feed-forward without a gate."""

from __future__ import annotations

from msgspec.structs import replace

from stoker.model.families.family import GGUF_NAMES, HUGGING_FACE_NAMES, Family, GgufModel
from stoker.model.families.llama import config_window, plain_config, plain_gguf
from stoker.model.families.naming import whole
from stoker.model.fields import Fields
from stoker.model.spec import Activation, DecoderSpec, NormKind, RopeStyle

_MLP = "model.layers.{i}.mlp"
_NAMES = HUGGING_FACE_NAMES | whole(
    up=f"{_MLP}.c_fc.weight",
    up_bias=f"{_MLP}.c_fc.bias",
    down=f"{_MLP}.c_proj.weight",
    down_bias=f"{_MLP}.c_proj.bias",
)


def _shaped(spec: DecoderSpec, *, bias: bool) -> DecoderSpec:
    return replace(
        spec,
        norm=NormKind.LAYER,
        norm_bias=True,
        qkv_bias=bias,
        output_bias=bias,
        gated=False,
        feed_forward_bias=bias,
        activation=Activation.GELU_TANH,
    )


def _from_gguf(model: GgufModel) -> DecoderSpec:
    spec = plain_gguf(model, "starcoder2", RopeStyle.HALVES, eps="attention.layer_norm_epsilon")
    return _shaped(spec, bias="blk.0.attn_q.bias" in model.tensor_names)


def _from_config(config: Fields) -> DecoderSpec:
    spec = plain_config(config, config_window(config), eps="norm_epsilon")
    tied = config.flag("tie_word_embeddings", True)
    return replace(_shaped(spec, bias=config.flag("use_bias", True)), tied_head=tied)


STARCODER2 = Family("starcoder2", _from_gguf, _from_config, GGUF_NAMES, _NAMES)
