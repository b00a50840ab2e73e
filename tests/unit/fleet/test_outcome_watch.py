"""What a front hears of the requests that a replica answers by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from stoker.core.clock import ManualClock
from stoker.fleet import outcome_watch
from stoker.fleet.outcome_watch import NEVER_BEGAN, SILENCE_SECONDS, Expected, OutcomeWatch
from stoker.fleet.replica_protocol import Outcome, Outcomes, OutcomesAsked


class Replica:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.questions: list[OutcomesAsked] = []
        self.answers: asyncio.Queue[Outcomes | OSError] = asyncio.Queue()

    async def ask(self, question: OutcomesAsked) -> Outcomes:
        self.questions.append(question)
        answer = await self.answers.get()
        if isinstance(answer, OSError):
            raise answer
        return answer

    def tell(self, *outcomes: Outcome, run: str = "r", unused: tuple[str, ...] = ()) -> None:
        self.answers.put_nowait(Outcomes(run=run, outcomes=list(outcomes), unused=list(unused)))

    async def asked(self, count: int) -> OutcomesAsked:
        """The question of this number, counted from one."""
        async with asyncio.timeout(10):
            while len(self.questions) < count:
                await asyncio.sleep(0)
        return self.questions[count - 1]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def replica() -> Replica:
    return Replica()


@asynccontextmanager
async def watching(replica: Replica, clock: ManualClock) -> AsyncIterator[OutcomeWatch]:
    watch = OutcomeWatch(replica.ask, clock)
    try:
        yield watch
    finally:
        await watch.close()


def expect(watch: OutcomeWatch, clock: ManualClock, ticket: str = "t", run: str = "r") -> Expected:
    return watch.expect(ticket, clock.wall() + 20, run)


def ended(ticket: str = "t", tokens: int = 5) -> Outcome:
    return Outcome(ticket=ticket, output_tokens=tokens, ending="stop")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome_watch, "PAUSE_SECONDS", 0.0)


async def test_an_outcome_is_told_and_the_replica_hears_when_it_is_noted(
    replica: Replica, clock: ManualClock
) -> None:
    async with watching(replica, clock) as watch:
        expected = expect(watch, clock)
        assert (await replica.asked(1)).done == []
        replica.tell(ended())
        assert await expected.outcome == ended()
        watch.note(expected)
        assert (await replica.asked(2)).done == ["t"]
        replica.tell()
        await watch.idle()


async def test_an_outcome_that_comes_again_counts_once(
    replica: Replica, clock: ManualClock
) -> None:
    """The replica repeats itself until it hears that it was understood."""
    async with watching(replica, clock) as watch:
        first, second = expect(watch, clock), expect(watch, clock, "u")
        replica.tell(ended())
        assert await first.outcome == ended()
        watch.note(first)
        await replica.asked(2)
        replica.answers.put_nowait(OSError())  # the answer that would have said so
        replica.tell(ended(tokens=9), ended("u"))
        assert await second.outcome == ended("u")
        assert first.outcome.result() == ended()
        assert replica.questions[2].done == ["t"]


async def test_a_silent_replica_is_asked_for_a_while_and_then_given_up(
    replica: Replica, clock: ManualClock
) -> None:
    async with watching(replica, clock) as watch:
        expected = expect(watch, clock)
        clock.advance(SILENCE_SECONDS - 1)
        replica.answers.put_nowait(OSError())
        assert (await replica.asked(2)).seconds == 0.0
        assert not expected.outcome.done()
        clock.advance(1)
        replica.answers.put_nowait(OSError())
        assert await expected.outcome is None


async def test_one_that_was_heard_is_not_silent(replica: Replica, clock: ManualClock) -> None:
    async with watching(replica, clock) as watch:
        expected = expect(watch, clock)
        clock.advance(SILENCE_SECONDS)
        replica.tell()
        await replica.asked(2)
        replica.answers.put_nowait(OSError())
        await replica.asked(3)
        assert not expected.outcome.done()


async def test_another_process_will_never_tell(replica: Replica, clock: ManualClock) -> None:
    async with watching(replica, clock) as watch:
        expected = expect(watch, clock)
        replica.tell(run="another", unused=("t",))
        assert await expected.outcome is None


async def test_a_ticket_that_nobody_used_is_asked_about_once_it_is_certainly_no_good(
    replica: Replica, clock: ManualClock
) -> None:
    async with watching(replica, clock) as watch:
        expected = expect(watch, clock)
        assert (await replica.asked(1)).late == []
        clock.advance(81)
        replica.tell()
        assert (await replica.asked(2)).late == ["t"]
        replica.tell(unused=("t",))
        assert await expected.outcome == Outcome(ticket="t", ending=NEVER_BEGAN)
