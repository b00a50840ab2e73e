"""Stoker: serving language models, from a laptop with no GPU to a fleet of them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from stoker.version import VERSION as __version__  # noqa: N811 - as tools expect it

if TYPE_CHECKING:
    from stoker.async_engine import AsyncEngine
    from stoker.core.constraint import Constraint, ConstraintKind
    from stoker.core.sampling import SamplingParams
    from stoker.llm import LLM, Completion

__all__ = [
    "LLM",
    "AsyncEngine",
    "Completion",
    "Constraint",
    "ConstraintKind",
    "SamplingParams",
    "__version__",
]

_HOMES = {
    "LLM": ("stoker.llm", "LLM"),
    "Completion": ("stoker.llm", "Completion"),
    "SamplingParams": ("stoker.core.sampling", "SamplingParams"),
    "Constraint": ("stoker.core.constraint", "Constraint"),
    "ConstraintKind": ("stoker.core.constraint", "ConstraintKind"),
    "AsyncEngine": ("stoker.async_engine", "AsyncEngine"),
}


def __getattr__(name: str) -> Any:
    """Public names load on first use, so that `import stoker` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'stoker' has no attribute '{name}'")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)
