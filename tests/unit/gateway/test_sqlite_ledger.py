"""Budgets outlive their process: nothing settled is lost at an orderly end, and nothing can be
spent twice after a kill (F11, F20)."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from stoker.config.fleet_schema import StoreSection
from stoker.core.clock import ManualClock
from stoker.errors import BudgetExhausted, SetupError, StorageUnavailable
from stoker.gateway.ledger import Grant, Ledger
from stoker.gateway.stores import journal, usage_file
from stoker.gateway.stores.choice import open_ledger
from stoker.gateway.usage import Usage
from tests.support.tenants import ask, spend, spend_all, tenant

BUDGET = 1_000_000
TENANT = tenant(budget=BUDGET, budget_window="ever")
FREE = tenant("free")
NAME = "usage.db"


@asynccontextmanager
async def ledger_at(folder: Path, clock: ManualClock | None = None) -> AsyncIterator[Ledger]:
    ledger = await open_ledger(StoreSection(), [TENANT], folder, clock or ManualClock())
    try:
        yield ledger
    finally:
        await ledger.close()


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / NAME)) as connection:
        return connection.execute(query).fetchall()


def gone(folder: Path) -> int:
    return sum(int(str(row[0])) for row in rows(folder, "select drawn from spending"))


async def test_what_was_spent_is_known_after_an_orderly_end(tmp_path: Path) -> None:
    async with ledger_at(tmp_path) as ledger:
        spent = sum([await spend(ledger, TENANT) for _ in range(20)])
    assert gone(tmp_path) == spent == 4000
    assert rows(
        tmp_path, "select requests, failed, input_tokens, output_tokens, cost from hourly"
    ) == [(20, 0, 2000, 2000, 4000)]
    async with ledger_at(tmp_path) as ledger:
        assert await spend_all([ledger], TENANT, 1, 10_000) == BUDGET - spent


async def test_a_request_that_still_runs_at_the_end_counts_at_its_worst(tmp_path: Path) -> None:
    async with ledger_at(tmp_path) as ledger:
        await ledger.reserve(ask(TENANT, 500))
    assert gone(tmp_path) == 1000


async def test_a_thousand_clients_at_once_never_pass_the_budget(tmp_path: Path) -> None:
    """Through two ledgers, as two processes would have it."""
    async with ledger_at(tmp_path) as one, ledger_at(tmp_path) as other:
        assert await spend_all([one, other], TENANT, 1000, 300) == BUDGET
        with pytest.raises(BudgetExhausted):
            await one.reserve(ask(TENANT, 1))
    assert gone(tmp_path) == BUDGET


async def left(ledger: Ledger) -> int:
    """What the budget still pays for."""
    grant = await ledger.reserve(ask(TENANT, 1, output=BUDGET))
    await ledger.settle(grant, Usage(), "cancelled")
    return 1 + grant.output_tokens


CHILD = """
import asyncio, sys
from pathlib import Path
from tests.unit.gateway.test_sqlite_ledger import TENANT, ledger_at, spend

async def main():
    total = 0
    async with ledger_at(Path(sys.argv[1])) as ledger:
        while True:
            total += await spend(ledger, TENANT)
            print(total, flush=True)

asyncio.run(main())
"""


def life(folder: Path, enough: int) -> int:
    """One process that spends until it is killed. Returns what it said it has spent."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        last = 0
        for line in child.stdout:
            last = int(line)
            if last >= enough:
                os.kill(child.pid, signal.SIGKILL)
                break
        rest = child.stdout.read().split("\n")[:-1]
    return int(rest[-1]) if rest else last


