"""Where an implementation rounds: what the reference decoder imitates besides float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stoker.kernels.reference.arrays import Floats
from stoker.kernels.reference.matmul import through_int8

Rounding = Callable[[Floats], Floats]


def exact(x: Floats) -> Floats:
    return x


def through_half(x: Floats) -> Floats:
    """What of x survives storage as IEEE half precision."""
    return x.astype(np.float16).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    activations: Rounding = exact
    """Applied to the rows that meet a quantised weight."""
    keys_values: Rounding = exact
    """Applied to keys and values as they enter the cache."""


EXACT = Arithmetic()
"""Plain float32: what the model's authors would compute."""

NATIVE = Arithmetic(activations=through_int8, keys_values=through_half)
"""The native core: int8 activations and a half precision cache."""
