"""What an answer is made of, in the order a model writes it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Content:
    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    text: str


@dataclass(frozen=True, slots=True)
class CallBegun:
    """The next call: its name is known, its arguments follow."""

    name: str


@dataclass(frozen=True, slots=True)
class Arguments:
    """More of the arguments of the call begun last: JSON, unless the model wrote none."""

    text: str


Piece = Content | Reasoning | CallBegun | Arguments