async def test_after_a_kill_nothing_can_be_spent_twice(tmp_path: Path) -> None:
    spent = sum(life(tmp_path, 200 * requests) for requests in (1, 150, 700))
    known = gone(tmp_path)
    assert spent <= known <= spent + 3 * (BUDGET // 100 + 400)
    async with ledger_at(tmp_path) as ledger:
        assert await left(ledger) == BUDGET - known


async def test_a_client_that_leaves_while_money_is_drawn_takes_none_along(tmp_path: Path) -> None:
    async with ledger_at(tmp_path) as ledger:
        for turns in range(6):
            leaving = asyncio.create_task(ledger.reserve(ask(TENANT, 100_000 * turns)))
            for _ in range(turns):
                await asyncio.sleep(0)
            leaving.cancel()
            (found,) = await asyncio.gather(leaving, return_exceptions=True)
            if isinstance(found, Grant):  # the money was there already
                await ledger.settle(found, Usage(), "cancelled")
        assert await left(ledger) == BUDGET


async def test_a_reservation_nobody_settles_is_recorded_at_its_worst(tmp_path: Path) -> None:
    clock = ManualClock()
    async with ledger_at(tmp_path, clock) as ledger:
        lost = await ledger.reserve(ask(TENANT, 100, seconds=60.0))
        clock.advance(60.0)
        await spend(ledger, TENANT, 1)
        await ledger.settle(lost, Usage(), "stop")
    assert rows(tmp_path, "select outcome, cost from usage order by cost") == [
        ("stop", 2),
        ("reservation_expired", 200),
    ]


async def test_a_request_is_recorded_once(tmp_path: Path) -> None:
    async with ledger_at(tmp_path) as ledger:
        grant = await ledger.reserve(ask(TENANT))
        for _ in range(3):
            await ledger.settle(grant, Usage(input_tokens=100, output_tokens=5), "length")
    assert rows(tmp_path, "select tenant, key_id, cost from usage") == [("a", "k", 105)]


async def test_single_requests_are_forgotten_and_sums_are_not(tmp_path: Path) -> None:
    clock = ManualClock()
    async with ledger_at(tmp_path, clock) as ledger:
        await spend(ledger, FREE)
    clock.advance(usage_file.KEEP_SECONDS + 1)
    async with ledger_at(tmp_path, clock) as ledger:
        await spend(ledger, FREE)
    assert rows(tmp_path, "select count(*) from usage") == [(1,)]
    assert rows(tmp_path, "select sum(requests) from hourly") == [(2,)]


@pytest.mark.parametrize("damage", ["text", "page", "folder"])
async def test_a_damaged_file_is_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / NAME
    if damage == "text":
        path.write_bytes(b"this is no database, however long it may be" * 100)
    elif damage == "folder":
        path.mkdir()
    else:
        async with ledger_at(tmp_path) as ledger:
            await spend(ledger, FREE)
        content = bytearray(path.read_bytes())
        content[4096:8192] = b"\xff" * 4096
        path.write_bytes(content)
    with pytest.raises(SetupError, match="cannot be used") as refused:
        await open_ledger(StoreSection(), [TENANT], tmp_path, ManualClock())
    assert "move the damaged one away" in refused.value.hint


async def test_a_file_of_another_version_is_left_alone(tmp_path: Path) -> None:
    async with ledger_at(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / NAME)) as connection:
        connection.execute("pragma user_version = 99")
    with pytest.raises(SetupError, match="version 99"):
        await open_ledger(StoreSection(), [TENANT], tmp_path, ManualClock())


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_file, "BUSY_SECONDS", 0.01)
    monkeypatch.setattr(journal, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(journal, "RETRY_SECONDS", 0.01)


@pytest.mark.usefixtures("impatient")
async def test_while_the_file_is_locked_only_new_money_waits(tmp_path: Path) -> None:
    """Tenants without a budget and budgets with money at hand go on; records are kept."""
    async with ledger_at(tmp_path) as ledger:
        await spend(ledger, TENANT)
        with closing(sqlite3.connect(tmp_path / NAME, isolation_level=None)) as other:
            other.execute("begin immediate")
            for _ in range(30):
                await spend(ledger, FREE)
                await spend(ledger, TENANT)
            with pytest.raises(StorageUnavailable):
                await ledger.reserve(ask(TENANT, BUDGET // 4))
            other.execute("rollback")
        await spend(ledger, TENANT, BUDGET // 4)
    assert rows(tmp_path, "select sum(requests) from hourly") == [(62,)]


@pytest.mark.usefixtures("impatient")
async def test_a_full_disk_refuses_budgets_and_nothing_else(tmp_path: Path) -> None:
    async with ledger_at(tmp_path) as ledger:
        store = ledger._store  # type: ignore[attr-defined]
        full = "pragma max_page_count = 1"  # SQLite then says that the disk is full
        await store._run(lambda: store._file._connection.execute(full).fetchall())
        for _ in range(500):
            await spend(ledger, FREE)
        for _ in range(3):
            with pytest.raises(StorageUnavailable):
                for _ in range(1000):
                    await spend(ledger, tenant(f"t{_}", budget=BUDGET))
        more = "pragma max_page_count = 100000"
        await store._run(lambda: store._file._connection.execute(more).fetchall())
        await spend(ledger, TENANT)
    assert int(str(rows(tmp_path, "select sum(requests) from hourly")[0][0])) >= 501


@pytest.mark.usefixtures("impatient")
async def test_records_that_wait_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(journal, "MOST_RECORDS", 10)
    async with ledger_at(tmp_path) as ledger:
        with closing(sqlite3.connect(tmp_path / NAME, isolation_level=None)) as other:
            other.execute("begin immediate")
            for _ in range(25):
                await spend(ledger, FREE)
            other.execute("rollback")
    assert rows(tmp_path, "select count(*) from usage") == [(10,)]
    assert "15 usage records are lost" in caplog.text


async def test_a_raised_budget_holds_at_once(tmp_path: Path) -> None:
    async with ledger_at(tmp_path) as ledger:
        await spend_all([ledger], TENANT, 1, 10_000)
        more = tenant(budget=BUDGET + 500, budget_window="ever")
        ledger.update([more])
        assert await spend(ledger, more, 250) == 500
        with pytest.raises(BudgetExhausted):
            await spend(ledger, more, 1)
