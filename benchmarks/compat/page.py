"""docs/compatibility.md, from benchmarks/results/compat/*.json."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import msgspec

from benchmarks.compat.record import Failure, Result

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "compat"
PAGE = ROOT / "docs" / "compatibility.md"
HEAD = """\
# Compatibility

Written by `make compat`: test suites and clients that others wrote, unchanged, against a real
`stoker serve` with small models. Each runs in an environment of its own with the versions named;
their code is fetched when they run and is not part of this repository.

| suite | version | passed | failed | share | do not apply |
| --- | --- | --- | --- | --- | --- |
"""


def results() -> list[Result]:
    """Every result there is, by title."""
    files = RESULTS.glob("*.json")
    found = [msgspec.json.decode(file.read_bytes(), type=Result) for file in files]
    return sorted(found, key=attrgetter("title"))


def page(found: Sequence[Result]) -> str:
    return HEAD + "".join(_row(one) for one in found) + "".join(_section(one) for one in found)


def write_page() -> None:
    PAGE.write_text(page(results()), encoding="utf-8")


def _row(one: Result) -> str:
    anchor = re.sub(r"[^\w -]", "", one.title.lower()).replace(" ", "-")
    name = f"[{one.title}](#{anchor})"
    counts = f"{one.passed:,} | {one.failed:,} | {100 * one.share:.1f} % | {one.not_applicable:,}"
    return f"| {name} | {one.version} | {counts} |\n"


def _section(one: Result) -> str:
    lines = [f"\n## {one.title}\n\n{one.about}\n"]
    if one.failures:
        lines.append("\nFailed:\n\n")
        ordered = sorted(one.failures, key=attrgetter("reason", "name"))
        lines += [
            _failed(reason, list(of)) for reason, of in groupby(ordered, attrgetter("reason"))
        ]
    if one.left_out:
        lines.append("\nDo not apply:\n\n")
        lines += [f"- {left.tests:,}: {left.reason}\n" for left in one.left_out]
    return "".join(lines)


def _failed(reason: str, failures: list[Failure]) -> str:
    return f"- {', '.join(f'`{one.name}`' for one in failures)}: {reason}\n"
