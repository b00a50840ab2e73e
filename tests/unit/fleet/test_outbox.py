"""What a replica keeps until its fronts know it."""

from __future__ import annotations

import asyncio

import pytest

from stoker.fleet import outbox
from stoker.fleet.outbox import Outbox
from stoker.fleet.replica_protocol import Outcome


def ended(ticket: str) -> Outcome:
    return Outcome(ticket=ticket, ending="stop")


async def test_it_is_told_until_the_front_knows() -> None:
    kept = Outbox()
    known = kept.put("f", ended("t"))
    assert await kept.waiting("f", 0) == await kept.waiting("f", 0) == [ended("t")]
    kept.known("f", ["t", "never heard of"])
    assert known.is_set()
    assert await kept.waiting("f", 0) == []


async def test_no_front_is_told_of_another() -> None:
    kept = Outbox()
    kept.put("f", ended("t"))
    assert await kept.waiting("g", 0) == []
    kept.known("g", ["t"])
    assert await kept.waiting("f", 0) == [ended("t")]


async def test_who_waits_hears_at_once() -> None:
    kept = Outbox()
    waiting = asyncio.create_task(kept.waiting("f", 60))
    await asyncio.sleep(0)
    kept.put("g", ended("u"))
    await asyncio.sleep(0)
    assert not waiting.done()
    kept.put("f", ended("t"))
    assert await asyncio.wait_for(waiting, 10) == [ended("t")]


async def test_what_nobody_asks_for_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST_OUTCOMES", 2)
    monkeypatch.setattr(outbox, "MOST_FRONTS", 2)
    kept = Outbox()
    for number in range(5):
        kept.put("f", ended(str(number)))
    assert await kept.waiting("f", 0) == [ended("3"), ended("4")]
    for front in ("g", "h"):
        kept.put(front, ended("t"))
    assert ("f", "4") not in kept
    assert ("h", "t") in kept
