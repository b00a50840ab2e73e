"""How a peer's process talks to the comparison: one JSON object a line in, one out.

Needs nothing but the standard library, for it runs under every peer's own interpreter. The first
line out says that the peer is ready and what it is.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

LOWEST_TOKEN = 300
"""Below it many vocabularies keep control tokens and single bytes."""


@dataclass(frozen=True)
class Timeline:
    """One batch. Seconds of one clock; `first` is when every sequence had its first token."""

    started: float
    first: float
    ended: float
    later_tokens: int
    """Tokens produced after `first`."""


class Engine(Protocol):
    """What a driver wraps. Greedy, to the given length, whatever tokens come."""

    label: str
    """Name, version and number format."""

    def generate(self, prompts: list[list[int]], output: int) -> Timeline:
        """What was computed for prompts of an earlier call may be used again."""
        ...


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", help="the file or folder in this peer's format")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--vocabulary", type=int, required=True)
    return parser.parse_args()


def random_prompts(vocabulary: int, batch: int, length: int, seed: int) -> list[list[int]]:
    """The same ids for every peer: no text, so that no cache or tokenizer takes part."""
    source = random.Random(f"{seed} {batch} {length}")
    tokens = range(LOWEST_TOKEN, vocabulary)
    return [source.choices(tokens, k=length) for _ in range(batch)]


def timed(engine: Engine, asked: argparse.Namespace, **shape: int) -> dict[str, float]:
    """Prefill and decode rates in tokens a second."""
    batch, length, output = shape["batch"], shape["prompt"], shape["output"]
    prompts = random_prompts(asked.vocabulary, batch, length, shape["seed"])
    line = engine.generate(prompts, output)
    rates = {"prefill": batch * length / (line.first - line.started)}
    if line.later_tokens:
        rates["decode"] = line.later_tokens / (line.ended - line.first)
    return rates


def serve(
    open_engine: Callable[[argparse.Namespace], Engine], **more: Callable[..., object]
) -> None:
    """Answers until standard input ends. `more` are operations only this peer has."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # libraries print to standard output; keep it out of the replies
    asked = arguments()
    engine = open_engine(asked)
    print(json.dumps({"label": engine.label}), file=replies)
    operations: dict[str, Callable[..., object]] = {
        "generate": lambda engine, **shape: timed(engine, asked, **shape)
    }
    operations |= more
    for line in sys.stdin:
        wanted = json.loads(line)
        try:
            answer = {"answer": operations[wanted.pop("operation")](engine, **wanted)}
        except Exception as error:  # one row lost, not the whole comparison
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=replies)
