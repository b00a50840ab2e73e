"""A transformer as data: a decoder, or an encoder that is one without causality. Executors read
this; they hold no code per architecture.

A family (model/families/) maps a file's own metadata onto these records and the file's tensor
names onto the canonical ones of model/tensors.py, which lists every tensor with its shape.
"""

from __future__ import annotations

import enum

import msgspec

from stoker.core.pooling import Pooling


class RopeStyle(enum.Enum):
    """Which two elements of a head are rotated together."""

    HALVES = "halves"
    """Element i with element i + dim / 2 (Hugging Face checkpoints, most GGUF families)."""
    PAIRS = "pairs"
    """Element 2i with element 2i + 1 (GGUF's llama family, whose q and k rows are permuted)."""


class Activation(enum.Enum):
    """What a feed-forward layer's gate goes through; without a gate, its one product."""

    SILU = "silu"
    GELU_TANH = "gelu_tanh"
    """The tanh approximation (Hendrycks and Gimpel 2016)."""
    GELU = "gelu"
    """The exact one, by the error function."""
    CLAMPED_SWIGLU = "clamped_swiglu"
    """gpt-oss: sigmoid gain 1.702, both factors clamped to 7, the second plus one."""


class NormKind(enum.Enum):
    RMS = "rms"
    """Zhang and Sennrich 2019."""
    LAYER = "layer"
    """Ba et al. 2016: the mean is taken off first."""


class QkNorm(enum.Enum):
    """RMS norm of q and k before rope: over what."""

    HEAD = "head"
    """Each head, with one weight for all."""
    WHOLE = "whole"
    """All heads together."""


class RopeSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    style: RopeStyle
    dim: int
    """Rotated elements at the front of each head; equals head_dim unless partial."""
    inverse_frequencies: tuple[float, ...]
    """dim / 2 angular frequencies in radians per position, any scaling (linear, Llama 3,
    YaRN, longrope) already applied by the family."""
    attention_factor: float = 1.0
    """Multiplies cos and sin (YaRN)."""


class ExpertSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mixture of experts: each token goes through the `used` it scores highest."""

    count: int
    used: int
    size: int
    """What feed_forward_size is to a dense layer, for each expert."""
    normalised: bool
    """The weights of the chosen experts sum to one: a softmax over their scores alone. Otherwise
    they are what a softmax over all scores gives."""
    router_bias: bool = False
    shared_size: int = 0
    """Of one more expert that every token goes through, weighted by a sigmoid; 0: none."""


class LayerSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rope: RopeSpec | None
    """None: positions are learned (or there are none)."""
    window: int | None = None
    """A query at position p sees keys in (p - window, p]; None sees all."""
    experts: ExpertSpec | None = None
    """None: one dense feed-forward."""


class DecoderSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    family: str
    vocab_size: int
    hidden_size: int
    feed_forward_size: int
    """Of dense layers."""
    num_heads: int
    num_kv_heads: int
    head_dim: int
    layers: tuple[LayerSpec, ...]
    max_context: int
    norm: NormKind = NormKind.RMS
    norm_eps: float
    norm_offset: float = 0.0
    """Added to every norm weight: 1 for Gemma safetensors; GGUF files have it baked in."""
    norm_bias: bool = False
    pre_norms: bool = True
    """Norms of the inputs of attention and feed-forward."""
    post_norms: bool = False
    """Norms of the outputs of attention and feed-forward, before the residual (Gemma, OLMo 2)."""
    parallel: bool = False
    """Attention and feed-forward read the same residual stream; both are added (GPT-J)."""
    attention_scale: float
    """Multiplies q·k; usually head_dim ** -0.5."""
    qkv_bias: bool = False
    output_bias: bool = False
    qk_norm: QkNorm | None = None
    attention_sinks: bool = False
    """Each head has one more score, a weight of its own, that takes part in the softmax alone."""
    attention_softcap: float | None = None
    activation: Activation = Activation.SILU
    gated: bool = True
    feed_forward_bias: bool = False
    learned_positions: bool = False
    """A vector for each position below max_context is added to the embedding."""
    embedding_scale: float = 1.0
    residual_scale: float = 1.0
    """Multiplies what attention and feed-forward add to the residual stream (Granite)."""
    logit_scale: float = 1.0
    final_softcap: float | None = None
    tied_head: bool = False
    """Of an encoder: it has no head, and makes no text."""
    causal: bool = True
    """False: every position sees all others, so that a text is computed in one step (BERT)."""
    residual_norms: bool = False
    """What a norm of the residual stream gives takes the stream's place (Vaswani et al. 2017):
    attention_norm stands before a layer, feed_forward_norm between its halves."""
    token_types: int = 0
    """Rows of a table of which one is added to the embedding: 0 for the first part of a text, 1
    for the second (BERT)."""
    labels: int = 0
    """Of a classification head over the first position; 0: none."""
    pooling: Pooling = Pooling.LAST
    """What an embedding is made of where a request does not say."""

    @property
    def num_layers(self) -> int:
        return len(self.layers)

    @property
    def kv_values_per_token(self) -> int:
        """Keys and values of one position over all layers."""
        return 2 * self.num_layers * self.num_kv_heads * self.head_dim
