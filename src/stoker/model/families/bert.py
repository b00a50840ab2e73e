"""BERT (Devlin et al. 2018): an encoder, with norms of the residual stream itself.

The norm behind each half of a layer is, in our terms, the one before the next half.
"""

from __future__ import annotations

from stoker.core.pooling import Pooling
from stoker.model.families import rope
from stoker.model.families.family import GGUF_NAMES, Family, GgufModel
from stoker.model.families.llama import MAX_LAYERS
from stoker.model.families.naming import Names, Stored, either, whole
from stoker.model.fields import Fields
from stoker.model.spec import Activation, DecoderSpec, LayerSpec, NormKind

_LAYER = "encoder.layer.{i}"
_MOST_LABELS = 4096
_ACTIVATIONS = {
    "gelu": Activation.GELU,
    "gelu_new": Activation.GELU_TANH,
    "gelu_pytorch_tanh": Activation.GELU_TANH,
}
_GGUF_POOLINGS = {1: Pooling.MEAN, 2: Pooling.FIRST, 3: Pooling.LAST}


def _stream_norms(behind: str, first: str, between: str) -> dict[str, Stored]:
    """The norms of the stream, with `weight` or `bias` for {kind}, by our names."""
    names: dict[str, Stored] = {}
    for kind, suffix in (("weight", ""), ("bias", "_bias")):
        after, start = behind.replace("{kind}", kind), first.replace("{kind}", kind)
        names[f"attention_norm{suffix}"] = Stored((after.replace("{i}", "{before}"), start))
        names[f"final_norm{suffix}"] = Stored((after.replace("{i}", "{last}"),))
        names |= whole(**{f"feed_forward_norm{suffix}": between.replace("{kind}", kind)})
    return names


_GGUF: Names = (
    GGUF_NAMES
    | whole(types="token_types.weight")
    | _stream_norms(
        "blk.{i}.layer_output_norm.{kind}",
        "token_embd_norm.{kind}",
        "blk.{i}.attn_output_norm.{kind}",
    )
)
_NAMES: Names = either(
    "bert.",
    whole(
        embedding="embeddings.word_embeddings.weight",
        positions="embeddings.position_embeddings.weight",
        types="embeddings.token_type_embeddings.weight",
        q=f"{_LAYER}.attention.self.query.weight",
        k=f"{_LAYER}.attention.self.key.weight",
        v=f"{_LAYER}.attention.self.value.weight",
        o=f"{_LAYER}.attention.output.dense.weight",
        q_bias=f"{_LAYER}.attention.self.query.bias",
        k_bias=f"{_LAYER}.attention.self.key.bias",
        v_bias=f"{_LAYER}.attention.self.value.bias",
        o_bias=f"{_LAYER}.attention.output.dense.bias",
        up=f"{_LAYER}.intermediate.dense.weight",
        up_bias=f"{_LAYER}.intermediate.dense.bias",
        down=f"{_LAYER}.output.dense.weight",
        down_bias=f"{_LAYER}.output.dense.bias",
        pooler="pooler.dense.weight",
        pooler_bias="pooler.dense.bias",
    )
    | _stream_norms(
        f"{_LAYER}.output.LayerNorm.{{kind}}",
        "embeddings.LayerNorm.{kind}",
        f"{_LAYER}.attention.output.LayerNorm.{{kind}}",
    ),
) | whole(classifier="classifier.weight", classifier_bias="classifier.bias")


def _spec(
    *, vocab: int, hidden: int, heads: int, feed: int, layers: int, context: int, eps: float,
    activation: Activation, types: int, labels: int, pooling: Pooling,
) -> DecoderSpec:  # fmt: skip
    return DecoderSpec(
        family="bert",
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
        residual_norms=True,
        causal=False,
        attention_scale=(hidden / heads) ** -0.5,
        qkv_bias=True,
        output_bias=True,
        activation=activation,
        gated=False,
        feed_forward_bias=True,
        learned_positions=True,
        token_types=types,
        tied_head=True,
        labels=labels,
        pooling=pooling,
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
        activation=Activation.GELU,
        types=2,
        labels=0,
        pooling=_GGUF_POOLINGS.get(fields.integer("pooling_type", 1), Pooling.MEAN),
    )


def _from_config(config: Fields) -> DecoderSpec:
    if config.text("position_embedding_type", "absolute") != "absolute":
        raise config.fail("position_embedding_type", "is not supported")
    activation = _ACTIVATIONS.get(config.text("hidden_act", "gelu"))
    if activation is None:
        raise config.fail("hidden_act", "is not supported")
    return _spec(
        vocab=config.integer("vocab_size"),
        hidden=config.integer("hidden_size"),
        heads=config.integer("num_attention_heads", most=rope.MAX_HEAD),
        feed=config.integer("intermediate_size"),
        layers=config.integer("num_hidden_layers", most=MAX_LAYERS),
        context=config.integer("max_position_embeddings"),
        eps=config.number("layer_norm_eps", 1e-12),
        activation=activation,
        types=config.integer("type_vocab_size", 2),
        labels=_labels(config),
        pooling=Pooling.MEAN,
    )


def _labels(config: Fields) -> int:
    """Of a checkpoint made for classification; others carry the entry too, and no head."""
    names = config.texts("architectures", [])
    if not any(name.endswith("ForSequenceClassification") for name in names):
        return 0
    named = config.section("id2label")
    return config.integer("num_labels", named.size if named else 2, most=_MOST_LABELS)


BERT = Family(
    "bert",
    _from_gguf,
    _from_config,
    _GGUF,
    _NAMES,
    ignored=("embeddings.position_ids",),
    spare=("pooler.dense.weight", "pooler.dense.bias"),
    limits="an encoder: embeddings, and scores where the checkpoint has a classification head",
)
