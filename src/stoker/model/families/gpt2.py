"""GPT-2: learned positions, layer norms, biases, and matrices stored as columns and rows."""

from __future__ import annotations

from stoker.model.families import rope
from stoker.model.families.family import GGUF_NAMES, Family, GgufModel
from stoker.model.families.llama import MAX_LAYERS
from stoker.model.families.naming import Stored, either, fused, whole
from stoker.model.fields import Fields
from stoker.model.spec import Activation, DecoderSpec, LayerSpec, NormKind

_GGUF = (
    GGUF_NAMES
    | fused("blk.{i}.attn_qkv.weight", "q", "k", "v")
    | fused("blk.{i}.attn_qkv.bias", "q_bias", "k_bias", "v_bias")
)
_NAMES = either(
    "transformer.",
    whole(
        embedding="wte.weight",
        positions="wpe.weight",
        final_norm="ln_f.weight",
        final_norm_bias="ln_f.bias",
        attention_norm="h.{i}.ln_1.weight",
        attention_norm_bias="h.{i}.ln_1.bias",
        o_bias="h.{i}.attn.c_proj.bias",
        feed_forward_norm="h.{i}.ln_2.weight",
        feed_forward_norm_bias="h.{i}.ln_2.bias",
        up_bias="h.{i}.mlp.c_fc.bias",
        down_bias="h.{i}.mlp.c_proj.bias",
    )
    | fused("h.{i}.attn.c_attn.weight", "q", "k", "v", transposed=True)
    | fused("h.{i}.attn.c_attn.bias", "q_bias", "k_bias", "v_bias")
    | {
        "o": Stored(("h.{i}.attn.c_proj.weight",), transposed=True),
        "up": Stored(("h.{i}.mlp.c_fc.weight",), transposed=True),
        "down": Stored(("h.{i}.mlp.c_proj.weight",), transposed=True),
    },
) | whole(head="lm_head.weight")


def _spec(
    *, vocab: int, hidden: int, heads: int, feed: int, layers: int, context: int, eps: float,
    tied: bool,
) -> DecoderSpec:  # fmt: skip
    return DecoderSpec(
        family="gpt2",
        vocab_size=vocab,
        hidden_size=hidden,
        feed_forward_size=feed,
        num_heads=heads,
        num_kv_heads=heads,
        head_dim=hidden // heads,
        layers=(LayerSpec(rope=None),) * layers,
        max_context=context,
        norm=NormKind.LAYER,
        norm_eps=eps,
        norm_bias=True,
        attention_scale=(hidden / heads) ** -0.5,
        qkv_bias=True,
        output_bias=True,
        activation=Activation.GELU_TANH,
        gated=False,
        feed_forward_bias=True,
        learned_positions=True,
        tied_head=tied,
    )


def _from_gguf(model: GgufModel) -> DecoderSpec:
    fields = model.fields
    return _spec(
        vocab=model.vocab_size,
        hidden=fields.integer("embedding_length"),
        heads=fields.integer("attention.head_count", most=rope.MAX_HEAD),
        feed=fields.integer("feed_forward_length"),
        layers=fields.integer("block_count", most=MAX_LAYERS),
        context=fields.integer("context_length"),
        eps=fields.number("attention.layer_norm_epsilon"),
        tied=model.tied,
    )


def _from_config(config: Fields) -> DecoderSpec:
    if config.flag("scale_attn_by_inverse_layer_idx", False):
        raise config.fail("scale_attn_by_inverse_layer_idx", "is not supported")
    if config.text("activation_function", "gelu_new") != "gelu_new":
        raise config.fail("activation_function", "is not supported")
    hidden = config.integer("n_embd")
    return _spec(
        vocab=config.integer("vocab_size"),
        hidden=hidden,
        heads=config.integer("n_head", most=rope.MAX_HEAD),
        feed=config.integer("n_inner", 4 * hidden),
        layers=config.integer("n_layer", most=MAX_LAYERS),
        context=config.integer("n_positions"),
        eps=config.number("layer_norm_epsilon", 1e-5),
        tied=config.flag("tie_word_embeddings", True),
    )


GPT2 = Family(
    "gpt2", _from_gguf, _from_config, _GGUF, _NAMES, ignored=(".attn.bias", ".attn.masked_bias")
)
