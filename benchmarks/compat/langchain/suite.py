"""LangChain's standard tests."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path

from benchmarks.compat.record import Record
from benchmarks.compat.suite import Suite
from benchmarks.compat.workplace import Workplace

HERE = Path(__file__).parent
SECONDS = 1800.0
CONFIG = """\
[engine]
max_context = 8192

[[models]]
name = "chat"
source = "qwen2.5-coder:1.5b"

[[models]]
name = "other"
source = "smollm2:135m"

[[models]]
name = "vectors"
source = "all-minilm:l6-v2"
"""
ONE_LOOP = [
    "-o", "asyncio_mode=auto",
    "-o", "asyncio_default_test_loop_scope=session",
    "-o", "asyncio_default_fixture_loop_scope=session",
]  # fmt: skip
"""Connections that LangChain keeps belong to the loop they were made in."""


def _run(place: Workplace) -> Record:
    with place.serving(CONFIG) as url:
        _await_models(url)
        return place.pytest(
            HERE, ["-c", "/dev/null", "--rootdir", str(HERE), *ONE_LOOP], SECONDS, STOKER_URL=url
        )


def _await_models(url: str) -> None:
    """Returns when all are loaded: one whose length is known is."""
    while True:
        with urllib.request.urlopen(f"{url}/v1/models") as response:
            models = json.load(response)["data"]
        if all(model["max_model_len"] for model in models):
            return
        time.sleep(0.2)


LANGCHAIN = Suite(
    name="langchain",
    title="LangChain's standard tests",
    about=(
        "langchain-tests, unit and integration, of ChatOpenAI and OpenAIEmbeddings of "
        "langchain-openai; the models are qwen2.5-coder:1.5b and all-minilm:l6-v2."
    ),
    run=_run,
)
