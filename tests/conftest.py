"""What holds for every test: fixed Hypothesis examples, signals that arrive, and no code made from
data (S01)."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from types import FrameType

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.fault_table"]

settings.register_profile(
    "stoker",
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("stoker")

# A shell starts what it puts in the background with SIGINT ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

WATCHED = frozenset({"exec", "compile", "pickle.find_class", "marshal.loads"})
MAKES_CODE = frozenset(
    {
        # The interpreter's own import system, and data classes of the standard library.
        "importlib", "zipimport", "zipfile", "runpy", "collections", "dataclasses", "enum",
        "functools", "inspect", "typing", "annotationlib", "linecache", "traceback", "ast", "cgi",
        # The test tools.
        "_pytest", "hypothesis", "pluggy", "pytest_asyncio", "tests", "conftest", "numpy",
        # Libraries that build classes or bind signatures while they are imported.
        "attr", "pydantic", "openai", "typing_extensions", "multidict", "aiohttp", "msgspec",
        "transformers", "torch",
        # Chat templates, compiled once at load inside the sandbox (tests/security).
        "jinja2",
    }
)  # fmt: skip
"""Top-level packages that may compile or execute code while tests run."""

_violations: list[str] = []


def _audit(event: str, _arguments: tuple[object, ...]) -> None:
    if event not in WATCHED:
        return
    frame: FrameType | None = sys._getframe(1)
    module = str(frame.f_globals.get("__name__", "?")) if frame else "?"
    top = module.lstrip("_").split(".")[0]
    imports = module.startswith("importlib") or module == "_frozen_importlib_external"
    if event in ("pickle.find_class", "marshal.loads"):
        if not imports and not module.startswith("zipimport"):
            _violations.append(f"{event} in {module}")
    elif not (imports or top in MAKES_CODE or module.split(".")[0] in MAKES_CODE):
        _violations.append(f"{event} in {module}")


sys.addaudithook(_audit)


@pytest.fixture(autouse=True)
def nothing_executes_from_data() -> Iterator[None]:
    """Fails the test in which data was unpickled or turned into code."""
    before = len(_violations)
    yield
    found = _violations[before:]
    if found:
        pytest.fail(f"code from data: {', '.join(sorted(set(found)))}")
