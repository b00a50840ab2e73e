"""What a constraint does to the library that compiles it is done to another process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stoker.constrain import trial as module
from stoker.constrain.token_table import TokenTable
from stoker.constrain.trial import Trial
from stoker.core.constraint import Constraint
from stoker.errors import Overloaded, UnsupportedConstraint
from tests.support import leaks
from tests.support.constraints import CASES, Case, constraint, tiny_table

GOOD = CASES[0].constraint
ENDLESS = constraint("regex", "(a|b|c)*x" * 2)


@pytest.fixture(autouse=True)
async def check_for_leaks() -> AsyncIterator[None]:
    async with leaks.nothing_left_behind():
        yield


@pytest.fixture
async def trial() -> AsyncIterator[Trial]:
    made = Trial(tiny_table())
    yield made
    await made.close()


async def test_what_can_be_enforced_passes_and_is_not_tried_twice(trial: Trial) -> None:
    for case in CASES:
        await trial.check(case.constraint, "field")
    await trial.close()
    for case in CASES:
        await trial.check(case.constraint, "field")
    assert trial.process_id is None, "remembered"


async def test_a_refusal_names_the_field_and_the_reason(trial: Trial) -> None:
    for _ in range(2):
        with pytest.raises(UnsupportedConstraint, match="'field' cannot be enforced: ") as caught:
            await trial.check(constraint("regex", "("), "field")
        assert caught.value.param == "field"
        assert caught.value.hint


async def test_a_process_that_dies_over_a_constraint_twice_refuses_it(trial: Trial) -> None:
    await trial.check(GOOD, "field")
    asking = asyncio.create_task(trial.check(ENDLESS, "field"))
    killed: set[int] = set()
    while not asking.done():
        if (pid := trial.process_id) is not None and pid not in killed:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        await asyncio.sleep(0)
    with pytest.raises(UnsupportedConstraint, match="takes too long, or too much memory"):
        await asking
    assert len(killed) == 2
    await trial.check(CASES[1].constraint, "field")


async def test_a_death_that_the_constraint_is_not_to_blame_for_changes_nothing(
    trial: Trial,
) -> None:
    await trial.check(GOOD, "field")
    pid = trial.process_id
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    asking = asyncio.create_task(trial.check(CASES[1].constraint, "field"))
    await asyncio.sleep(0)
    os.kill(pid, signal.SIGKILL)
    await asking
    assert trial.process_id not in (None, pid)


async def test_on_a_machine_too_busy_it_is_overload_and_tried_again_later(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    await trial.check(GOOD, "field")
    pid = trial.process_id
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    with pytest.raises(Overloaded):
        await trial.check(CASES[1].constraint, "field")
    monkeypatch.undo()
    await trial.check(CASES[1].constraint, "field")


async def test_no_more_than_so_many_wait(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    asked = [
        asyncio.create_task(trial.check(constraint("regex", "a" * n), "field")) for n in range(1, 4)
    ]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), type(None), Overloaded]


async def test_whoever_leaves_while_theirs_is_tried_holds_up_nobody(trial: Trial) -> None:
    leaving = asyncio.create_task(trial.check(GOOD, "field"))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await trial.check(GOOD, "field")


async def test_verdicts_are_remembered_up_to_a_number(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    for text in ("a", "b", "c", "d"):
        await trial.check(constraint("regex", text), "field")
    await trial.close()
    await trial.check(constraint("regex", "d"), "field")
    assert trial.process_id is None
    await trial.check(constraint("regex", "a"), "field")
    assert trial.process_id is not None


async def test_a_table_that_knows_nothing_constrains_nothing() -> None:
    trial = Trial(TokenTable())
    with pytest.raises(UnsupportedConstraint):
        await trial.check(GOOD, "field")
    await trial.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_half_a_character_is_refused(trial: Trial, case: Case) -> None:
    odd = Constraint(case.constraint.kind, case.constraint.text + "\ud800")
    with pytest.raises(UnsupportedConstraint):
        await trial.check(odd, "field")


async def test_its_process_has_limits_of_memory_and_time_and_a_low_priority(
    trial: Trial,
) -> None:
    await trial.check(GOOD, "field")
    limits = Path(f"/proc/{trial.process_id}/limits").read_text().splitlines()
    soft = {line[:26].strip(): line[26:].split()[0] for line in limits}
    assert 0 < int(soft["Max cpu time"]) < 60
    assert 0 < int(soft["Max address space"]) < 4 << 30
    assert os.getpriority(os.PRIO_PROCESS, trial.process_id or 0) == min(19, os.nice(0) + 10)
