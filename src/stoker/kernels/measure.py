"""Timed runs of single native kernels and of the machine's limits: (seconds, bytes, operations)."""

from __future__ import annotations

from stoker.kernels import _native

read_limit = _native.measure.read_limit
dot_limit = _native.measure.dot_limit
fma_limit = _native.measure.fma_limit
matmul = _native.measure.matmul
attention = _native.measure.attention
rowwise = _native.measure.rowwise
