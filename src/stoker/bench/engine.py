"""How fast one engine computes, without HTTP or text: prefill, and decode at several batches."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence

import msgspec

from stoker.core.ids import RequestId
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.engine.engine import Engine

LOWEST_TOKEN = 300
"""Below it many vocabularies keep control tokens and single bytes."""


class EngineFigure(msgspec.Struct, frozen=True, kw_only=True):
    """One batch size. Rates are medians over the repeats, in tokens a second."""

    batch: int
    prompt_tokens: int
    """Of each sequence."""
    output_tokens: int
    prefill_tokens_per_second: float
    decode_tokens_per_second: float
    overall_tokens_per_second: float
    """Output tokens over the whole time, prefill included."""


class EngineBench:
    """Drives the engine's own step loop in this thread. Token ids are random but seeded."""

    def __init__(self, engine: Engine, vocab_size: int) -> None:
        self._engine = engine
        self._random = random.Random(0)  # noqa: S311 - nothing secret
        self._tokens = range(min(LOWEST_TOKEN, vocab_size // 2), vocab_size)
        self._submitted = 0

    def measure(
        self,
        batch: int,
        prompt_tokens: int,
        output_tokens: int,
        *,
        repeats: int = 3,
        clock: Callable[[], float] = time.perf_counter,
    ) -> EngineFigure:
        runs = [self._run(batch, prompt_tokens, output_tokens, clock) for _ in range(repeats)]
        return EngineFigure(
            batch=batch,
            prompt_tokens=prompt_tokens,
            output_tokens=output_tokens,
            prefill_tokens_per_second=_median([run[0] for run in runs]),
            decode_tokens_per_second=_median([run[1] for run in runs]),
            overall_tokens_per_second=_median([run[2] for run in runs]),
        )

    def _run(
        self, batch: int, prompt_tokens: int, output_tokens: int, clock: Callable[[], float]
    ) -> tuple[float, float, float]:
        """Prefill, decode and overall rate. Decode is counted from the moment every sequence
        has its first token, and only tokens that came after it."""
        waiting = {self._submit(prompt_tokens, output_tokens) for _ in range(batch)}
        produced = early = 0
        started = clock()
        prefilled = started
        while not self._engine.idle:
            for delta in self._engine.step():
                produced += len(delta.token_ids)
                if delta.request_id in waiting:
                    waiting.discard(delta.request_id)
                    if not waiting:
                        prefilled, early = clock(), produced
        ended = clock()
        return (
            batch * prompt_tokens / (prefilled - started),
            (produced - early) / (ended - prefilled) if produced > early else 0.0,
            produced / (ended - started),
        )

    def _submit(self, prompt_tokens: int, output_tokens: int) -> RequestId:
        self._submitted += 1
        request = Request(
            request_id=RequestId(f"bench-{self._submitted}"),
            prompt_token_ids=tuple(self._random.choices(self._tokens, k=prompt_tokens)),
            sampling=SamplingParams(max_tokens=output_tokens, temperature=0.0, ignore_eos=True),
        )
        self._engine.submit(request)
        return request.request_id


def _median(values: Sequence[float]) -> float:
    return round(statistics.median(values), 1)
