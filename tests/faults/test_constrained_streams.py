"""Answers under a constraint where the engine dies, the client leaves, or too much is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from stoker.core.constraint import Constraint
from stoker.core.output import FinishReason
from stoker.core.request import Request
from stoker.engine.frames import EngineSettings
from stoker.errors import Overloaded, UnsupportedConstraint
from stoker.executor.fake import FakeOptions
from tests.support import leaks
from tests.support.constraints import CASES, constraint, tiny_table
from tests.support.engine_streams import Running, kill, request, started
from tests.support.text import vocab_size

LIST = constraint(
    "json_schema", {"type": "array", "items": {"type": "integer"}, "minItems": 12, "maxItems": 40}
)


@pytest.fixture(autouse=True)
async def check_for_leaks() -> AsyncIterator[None]:
    async with leaks.nothing_left_behind():
        yield


def settings(step_seconds: float, max_waiting: int = 256) -> EngineSettings:
    return EngineSettings(
        executor="fake",
        fake=FakeOptions(step_seconds=step_seconds, vocab_size=vocab_size()),
        eos_token_ids=tiny_table().ends,
        token_table=tiny_table(),
        max_running=2,
        max_waiting=max_waiting,
    )


def asked(name: str, wanted: Constraint = LIST) -> Request:
    return msgspec.structs.replace(request(name, 300), constraint=wanted)


@pytest.mark.fault("F03")
async def test_a_killed_engine_changes_no_token_of_a_constrained_answer() -> None:
    quick = await started(settings(0.0))
    undisturbed = [Running(quick, asked(name)) for name in ("one", "other")]
    await asyncio.gather(*(stream.ended() for stream in undisturbed))
    await quick.close()
    client = await started(settings(0.005))
    streams = [Running(client, asked(name)) for name in ("one", "other")]
    for stream in streams:
        await stream.has(6)
    kill(client)
    await asyncio.gather(*(stream.ended() for stream in streams))
    assert client.num_restarts == 1
    for stream, before in zip(streams, undisturbed, strict=True):
        assert (stream.tokens, stream.finish) == (before.tokens, before.finish)
        assert stream.reason is FinishReason.STOP
    await client.close()


async def test_leaving_while_the_constraint_compiles_leaves_nothing_behind() -> None:
    client = await started(settings(0.0))
    for number in range(20):
        stream = Running(client, asked(f"{number}", constraint("regex", f"a{{{number}}}b")))
        await asyncio.sleep(0)
        stream.task.cancel()
    last = Running(client, asked("last", CASES[0].constraint))
    await last.ended()
    assert last.reason is FinishReason.STOP
    assert client.load.num_running == client.load.num_waiting == 0
    await client.close()


async def test_what_an_engine_cannot_enforce_it_refuses() -> None:
    """The front asks elsewhere first; this is for what it did not foresee."""
    client = await started(settings(0.0))
    wrong = Running(client, asked("wrong", constraint("regex", "(")))
    with pytest.raises(UnsupportedConstraint):
        await wrong.ended()
    await client.close()


async def test_no_more_constraints_are_prepared_than_requests_may_wait() -> None:
    client = await started(settings(0.005, max_waiting=2))
    streams = [Running(client, asked(f"{number}")) for number in range(12)]
    outcomes = await asyncio.gather(*(one.task for one in streams), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Overloaded)]
    assert 0 < len(refused) <= 10
    assert all(outcome is None for outcome in outcomes if outcome not in refused)
    await client.close()


async def test_an_engine_without_a_table_enforces_nothing_and_says_so() -> None:
    client = await started(EngineSettings(executor="fake"))
    with pytest.raises(UnsupportedConstraint):
        await Running(client, asked("a")).ended()
    await client.close()
