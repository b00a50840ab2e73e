"""Nginx alone and nginx in direct mode, both up and loaded in turns: figures taken minutes apart
differ more than these two."""

from __future__ import annotations

from stoker.bench.gateway.plan import Pace
from stoker.bench.gateway.report import DirectFigures
from stoker.bench.gateway.runs import per, plan_for, with_cpu
from stoker.bench.gateway.subjects import Subject

LENGTHS = (100, 400)
"""Tokens of an answer: direct mode costs by the answer, and tokens are free."""
ROUNDS = 3
STREAMS = 100
TOKEN_RATE = 100
"""A second and stream."""


async def in_turns(alone: Subject, direct: Subject, tokens: int, seconds: float) -> DirectFigures:
    passed: dict[str, list[float]] = {alone.name: [], direct.name: []}
    decided = []
    failed = 0
    for _ in range(ROUNDS):
        for subject in (alone, direct):
            plan = plan_for(
                subject, Pace.CLOSED, STREAMS, seconds=seconds, stream=True, tokens=tokens,
                token_rate=TOKEN_RATE,
            )  # fmt: skip
            seen, spent = await with_cpu(subject, plan)
            passed[subject.name].append(per(seen.events, spent.passing))
            failed += seen.failed
        decided.append(per(seen.events, spent.all))
    return DirectFigures(
        tokens=tokens,
        alone=passed[alone.name],
        direct=passed[direct.name],
        decided=decided,
        failed=failed,
    )
