"""How the hidden states of a text become one vector."""

from __future__ import annotations

import enum


class Pooling(enum.Enum):
    """Of the states after the final norm. Nothing is normalised."""

    FIRST = "cls"
    """That of the first token."""
    LAST = "last"
    """That of the last token: in a decoder the only one that has seen all of the text."""
    MEAN = "mean"
    LABELS = "labels"
    """Not a state but what the model's classification head says of the first one: logits."""
