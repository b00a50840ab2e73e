"""Timed runs of single native kernels and of the machine's limits: (seconds, bytes, operations)."""

from __future__ import annotations

from stoker.kernels import _native

Memory = _native.measure.Memory
read_limit = _native.measure.read_limit
dot_limit = _native.measure.dot_limit
fma_limit = _native.measure.fma_limit
matmul = _native.measure.matmul
attention = _native.measure.attention
rms_norm = _native.measure.rms_norm
quantize_rows = _native.measure.quantize_rows
silu_multiply = _native.measure.silu_multiply
rope_store = _native.measure.rope_store
sampler = _native.measure.sampler
