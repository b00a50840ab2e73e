"""Batches and closed-loop load for engines that are driven a step at a time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from typing import Any, Protocol

from protocol import Timeline


class Stepper(Protocol):
    def add(self, request: int, prompt: list[int], output: int) -> None: ...

    def step(self) -> Iterable[tuple[int, int, bool]]:
        """Request, new tokens, and whether that was its end; for each that moved."""
        ...

    def drop(self, request: int) -> None: ...

    def encode(self, text: str) -> list[int]: ...


_numbers = itertools.count()


def generate(engine: Stepper, prompts: list[list[int]], output: int) -> Timeline:
    started = time.perf_counter()
    running = dict.fromkeys((next(_numbers) for _ in prompts), 0)
    for request, prompt in zip(running, prompts, strict=True):
        engine.add(request, prompt, output)
    waiting = set(running)
    first = started
    later = 0
    while running:
        moved = list(engine.step())
        later += 0 if waiting else sum(tokens for _, tokens, _ in moved)
        for request, tokens, ended in moved:
            if tokens:
                waiting.discard(request)
                first = first if waiting or first > started else time.perf_counter()
            if ended:
                del running[request]
    return Timeline(started, first, time.perf_counter(), later)


def closed_loop(
    engine: Stepper, groups: list[dict[str, Any]], seconds: float | None = None
) -> list[list[dict[str, Any]]]:
    """The load of OpenAI clients without HTTP; timings by group.

    A group has `clients`, `prompts` (texts), `output`, and `after`: when it begins, in seconds.
    Ends when everything was answered, or after `seconds` with what had arrived by then.
    """
    started = time.monotonic()
    loops = [Clients(engine, group) for group in groups]
    while any(not one.ended for one in loops):
        now = time.monotonic() - started
        if seconds is not None and now > seconds:
            break
        for one in loops:
            one.begin(now)
        for request, tokens, ended in list(engine.step()):
            owner = next((one for one in loops if request in one.running), None)
            if owner is not None:  # else one that was dropped in the round before
                owner.take(request, tokens, ended)
    for one in loops:
        one.abandon()
    return [one.timings for one in loops]


class Clients:
    """So many clients, each asking its next prompt when its last one was answered."""

    def __init__(self, engine: Stepper, group: dict[str, Any]) -> None:
        self.engine = engine
        self.waiting = int(group["clients"])
        self.after = float(group["after"])
        self.output = int(group["output"])
        self.prompts = iter(group["prompts"])
        self.left = len(group["prompts"])
        self.running: dict[int, dict[str, Any]] = {}
        self.timings: list[dict[str, Any]] = []

    @property
    def ended(self) -> bool:
        return self.left == 0

    def begin(self, now: float) -> None:
        while self.waiting and now >= self.after:
            self.waiting -= 1
            self.ask()

    def ask(self) -> None:
        text = next(self.prompts, None)
        if text is None:
            return
        timing = {"started": time.monotonic(), "arrivals": [], "output_tokens": 0}
        prompt = self.engine.encode(text)
        request = next(_numbers)
        self.running[request] = timing | {"prompt_tokens": len(prompt)}
        self.timings.append(self.running[request])
        self.engine.add(request, prompt, self.output)

    def take(self, request: int, tokens: int, ended: bool) -> None:
        timing = self.running[request]
        if tokens:
            timing["arrivals"].append(time.monotonic())
            timing["output_tokens"] += tokens
        if ended:
            timing["finished"] = time.monotonic()
            del self.running[request]
            self.left -= 1
            self.ask()

    def abandon(self) -> None:
        for request in self.running:
            self.engine.drop(request)
