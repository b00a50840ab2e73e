"""When the pieces of one answer arrived, and what many such answers amount to."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec


@dataclass(slots=True)
class Timing:
    """One request, in seconds of a monotonic clock."""

    started: float
    arrivals: list[float] = field(default_factory=list)
    """One a piece of text, in order."""
    finished: float | None = None
    """None while running, and for good when the answer failed."""
    error: str | None = None
    prompt_tokens: int = 0
    output_tokens: int = 0

    @property
    def first_token(self) -> float:
        return self.arrivals[0] - self.started

    @property
    def gaps(self) -> list[float]:
        return [later - earlier for earlier, later in itertools.pairwise(self.arrivals)]


class Quantiles(msgspec.Struct, frozen=True):
    """In milliseconds."""

    p50: float
    p90: float
    p99: float
    max: float


class LoadSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one load test. Rates are over the whole run, first start to last end."""

    concurrency: int
    completed: int
    failed: int
    errors: tuple[str, ...]
    """Distinct reasons, at most five."""
    seconds: float
    prompt_tokens: int
    output_tokens: int
    requests_per_second: float
    output_tokens_per_second: float
    total_tokens_per_second: float
    first_token_ms: Quantiles
    inter_token_ms: Quantiles
    request_ms: Quantiles


def quantile(values: Sequence[float], share: float) -> float:
    """The nearest-rank quantile of sorted values; 0 when there are none."""
    if not values:
        return 0.0
    return values[max(0, math.ceil(share * len(values)) - 1)]


def quantiles(seconds: Sequence[float]) -> Quantiles:
    ordered = sorted(seconds)
    return Quantiles(
        *(round(quantile(ordered, share) * 1000, 3) for share in (0.5, 0.9, 0.99, 1.0))
    )


def summarise(timings: Sequence[Timing], concurrency: int) -> LoadSummary:
    """Failed requests count in `failed` and in nothing else."""
    done = [timing for timing in timings if timing.finished is not None]
    ends = [timing.finished for timing in done if timing.finished is not None]
    seconds = max(ends) - min(timing.started for timing in done) if done else 0.0
    prompt_tokens = sum(timing.prompt_tokens for timing in done)
    output_tokens = sum(timing.output_tokens for timing in done)
    rate = 1 / seconds if seconds > 0 else 0.0
    return LoadSummary(
        concurrency=concurrency,
        completed=len(done),
        failed=len(timings) - len(done),
        errors=tuple(sorted({timing.error for timing in timings if timing.error}))[:5],
        seconds=round(seconds, 3),
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        requests_per_second=round(len(done) * rate, 3),
        output_tokens_per_second=round(output_tokens * rate, 1),
        total_tokens_per_second=round((prompt_tokens + output_tokens) * rate, 1),
        first_token_ms=quantiles([timing.first_token for timing in done if timing.arrivals]),
        inter_token_ms=quantiles([gap for timing in done for gap in timing.gaps]),
        request_ms=quantiles(
            [end - timing.started for timing, end in zip(done, ends, strict=True)]
        ),
    )
