from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from stoker.cli.main import run
from stoker.config.fleet_schema import StoreSection
from stoker.core.clock import ManualClock
from stoker.gateway.stores.choice import open_ledger
from stoker.gateway.usage import Usage
from tests.support.tenants import PRICE, ask, tenant

NOON = 1_782_907_200.0
"""2026-07-01 12:00 UTC."""


@pytest.fixture(params=["sqlite", "postgresql"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Of a server on which three tenants have asked on two days; one of them failed once."""
    url = f"sqlite:///{tmp_path}/usage.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    asyncio.run(used(url, tmp_path))
    path = tmp_path / "stoker.toml"
    path.write_text(f'[store]\nurl = "{url}"\n')
    return path


async def used(url: str, folder: Path) -> None:
    clock = ManualClock(wall=NOON)
    ledger = await open_ledger(StoreSection(url=url), [], folder, clock)
    for number, outcome in enumerate(["stop", "stop", "replica_lost"]):
        for name in ("usage-a", "usage-b"):
            grant = await ledger.reserve(ask(tenant(name), 1000 * PRICE.input))
            usage = Usage(input_tokens=1000, cached_tokens=600, output_tokens=number)
            await ledger.settle(grant, usage, outcome)
        clock.advance(24 * 3600.0)
    await ledger.close()


def asked(
    config: Path, capsys: pytest.CaptureFixture[str], *arguments: str
) -> list[dict[str, object]]:
    assert run(["usage", "--config", str(config), "--json", *arguments]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_usage_by_tenant_day_and_model_for_programs_and_people(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = asked(config, capsys, "--tenant", "usage-a")
    assert found == [
        {
            "tenant": "usage-a", "requests": 3, "failed": 1, "input_tokens": 3000,
            "cached_tokens": 1800, "output_tokens": 3, "cost": 3003 / 1e9,
        }
    ]  # fmt: skip
    days = asked(
        config, capsys, "--tenant", "usage-b", "--by", "day,model", "--since", "2026-07-02"
    )
    assert [(line["day"], line["model"], line["requests"]) for line in days] == [
        ("2026-07-02", "m", 1),
        ("2026-07-03", "m", 1),
    ]
    assert {line["tenant"] for line in asked(config, capsys)} >= {"usage-a", "usage-b"}
    assert asked(config, capsys, "--tenant", "nobody") == []

    assert run(["usage", "--config", str(config), "--tenant", "usage-a"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["tenant", "requests", "failed", "input", "cached", "output", "cost"]
    assert line.split() == ["usage-a", "3", "1", "3,000", "1,800", "3", "0.000003"]


@pytest.mark.parametrize(
    "arguments", [["--by", "colour"], ["--since", "yesterday"], ["--tenant", "a"]]
)
def test_what_cannot_be_answered_is_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "stoker.toml"
    path.write_text(f'[store]\nurl = "sqlite:///{tmp_path}/none.db"\n')
    assert run(["usage", "--config", str(path), *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "none.db").exists()
