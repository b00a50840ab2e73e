"""`stoker usage`: who used how much, whether or not a server runs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from stoker.cli.options import config_file, loaded_config
from stoker.config.fleet_schema import StoreSection
from stoker.config.paths import cache_folder
from stoker.errors import ConfigError
from stoker.gateway.stores.choice import open_to_read
from stoker.gateway.stores.interface import UsageLine, UsageQuestion
from stoker.gateway.stores.usage_report import GROUPS
from stoker.gateway.usage import NANO


@click.command(name="usage")
@click.option("--by", "groups", default="tenant", show_default=True,
              help=f"One or more of {', '.join(GROUPS)}, with commas between them.")  # fmt: skip
@click.option("--tenant", default=None, help="Only this one.")
@click.option("--since", default=None, metavar="DATE", help="ISO date or time, UTC.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@config_file
@click.pass_context
def command(
    ctx: click.Context, groups: str, tenant: str | None, since: str | None, as_json: bool
) -> None:
    """Requests, tokens and money, summed by the hour."""
    chosen = [name.strip() for name in groups.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in GROUPS]
    if unknown:
        raise ConfigError(
            f"usage cannot be summed by '{unknown[0]}'", hint=f"By {', '.join(GROUPS)}."
        )
    config = loaded_config(ctx).config
    question = UsageQuestion(groups=tuple(chosen), tenant=tenant, since=_moment(since))
    lines = asyncio.run(_ask(config.store, cache_folder(config.model), question))
    for text in _as_json(lines, chosen) if as_json else _as_table(lines, chosen):
        click.echo(text)


async def _ask(section: StoreSection, folder: Path, question: UsageQuestion) -> list[UsageLine]:
    store = await open_to_read(section, folder)
    try:
        return await store.report(question)
    finally:
        await store.close()


def _moment(since: str | None) -> float:
    if since is None:
        return 0.0
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        raise ConfigError(f"'{since}' is no date", hint="Write it like 2026-05-31.") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _as_json(lines: list[UsageLine], groups: list[str]) -> list[str]:
    return [
        msgspec.json.encode(
            dict(zip(groups, line.group, strict=True))
            | {name: getattr(line, name) for name in line.__struct_fields__ if name != "group"}
            | {"cost": line.cost / NANO}
        ).decode()
        for line in lines
    ]


def _as_table(lines: list[UsageLine], groups: list[str]) -> list[str]:
    heads = (*groups, "requests", "failed", "input", "cached", "output", "cost")
    rows = [
        (
            *line.group,
            *(f"{n:,}" for n in (line.requests, line.failed, line.input_tokens)),
            *(f"{n:,}" for n in (line.cached_tokens, line.output_tokens)),
            f"{line.cost / NANO:.6f}",
        )
        for line in lines
    ]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return ["  ".join(_cells(row, widths, len(groups))).rstrip() for row in (heads, *rows)]


def _cells(row: tuple[str, ...], widths: list[int], left: int) -> list[str]:
    return [
        cell.ljust(width) if index < left else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
