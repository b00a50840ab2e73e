"""Falcon: attention beside feed-forward, with one norm for both or one for each."""

from __future__ import annotations

from msgspec.structs import replace

from stoker.model.families import rope
from stoker.model.families.family import GGUF_NAMES, Family, GgufModel
from stoker.model.families.llama import MAX_LAYERS, plain_gguf
from stoker.model.families.naming import Stored, each_kv_head, fused, whole
from stoker.model.fields import Fields
from stoker.model.spec import Activation, DecoderSpec, LayerSpec, NormKind, RopeStyle


def _norms(attention: str, feed_forward: str, shared: str, kind: str) -> dict[str, Stored]:
    """The larger models have a norm for each branch, the smaller ones share one."""
    suffix = "" if kind == "weight" else "_bias"
    return {
        f"attention_norm{suffix}": Stored((f"{attention}.{kind}", f"{shared}.{kind}")),
        f"feed_forward_norm{suffix}": Stored((f"{feed_forward}.{kind}", f"{shared}.{kind}")),
    }


_H = "transformer.h.{i}."
_GGUF_NORMS = ("blk.{i}.attn_norm_2", "blk.{i}.attn_norm", "blk.{i}.attn_norm")
_NORMS = (f"{_H}ln_attn", f"{_H}ln_mlp", f"{_H}input_layernorm")
_GGUF = (
    GGUF_NAMES
    | fused("blk.{i}.attn_qkv.weight", "q", "k", "v")
    | _norms(*_GGUF_NORMS, "weight")
    | _norms(*_GGUF_NORMS, "bias")
)
_NAMES = (
    whole(
        embedding="transformer.word_embeddings.weight",
        head="lm_head.weight",
        final_norm="transformer.ln_f.weight",
        final_norm_bias="transformer.ln_f.bias",
        o=f"{_H}self_attention.dense.weight",
        up=f"{_H}mlp.dense_h_to_4h.weight",
        down=f"{_H}mlp.dense_4h_to_h.weight",
    )
    | fused(f"{_H}self_attention.query_key_value.weight", "q", "k", "v", groups=each_kv_head)
    | _norms(*_NORMS, "weight")
    | _norms(*_NORMS, "bias")
)
_UNSUPPORTED = {"alibi": False, "bias": False, "parallel_attn": True}
"""What early and small releases set otherwise."""


def _from_gguf(model: GgufModel) -> DecoderSpec:
    spec = plain_gguf(model, "falcon", RopeStyle.HALVES, eps="attention.layer_norm_epsilon")
    return replace(
        spec,
        norm=NormKind.LAYER,
        norm_bias=True,
        parallel=True,
        activation=Activation.GELU,
        gated=False,
    )


def _from_config(config: Fields) -> DecoderSpec:
    for key, only in _UNSUPPORTED.items():
        if config.flag(key, only) is not only and not (key == "parallel_attn" and _newer(config)):
            raise config.fail(key, "is not supported for this family")
    hidden, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
    dim = config.integer("head_dim", hidden // heads or 1, most=rope.MAX_HEAD)
    base = rope.config_base(config, 10_000.0)
    layer = LayerSpec(rope=rope.from_config(config, RopeStyle.HALVES, dim, base))
    return DecoderSpec(
        family="falcon",
        vocab_size=config.integer("vocab_size"),
        hidden_size=hidden,
        feed_forward_size=config.integer("ffn_hidden_size", 4 * hidden),
        num_heads=heads,
        num_kv_heads=_kv_heads(config, heads),
        head_dim=dim,
        layers=(layer,) * config.integer("num_hidden_layers", most=MAX_LAYERS),
        max_context=config.integer("max_position_embeddings", 2048),
        norm=NormKind.LAYER,
        norm_eps=config.number("layer_norm_epsilon", 1e-5),
        norm_bias=True,
        parallel=True,
        attention_scale=dim**-0.5,
        activation=Activation.GELU,
        gated=False,
        tied_head=config.flag("tie_word_embeddings", True),
    )


def _newer(config: Fields) -> bool:
    return config.flag("new_decoder_architecture", False)


def _kv_heads(config: Fields, heads: int) -> int:
    if _newer(config):
        return config.integer("num_kv_heads", heads)
    return 1 if config.flag("multi_query", True) else heads


FALCON = Family(
    "falcon",
    _from_gguf,
    _from_config,
    _GGUF,
    _NAMES,
    limits="no ALiBi, no biases of linear layers",
)
