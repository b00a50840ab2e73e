"""Checks of a client, one function each, run one by one in the client's own environment.

Needs the standard library alone. STOKER_URL is our server; COMPAT_REPORT, where the record goes.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

URL = os.environ.get("STOKER_URL", "")
KEY = "a-key"
"""Of our server, which refuses others."""
TEXT, VECTORS = "smollm2:135m", "all-minilm:l6-v2"

_CHECKS: list[Callable[[], None]] = []


def check(function: Callable[[], None]) -> Callable[[], None]:
    """Passes unless it raises."""
    _CHECKS.append(function)
    return function


@contextmanager
def refused(kind: type[Exception], said: str = "") -> Iterator[None]:
    """Passes when what is inside raises such an error, whose text holds `said`."""
    try:
        yield
    except kind as error:
        assert said in str(error), f"{said!r} is not in {error}"
        return
    raise AssertionError(f"no {kind.__name__} was raised")


def report() -> None:
    """Runs every check and writes how each ended."""
    passed: list[str] = []
    failed: dict[str, str] = {}
    for one in _CHECKS:
        try:
            one()
        except Exception as error:  # whatever a client raises is what is reported
            traceback.print_exc()
            said = str(error).splitlines() or [""]
            failed[one.__name__] = f"{type(error).__name__}: {said[0]}"[:200]
        else:
            passed.append(one.__name__)
    Path(os.environ["COMPAT_REPORT"]).write_text(
        json.dumps({"passed": passed, "failed": failed}), encoding="utf-8"
    )
