"""Budgets outlive their process: nothing settled is lost at an orderly end, and nothing can be
spent twice after a kill."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from stoker.core.clock import ManualClock
from stoker.errors import BudgetExhausted, NoCapacity, SetupError
from stoker.gateway.ledger import Ask
from stoker.gateway.stores.sqlite import SqliteLedger
from stoker.gateway.tenant import Tenant, TenantLimits
from stoker.gateway.usage import Price, Usage

BUDGET = 1_000_000
PRICE = Price(input=1, output=1)
TENANT = Tenant(name="a", limits=TenantLimits(budget=BUDGET, budget_window="ever"))


def ask(number: int, tokens: int = 100) -> Ask:
    return Ask(
        request_id=f"r{number}", tenant=TENANT, key_id="k", model="m", price=PRICE,
        input_tokens=tokens, output_tokens=tokens, seconds=600.0,
    )  # fmt: skip


async def spend(ledger: SqliteLedger, number: int, tokens: int = 100) -> int:
    grant = await ledger.reserve(ask(number, tokens))
    usage = Usage(input_tokens=tokens, output_tokens=grant.output_tokens)
    await ledger.settle(grant, usage, "stop")
    return usage.total_tokens


async def test_what_was_spent_is_known_after_an_orderly_end(tmp_path: Path) -> None:
    ledger = await SqliteLedger.open(tmp_path / "usage.db", [TENANT], ManualClock())
    spent = sum([await spend(ledger, number) for number in range(20)])
    await ledger.close()
    again = await SqliteLedger.open(tmp_path / "usage.db", [TENANT], ManualClock())
    assert again.limits.accounts["a"].spent == spent == 4000
    await again.close()
    rows = sqlite3.connect(tmp_path / "usage.db").execute(
        "select requests, input_tokens, output_tokens, cost from hourly"
    )
    assert list(rows) == [(20, 2000, 2000, 4000)]


async def test_a_thousand_clients_at_once_never_pass_the_budget(tmp_path: Path) -> None:
    ledger = await SqliteLedger.open(tmp_path / "usage.db", [TENANT], ManualClock())
    spent = 0

    async def client(number: int) -> None:
        nonlocal spent
        for turn in range(3):
            try:
                used = await spend(ledger, number * 10 + turn, 300)
            except BudgetExhausted:
                return
            spent += used

    await asyncio.gather(*(client(number) for number in range(1000)))
    assert BUDGET - 601 <= spent <= BUDGET
    with pytest.raises(BudgetExhausted):
        await ledger.reserve(ask(99_999, 300))
    await ledger.close()


CHILD = """
import asyncio, sys
from tests.unit.gateway.test_sqlite_ledger import TENANT, ManualClock, SqliteLedger, spend
from pathlib import Path

async def main():
    ledger = await SqliteLedger.open(Path(sys.argv[1]), [TENANT], ManualClock())
    total = 0
    for number in range(int(sys.argv[2]), 10**9):
        total += await spend(ledger, number)
        print(total, flush=True)

asyncio.run(main())
"""


async def test_after_a_kill_nothing_can_be_spent_twice(tmp_path: Path) -> None:
    """Each life is killed somewhere; what all of them spent stays within the budget."""
    path, spent = tmp_path / "usage.db", 0
    for life in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path), str(life * 10**6)],
            stdout=subprocess.PIPE, text=True, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert child.stdout is not None
        assert child.stderr is not None
        last = 0
        for line in child.stdout:
            last = int(line)
            if last >= 300 * 200:
                os.kill(child.pid, signal.SIGKILL)
                break
        rest = child.stdout.read().split()
        child.wait()
        child.stdout.close()
        child.stderr.close()
        spent += int(rest[-1]) if rest else last
    ledger = await SqliteLedger.open(path, [TENANT], ManualClock())
    known = ledger.limits.accounts["a"].spent
    assert spent <= known <= spent + 4 * BUDGET * 0.02
    await ledger.close()


async def test_a_file_that_is_none_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "usage.db"
    path.write_bytes(b"this is no database, however long it may be" * 100)
    with pytest.raises(SetupError, match="cannot be used"):
        await SqliteLedger.open(path, [TENANT], ManualClock())


async def test_while_the_file_cannot_be_written_no_new_money_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "usage.db"
    ledger = await SqliteLedger.open(path, [TENANT], ManualClock())
    await spend(ledger, 1)
    await ledger._on_thread(ledger._file.close)
    with pytest.raises(NoCapacity):
        for number in range(2, 200):
            await spend(ledger, number)
    assert ledger.limits.num_open == 0
    await ledger._on_thread(ledger._file.open)
    await spend(ledger, 1000)
    await ledger.close()


async def test_a_request_is_recorded_once(tmp_path: Path) -> None:
    ledger = await SqliteLedger.open(tmp_path / "usage.db", [TENANT], ManualClock())
    grant = await ledger.reserve(ask(1))
    for _ in range(3):
        await ledger.settle(grant, Usage(input_tokens=100, output_tokens=5), "length")
    await ledger.close()
    rows = sqlite3.connect(tmp_path / "usage.db").execute("select tenant, key_id, cost from usage")
    assert list(rows) == [("a", "k", 105)]
