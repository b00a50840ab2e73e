"""Random weights that any program can make again from a seed: NumPy alone, tensor by tensor."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

SCALE = 0.12


def seeded_tensor(name: str, shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """Normal values; weights of norms lie around one."""
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    values = generator.normal(scale=SCALE, size=shape).astype(np.float32)
    is_norm = len(shape) == 1 and name.endswith(".weight") and "shared_expert_gate" not in name
    return values + np.float32(1.0) if is_norm else values


def seeded_tensors(shapes: dict[str, list[int]], seed: int) -> dict[str, NDArray[np.float32]]:
    return {name: seeded_tensor(name, tuple(shape), seed) for name, shape in shapes.items()}
