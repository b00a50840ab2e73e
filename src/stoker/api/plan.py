"""A request for text that was checked and has its tokens: what is left is to run it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

import stoker
from stoker.api.exchange import Exchange
from stoker.api.generation import Choice
from stoker.api.service import Service
from stoker.api.timing import Timing
from stoker.core.ids import TokenId
from stoker.text.tokenizer import Tokenizer

FINGERPRINT = f"stoker-{stoker.__version__}"


class Prompt(msgspec.Struct, frozen=True):
    token_ids: tuple[TokenId, ...]
    text: str
    """What `echo` repeats."""


class Identity(msgspec.Struct, frozen=True):
    """What every chunk of an answer repeats."""

    id: str
    created: int
    """Unix seconds."""
    model: str
    fingerprint: str = FINGERPRINT


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What runs."""

    choices: tuple[Choice, ...]
    num_prompt_tokens: int
    choices_per_prompt: int
    seconds: float


@dataclass(slots=True)
class Plan:
    exchange: Exchange
    service: Service
    job: Job
    prompts: Sequence[Prompt] = ()
    """Of a text completion; a conversation has none that could be shown."""
    created: int = field(default_factory=lambda: int(time.time()))
    timing: Timing = field(init=False)

    def __post_init__(self) -> None:
        self.timing = Timing(self.exchange.arrived)

    @property
    def tokenizer(self) -> Tokenizer:
        return self.service.text.tokenizer

    def identity(self, prefix: str) -> Identity:
        """The answer's, its id beginning as the surface's clients expect."""
        name = self.exchange.request_id.replace("req_", prefix)
        adapter = self.exchange.adapter
        model = self.service.name if adapter is None else adapter.name
        return Identity(name, self.created, model)
