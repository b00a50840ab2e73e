"""How each test of a suite ended: what suites write and the page is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec


class Record(msgspec.Struct, frozen=True):
    """What a run leaves in its report: names of tests, with reasons where they did not pass."""

    passed: Sequence[str]
    failed: Mapping[str, str]
    not_applicable: Mapping[str, str] = {}


class Failure(msgspec.Struct, frozen=True):
    name: str
    reason: str


class LeftOut(msgspec.Struct, frozen=True):
    reason: str
    tests: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One file of benchmarks/results/compat."""

    suite: str
    title: str
    about: str
    version: str
    passed: int
    failed: int
    not_applicable: int
    failures: list[Failure]
    left_out: list[LeftOut]

    @property
    def share(self) -> float:
        """Of the tests that apply, how many passed."""
        return self.passed / max(1, self.passed + self.failed)


def result(suite: str, title: str, about: str, version: str, record: Record) -> Result:
    reasons = Counter(record.not_applicable.values())
    return Result(
        suite=suite,
        title=title,
        about=about,
        version=version,
        passed=len(record.passed),
        failed=len(record.failed),
        not_applicable=len(record.not_applicable),
        failures=[Failure(name, reason) for name, reason in sorted(record.failed.items())],
        left_out=[LeftOut(reason, count) for reason, count in sorted(reasons.items())],
    )
