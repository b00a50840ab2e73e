"""A decoder-only model as data. Executors read this; they hold no code per architecture.

A family (model/families/) maps a file's own metadata onto these records and the file's tensor
names onto the canonical names below. All shapes are (rows, columns) with the reduction along
columns, so `y = x @ W.T`.

Canonical tensor names, with shapes in terms of the spec:

    embedding                        (vocab_size, hidden_size)
    head                             (vocab_size, hidden_size)     absent when tied_head
    final_norm                       (hidden_size,)
    layers.{i}.attention_norm        (hidden_size,)
    layers.{i}.q                     (num_heads * head_dim, hidden_size)
    layers.{i}.k  layers.{i}.v       (num_kv_heads * head_dim, hidden_size)
    layers.{i}.o                     (hidden_size, num_heads * head_dim)
    layers.{i}.q_bias k_bias v_bias  (rows of q, k, v)             when qkv_bias
    layers.{i}.q_norm  k_norm        (head_dim,)                   when qk_norm
    layers.{i}.attention_post_norm   (hidden_size,)                when post_norms
    layers.{i}.feed_forward_norm     (hidden_size,)
    layers.{i}.gate  layers.{i}.up   (feed_forward_size, hidden_size)
    layers.{i}.down                  (hidden_size, feed_forward_size)
    layers.{i}.feed_forward_post_norm (hidden_size,)               when post_norms
"""

from __future__ import annotations

import enum

import msgspec


class RopeStyle(enum.Enum):
    """Which two elements of a head are rotated together."""

    HALVES = "halves"
    """Element i with element i + dim / 2 (Hugging Face checkpoints, most GGUF families)."""
    PAIRS = "pairs"
    """Element 2i with element 2i + 1 (GGUF's llama family, whose q and k rows are permuted)."""


class Activation(enum.Enum):
    SILU = "silu"
    GELU_TANH = "gelu_tanh"


class RopeSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    style: RopeStyle
    dim: int
    """Rotated elements at the front of each head; equals head_dim unless partial."""
    inverse_frequencies: tuple[float, ...]
    """dim / 2 angular frequencies in radians per position, any scaling (linear, Llama 3,
    YaRN, longrope) already applied by the family."""
    attention_factor: float = 1.0
    """Multiplies cos and sin (YaRN)."""


class LayerSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rope: RopeSpec
    window: int | None = None
    """A query at position p sees keys in (p - window, p]; None sees all."""


class DecoderSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    family: str
    vocab_size: int
    hidden_size: int
    feed_forward_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    layers: tuple[LayerSpec, ...]
    max_context: int
    norm_eps: float
    norm_offset: float = 0.0
    """Added to every norm weight: 1 for Gemma safetensors; GGUF files have it baked in."""
    attention_scale: float
    """Multiplies q·k; usually head_dim ** -0.5."""
    qkv_bias: bool = False
    qk_norm: bool = False
    """RMS norm over each head of q and k, before rope."""
    post_norms: bool = False
    """RMS norms on the outputs of attention and feed-forward, before the residual (Gemma)."""
    activation: Activation = Activation.SILU
    embedding_scale: float = 1.0
    attention_softcap: float | None = None
    final_softcap: float | None = None
    tied_head: bool = False

    @property
    def num_layers(self) -> int:
        return len(self.layers)

    @property
    def kv_values_per_token(self) -> int:
        """Keys and values of one position over all layers."""
        return 2 * self.num_layers * self.num_kv_heads * self.head_dim
