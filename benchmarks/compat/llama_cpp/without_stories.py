"""What pytest loads for llama.cpp's tests to run without the models they would download.

COMPAT_SCOPE's `any_text` names tests of which all is checked but that the text is what stories260K
would say.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    from utils import ServerPreset  # of the tests

    ServerPreset.load_all = staticmethod(lambda: None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Function) -> Iterator[None]:
    if item.nodeid not in _any_text():
        return (yield)
    module = item.module
    real = module.match_regex
    module.match_regex = lambda regex, text: isinstance(text, str)
    try:
        return (yield)
    finally:
        module.match_regex = real


def _any_text() -> list[str]:
    return tomllib.loads(Path(os.environ["COMPAT_SCOPE"]).read_text())["any_text"]["tests"]
