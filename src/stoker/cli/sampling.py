"""The sampling flags of `run` and `chat`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import click

from stoker.core.sampling import SamplingParams

NEW_TOKENS = 512


def sampling_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    for decorate in (
        click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Default: drawn anew."),
        click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), default=0.95),
        click.option("--temperature", type=click.FloatRange(0, 2), default=0.7, show_default=True,
                     help="0 always takes the most likely token."),
        click.option("--max-tokens", type=click.IntRange(1),
                     help=f"Default: {NEW_TOKENS}, or what the context leaves."),
    ):  # fmt: skip
        command = decorate(command)
    return command


def sampling(
    max_tokens: int | None, temperature: float, top_p: float, seed: int | None
) -> SamplingParams:
    return SamplingParams(
        max_tokens=NEW_TOKENS if max_tokens is None else max_tokens,
        temperature=temperature,
        top_p=top_p,
        seed=secrets.randbits(63) if seed is None else seed,
    )
