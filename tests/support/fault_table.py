"""The table of fault cases: which were tried in this run, by how many tests, and what came of it.

A test says which it tries with `@pytest.mark.fault("F01")`; `make faults` runs them all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import pytest

CASES = {
    "F01": "a replica is killed while it streams",
    "F02": "a replica hangs, and goes on later",
    "F03": "an engine is killed, its front lives",
    "F04": "a front is killed while it streams",
    "F06": "clients leave at every point of a request",
    "F07": "clients read slowly or never",
    "F08": "the network cuts, slices, delays, resets, swallows",
    "F12": "told to end under load",
    "F13": "told twice, while loading, or with clients gone",
    "F15": "the clock jumps",
    "F16": "replicas are replaced one by one, and the configuration changes",
    "F17": "the configuration is wrong",
    "F18": "names have no address, another or a dead one",
    "F19": "no file descriptor is left",
    "F22": "the two sides have different versions",
}

_cases: dict[str, tuple[str, ...]] = {}
_outcomes: dict[str, dict[str, str]] = defaultdict(dict)
"""Case → test → passed, failed or skipped."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fault(*cases): tries cases of the fault table")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        named = [case for mark in item.iter_markers("fault") for case in mark.args]
        unknown = set(named) - set(CASES)
        if unknown or (not named and item.get_closest_marker("fault") is not None):
            raise pytest.UsageError(f"{item.nodeid} names no known fault case: {unknown or '-'}")
        if named:
            _cases[item.nodeid] = tuple(named)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for case in _cases.get(report.nodeid, ()):
        before = _outcomes[case].get(report.nodeid)
        if report.when == "call" or report.outcome != "passed":
            _outcomes[case][report.nodeid] = "failed" if before == "failed" else report.outcome


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if "fault" not in str(config.getoption("-m")) or not _outcomes:
        return
    terminalreporter.section("faults")
    for case, what in CASES.items():
        terminalreporter.write_line(row(case, what, _outcomes.get(case, {}).values()))


def row(case: str, what: str, outcomes: Iterable[str]) -> str:
    """One line: a case is passed only when something tried it and nothing failed."""
    found = list(outcomes)
    failed = len(found) - found.count("passed")
    verdict = "not tried" if not found else f"FAILED {failed}" if failed else "passed"
    return f"{case}  {what:<62} {len(found):>4} tests  {verdict}"
