"""What pytest loads beside tests of others: which of them apply, and how each ended.

COMPAT_SCOPE names a TOML file of `[[not_applicable]]` and `[[known]]` groups: `tests`, each a file,
a function with all its cases, or a pattern; and the `reason`, instead of the failure's own message
for known ones. COMPAT_REPORT says where the record goes. Needs pytest alone: it runs in the
environment of the suite.
"""

from __future__ import annotations

import fnmatch
import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

MESSAGE_CHARACTERS = 200


class Scope:
    def __init__(self, path: Path) -> None:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        self._not_applicable: list[dict[str, Any]] = found.get("not_applicable", [])
        self._known: list[dict[str, Any]] = found.get("known", [])

    def why_not(self, name: str) -> str | None:
        """Why this test says nothing of our server; None: it applies."""
        return _reason(self._not_applicable, name)

    def why_failed(self, name: str) -> str | None:
        """None: nobody has looked at it yet."""
        return _reason(self._known, name)


class Recorder:
    def __init__(self, scope: Scope, report: Path) -> None:
        self._scope = scope
        self._report = report
        self._passed: dict[str, None] = {}
        self._failed: dict[str, str] = {}
        self._not_applicable: dict[str, str] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        kept = []
        for item in items:
            reason = self._scope.why_not(item.nodeid)
            if reason is None:
                kept.append(item)
            else:
                self._not_applicable[item.nodeid] = reason
        items[:] = kept

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid
        if report.skipped and hasattr(report, "wasxfail"):
            self._not_applicable[name] = f"expected to fail by its authors: {report.wasxfail}"
        elif report.skipped:
            self._not_applicable[name] = f"skipped by its authors: {_skipped(report)}"
        elif report.failed:
            self._passed.pop(name, None)
            self._failed[name] = self._scope.why_failed(name) or _message(report)
        elif report.when == "call":
            self._passed[name] = None

    def pytest_sessionfinish(self) -> None:
        found = {
            "passed": list(self._passed),
            "failed": self._failed,
            "not_applicable": self._not_applicable,
        }
        self._report.write_text(json.dumps(found, indent=2), encoding="utf-8")


def _skipped(report: pytest.TestReport) -> str:
    where = report.longrepr
    said = where[2] if isinstance(where, tuple) else str(where)
    return said.removeprefix("Skipped: ")


def _message(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = (crash.message if crash else str(report.longrepr)).splitlines()
    return lines[0][:MESSAGE_CHARACTERS] if lines else "no message"


def _reason(groups: list[dict[str, Any]], name: str) -> str | None:
    for group in groups:
        if any(_matches(name, pattern) for pattern in group["tests"]):
            return str(group["reason"])
    return None


def _matches(name: str, pattern: str) -> bool:
    begins = name.startswith((f"{pattern}::", f"{pattern}["))
    return name == pattern or begins or fnmatch.fnmatchcase(name, pattern)


def pytest_configure(config: pytest.Config) -> None:
    scope = Scope(Path(os.environ["COMPAT_SCOPE"]))
    recorder = Recorder(scope, Path(os.environ["COMPAT_REPORT"]))
    config.pluginmanager.register(recorder, "stoker-recorder")
