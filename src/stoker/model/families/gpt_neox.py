"""GPT-NeoX (Pythia): attention beside feed-forward, a quarter of each head rotated, q, k and v in
one tensor, head by head."""

from __future__ import annotations

from msgspec.structs import replace

from stoker.model.families.family import GGUF_NAMES, Family, GgufModel
from stoker.model.families.llama import plain_config, plain_gguf
from stoker.model.families.naming import each_kv_head, fused, whole
from stoker.model.fields import Fields
from stoker.model.spec import Activation, DecoderSpec, NormKind, RopeStyle

_GGUF = (
    GGUF_NAMES
    | fused("blk.{i}.attn_qkv.weight", "q", "k", "v")
    | fused("blk.{i}.attn_qkv.bias", "q_bias", "k_bias", "v_bias")
)
_AT = "gpt_neox.layers.{i}."
_QKV = f"{_AT}attention.query_key_value."
_NAMES = (
    whole(
        embedding="gpt_neox.embed_in.weight",
        head="embed_out.weight",
        final_norm="gpt_neox.final_layer_norm.weight",
        final_norm_bias="gpt_neox.final_layer_norm.bias",
        attention_norm=f"{_AT}input_layernorm.weight",
        attention_norm_bias=f"{_AT}input_layernorm.bias",
        o=f"{_AT}attention.dense.weight",
        o_bias=f"{_AT}attention.dense.bias",
        feed_forward_norm=f"{_AT}post_attention_layernorm.weight",
        feed_forward_norm_bias=f"{_AT}post_attention_layernorm.bias",
        up=f"{_AT}mlp.dense_h_to_4h.weight",
        up_bias=f"{_AT}mlp.dense_h_to_4h.bias",
        down=f"{_AT}mlp.dense_4h_to_h.weight",
        down_bias=f"{_AT}mlp.dense_4h_to_h.bias",
    )
    | fused(f"{_QKV}weight", "q", "k", "v", groups=each_kv_head)
    | fused(f"{_QKV}bias", "q_bias", "k_bias", "v_bias", groups=each_kv_head)
)


def _shaped(spec: DecoderSpec, *, parallel: bool, attention_bias: bool) -> DecoderSpec:
    return replace(
        spec,
        family="gpt_neox",
        norm=NormKind.LAYER,
        norm_bias=True,
        parallel=parallel,
        qkv_bias=attention_bias,
        output_bias=attention_bias,
        activation=Activation.GELU,
        gated=False,
        feed_forward_bias=True,
    )


def _from_gguf(model: GgufModel) -> DecoderSpec:
    spec = plain_gguf(model, "gpt_neox", RopeStyle.HALVES, eps="attention.layer_norm_epsilon")
    parallel = model.fields.flag("use_parallel_residual", True)
    return _shaped(spec, parallel=parallel, attention_bias=True)


def _from_config(config: Fields) -> DecoderSpec:
    if config.text("hidden_act", "gelu") != "gelu":
        raise config.fail("hidden_act", "is not supported for this family")
    spec = plain_config(config, None, eps="layer_norm_eps", rotary="rotary_pct")
    return _shaped(
        spec,
        parallel=config.flag("use_parallel_residual", True),
        attention_bias=config.flag("attention_bias", True),
    )


GPT_NEOX = Family(
    "gpt_neox",
    _from_gguf,
    _from_config,
    _GGUF,
    _NAMES,
    "gptneox",
    ignored=(".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq"),
)
