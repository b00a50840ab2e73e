"""What the layers of the reference decoder are made of: products, norms and feed-forwards over a
model's tensors."""

from __future__ import annotations

import numpy as np

from stoker.kernels.reference.activation import gated_activation, sigmoid
from stoker.kernels.reference.adapter import FloatAdapter
from stoker.kernels.reference.arithmetic import Arithmetic
from stoker.kernels.reference.arrays import Floats
from stoker.kernels.reference.experts import route
from stoker.kernels.reference.norm import layer_norm, rms_norm
from stoker.kernels.reference.tensors import FloatTensors
from stoker.model.spec import DecoderSpec, ExpertSpec, NormKind


class ReferenceLayers:
    def __init__(
        self,
        spec: DecoderSpec,
        tensors: FloatTensors,
        arithmetic: Arithmetic,
        adapter: FloatAdapter | None = None,
    ) -> None:
        self.spec = spec
        self.tensors = tensors
        self.arithmetic = arithmetic
        self.adapter = adapter or FloatAdapter()

    def norm(self, x: Floats, name: str) -> Floats:
        spec, weight = self.spec, self.tensors[name]
        if spec.norm is NormKind.RMS:
            return rms_norm(x, weight, spec.norm_eps, spec.norm_offset)
        bias = self.tensors[f"{name}_bias"] if spec.norm_bias else np.zeros_like(weight)
        return layer_norm(x, weight + np.float32(spec.norm_offset), bias, spec.norm_eps)

    def product(self, x: Floats, name: str, part: slice = slice(None)) -> Floats:
        """x times some rows of a matrix, transposed, and what the adapter adds."""
        added = self.adapter.added(x, name, part)
        if self.tensors.quantised(name):
            x = self.arithmetic.activations(x)
        return x @ self.tensors[name][part].T + added

    def biased(self, x: Floats, name: str, part: slice = slice(None), *, bias: bool) -> Floats:
        found = self.product(x, name, part)
        return found + self.tensors[f"{name}_bias"][part] if bias else found

    def feed_forward(self, x: Floats, prefix: str, experts: ExpertSpec | None) -> Floats:
        if experts is None:
            return self._dense(x, prefix, 0, self.spec.feed_forward_size)
        out = self._mixture(x, prefix, experts)
        if experts.shared_size:
            share = sigmoid((x @ self.tensors[prefix + "shared_router"]).astype(np.float64))[
                :, None
            ]
            shared = self._dense(x, prefix + "shared_", 0, experts.shared_size)
            out = out + share.astype(np.float32) * shared
        return out

    def _mixture(self, x: Floats, prefix: str, experts: ExpertSpec) -> Floats:
        scores = self.biased(x, prefix + "router", bias=experts.router_bias)
        chosen, weights = route(scores, experts.used, normalised=experts.normalised)
        out = np.zeros_like(x)
        for expert in range(experts.count):
            row, rank = np.nonzero(chosen == expert)
            if len(row):
                one = self._dense(x[row], prefix + "experts_", expert, experts.size)
                out[row] += weights[row, rank, None] * one
        return out

    def _dense(self, x: Floats, prefix: str, number: int, size: int) -> Floats:
        """The `number`th of the feed-forwards stacked under the prefix."""
        spec, bias, hidden = self.spec, self.spec.feed_forward_bias, self.spec.hidden_size
        inner = slice(number * size, (number + 1) * size)
        up = self.biased(x, prefix + "up", inner, bias=bias)
        if spec.gated:
            gate = self.biased(x, prefix + "gate", inner, bias=bias)
            activated = gated_activation(gate, up, spec.activation)
        else:
            activated = gated_activation(up, np.ones_like(up), spec.activation)
        outer = slice(number * hidden, (number + 1) * hidden)
        return self.biased(activated, prefix + "down", outer, bias=bias)
