"""Clients of others, each a script of checks beside this file."""

from __future__ import annotations

from functools import partial

from benchmarks.compat.clients.checks import KEY, TEXT, VECTORS
from benchmarks.compat.record import Record
from benchmarks.compat.suite import Suite
from benchmarks.compat.workplace import Workplace

SECONDS = 300.0
CONFIG = f"""\
[server]
api_key = "{KEY}"

[[models]]
name = "{TEXT}"

[[models]]
name = "{VECTORS}"
"""
ONE_MODEL = CONFIG.rpartition("\n[[models]]")[0]
"""TGI's paths name no model."""
TITLES = {
    "anthropic": "anthropic",
    "huggingface": "huggingface_hub",
    "instructor": "instructor",
    "langchain-openai": "langchain-openai",
    "litellm": "litellm",
    "llm": "llm",
    "openai": "openai",
}


def script(name: str) -> str:
    return name.replace("-", "_")


def _run(module: str, place: Workplace) -> Record:
    config = ONE_MODEL if module == "huggingface" else CONFIG
    with place.serving(config) as url:
        return place.run(["-m", f"benchmarks.compat.clients.{module}"], SECONDS, STOKER_URL=url)


CLIENTS = tuple(
    Suite(
        name=name,
        title=f"Client: {title}",
        about=f"Checks of ours made with {title}: `benchmarks/compat/clients/{script(name)}.py`.",
        run=partial(_run, script(name)),
    )
    for name, title in TITLES.items()
)
