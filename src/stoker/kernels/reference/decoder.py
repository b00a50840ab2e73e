"""A whole decoder in plain NumPy: slow, short, and what every other executor is compared with.

It recomputes the full sequence on each call and keeps no cache, so it cannot share a defect with
the paged, batched and quantised paths it checks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stoker.kernels.reference.activation import gated_activation, softcap
from stoker.kernels.reference.arithmetic import EXACT, Arithmetic
from stoker.kernels.reference.arrays import Floats
from stoker.kernels.reference.attention import attention
from stoker.kernels.reference.norm import rms_norm
from stoker.kernels.reference.rope import rope, rope_angles
from stoker.kernels.reference.tensors import FloatTensors
from stoker.model.spec import DecoderSpec, LayerSpec
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
    ) -> None:
        self.spec = spec
        self._tensors = FloatTensors(weights, keep_bytes)
        self._round = arithmetic

    def forward(self, token_ids: Sequence[int], first_row: int = 0) -> Floats:
        """Logits [len(token_ids) - first_row, vocab_size] of positions from first_row on."""
        x = self.embed(token_ids)
        for index, layer in enumerate(self.spec.layers):
            x = x + self._attend(x, layer, f"layers.{index}.")
            x = x + self._feed_forward(x, f"layers.{index}.")
        return self.head(x[first_row:])

    def embed(self, token_ids: Sequence[int]) -> Floats:
        rows = self._tensors["embedding"][np.asarray(token_ids, dtype=np.int64)]
        return rows * np.float32(self.spec.embedding_scale)

    def head(self, x: Floats) -> Floats:
        """Logits of hidden states that have passed every layer."""
        name = "embedding" if self.spec.tied_head else "head"
        logits = self._product(self._norm(x, "final_norm"), name)
        cap = self.spec.final_softcap
        return logits if cap is None else softcap(logits, cap)

    def _attend(self, x: Floats, layer: LayerSpec, prefix: str) -> Floats:
        spec = self.spec
        normed = self._norm(x, prefix + "attention_norm")
        cosine, sine = rope_angles(layer.rope, range(len(x)))
        q = rope(self._heads(normed, prefix, "q"), cosine, sine, layer.rope.style)
        k = rope(self._heads(normed, prefix, "k"), cosine, sine, layer.rope.style)
        v = self._heads(normed, prefix, "v")
        mixed = attention(
            q,
            self._round.keys_values(k),
            self._round.keys_values(v),
            first_position=0,
            scale=spec.attention_scale,
            window=layer.window,
            cap=spec.attention_softcap,
        )
        out = self._product(mixed.reshape(len(x), -1), prefix + "o")
        return self._norm(out, prefix + "attention_post_norm") if spec.post_norms else out

    def _heads(self, normed: Floats, prefix: str, name: str) -> Floats:
        """Projects to [n, heads, head_dim], with the bias and norm that the spec asks for."""
        rows = self._product(normed, prefix + name)
        if self.spec.qkv_bias:
            rows = rows + self._tensors[f"{prefix}{name}_bias"]
        heads = rows.reshape(len(rows), -1, self.spec.head_dim)
        normed_here = self.spec.qk_norm and name != "v"
        return self._norm(heads, f"{prefix}{name}_norm") if normed_here else heads

    def _feed_forward(self, x: Floats, prefix: str) -> Floats:
        normed = self._norm(x, prefix + "feed_forward_norm")
        gate = self._product(normed, prefix + "gate")
        up = self._product(normed, prefix + "up")
        gated = gated_activation(gate, up, self.spec.activation)
        out = self._product(gated, prefix + "down")
        return self._norm(out, prefix + "feed_forward_post_norm") if self.spec.post_norms else out

    def _norm(self, x: Floats, name: str) -> Floats:
        return rms_norm(x, self._tensors[name], self.spec.norm_eps, self.spec.norm_offset)

    def _product(self, x: Floats, name: str) -> Floats:
        if self._tensors.quantised(name):
            x = self._round.activations(x)
        return x @ self._tensors[name].T
