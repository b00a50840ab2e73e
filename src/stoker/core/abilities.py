"""What a model can be asked for."""

from __future__ import annotations

import msgspec

from stoker.core.pooling import Pooling


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    generates: bool = True
    """False for an encoder: it makes vectors of texts, and no text."""
    hidden_size: int = 0
    """Of an embedding."""
    pooling: Pooling = Pooling.LAST
    """What an embedding is made of where a request does not say."""
    labels: int = 0
    """Of a classification head; 0: none."""
    pairs: bool = False
    """Whether it tells the two parts of a pair of texts apart."""


DECODER = Abilities()
"""Of a model that makes text and of which no more is known."""
