"""A whole decoder or encoder in plain NumPy: slow, short, and what every other executor is compared
with.

It recomputes the full sequence on each call and keeps no cache, so it cannot share a defect with
the paged, batched and quantised paths it checks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stoker.core.pooling import Pooling
from stoker.kernels.reference.activation import softcap
from stoker.kernels.reference.adapter import FloatAdapter
from stoker.kernels.reference.arithmetic import EXACT, Arithmetic
from stoker.kernels.reference.arrays import Floats
from stoker.kernels.reference.attention import attention
from stoker.kernels.reference.layers import ReferenceLayers
from stoker.kernels.reference.pooling import pooled
from stoker.kernels.reference.rope import rope, rope_angles
from stoker.kernels.reference.tensors import FloatTensors
from stoker.model.spec import DecoderSpec, LayerSpec, QkNorm
from stoker.model.weights.interface import Weights


class ReferenceDecoder:
    """The model of a spec. `keep_bytes` bounds the dequantised weights held between calls."""

    def __init__(
        self,
        spec: DecoderSpec,
        weights: Weights,
        arithmetic: Arithmetic = EXACT,
        *,
        keep_bytes: int = 2 << 30,
        adapter: FloatAdapter | None = None,
    ) -> None:
        self.spec = spec
        self._tensors = FloatTensors(weights, keep_bytes)
        self._layers = ReferenceLayers(spec, self._tensors, arithmetic, adapter)
        self._round = arithmetic

    def forward(self, token_ids: Sequence[int], first_row: int = 0) -> Floats:
        """Logits [len(token_ids) - first_row, vocab_size] of positions from first_row on."""
        return self.head(self.through_layers(token_ids)[first_row:])

    def pool(
        self, token_ids: Sequence[int], pooling: Pooling, second_part: int | None = None
    ) -> Floats:
        """One vector for the whole text; tokens from `second_part` on are of type 1."""
        x = self.through_layers(token_ids, second_part)
        return pooled(self._layers, self._layers.norm(x, "final_norm"), pooling)

    def through_layers(self, token_ids: Sequence[int], second_part: int | None = None) -> Floats:
        """Hidden states before the final norm."""
        x = self.embed(token_ids, second_part)
        for index, layer in enumerate(self.spec.layers):
            prefix = f"layers.{index}."
            x = self._stream(x, prefix + "attention")
            attended = self._attend(x, layer, prefix)
            before = x if self.spec.parallel else x + attended
            before = self._stream(before, prefix + "feed_forward")
            fed = self._feed_forward(before, layer, prefix)
            x = before + attended + fed if self.spec.parallel else before + fed
        return x

    def _stream(self, x: Floats, name: str) -> Floats:
        """The residual stream itself is normed where the spec says so."""
        return self._layers.norm(x, f"{name}_norm") if self.spec.residual_norms else x

    def embed(self, token_ids: Sequence[int], second_part: int | None = None) -> Floats:
        rows = self._tensors["embedding"][np.asarray(token_ids, dtype=np.int64)]
        scaled: Floats = rows * np.float32(self.spec.embedding_scale)
        if self.spec.token_types:
            second = len(scaled) if second_part is None else second_part
            types = (np.arange(len(scaled)) >= second).astype(np.int64)
            scaled = scaled + self._tensors["types"][types]
        if self.spec.learned_positions:
            return scaled + self._tensors["positions"][: len(scaled)]
        return scaled

    def head(self, x: Floats) -> Floats:
        """Logits of hidden states that have passed every layer."""
        name = "embedding" if self.spec.tied_head else "head"
        logits = self._layers.product(self._layers.norm(x, "final_norm"), name)
        logits = logits * np.float32(self.spec.logit_scale)
        cap = self.spec.final_softcap
        return logits if cap is None else softcap(logits, cap)

    def _attend(self, x: Floats, layer: LayerSpec, prefix: str) -> Floats:
        spec = self.spec
        normed = self._branch_input(x, prefix + "attention")
        sinks = self._tensors[prefix + "sinks"] if spec.attention_sinks else None
        mixed = attention(
            self._rotated(normed, layer, prefix + "q"),
            self._round.keys_values(self._rotated(normed, layer, prefix + "k")),
            self._round.keys_values(self._heads(normed, prefix + "v")),
            first_position=0,
            scale=spec.attention_scale,
            window=layer.window,
            cap=spec.attention_softcap,
            sinks=sinks,
            causal=spec.causal,
        )
        joined = mixed.reshape(len(x), -1)
        out = self._layers.biased(joined, prefix + "o", bias=spec.output_bias)
        return self._branch_output(out, prefix + "attention")

    def _heads(self, normed: Floats, name: str) -> Floats:
        """Projects to [n, heads, head_dim], with its bias."""
        rows = self._layers.biased(normed, name, bias=self.spec.qkv_bias)
        return rows.reshape(len(rows), -1, self.spec.head_dim)

    def _rotated(self, normed: Floats, layer: LayerSpec, name: str) -> Floats:
        heads = self._heads(normed, name)
        if self.spec.qk_norm is QkNorm.HEAD:
            heads = self._layers.norm(heads, f"{name}_norm")
        elif self.spec.qk_norm is QkNorm.WHOLE:
            rows = heads.reshape(len(heads), -1)
            heads = self._layers.norm(rows, f"{name}_norm").reshape(heads.shape)
        if layer.rope is None:
            return heads
        cosine, sine = rope_angles(layer.rope, range(len(heads)))
        return rope(heads, cosine, sine, layer.rope.style)

    def _feed_forward(self, x: Floats, layer: LayerSpec, prefix: str) -> Floats:
        normed = self._branch_input(x, prefix + "feed_forward")
        out = self._layers.feed_forward(normed, prefix, layer.experts)
        return self._branch_output(out, prefix + "feed_forward")

    def _branch_input(self, x: Floats, name: str) -> Floats:
        own = self.spec.pre_norms and not self.spec.residual_norms
        return self._layers.norm(x, f"{name}_norm") if own else x

    def _branch_output(self, x: Floats, name: str) -> Floats:
        out = self._layers.norm(x, f"{name}_post_norm") if self.spec.post_norms else x
        return out * np.float32(self.spec.residual_scale)
