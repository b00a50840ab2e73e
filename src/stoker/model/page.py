"""docs/models.md, from the registry: `python -m stoker.model.page docs/models.md` writes it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from stoker.model.families.family import Family
from stoker.model.registry import FAMILIES

HEAD = """\
# Models

Written by `make models-page` from the registry (`src/stoker/model/registry.py`).

The native executor computes these architectures, from GGUF files and from folders of safetensors.
Each was compared with transformers on a small random checkpoint (`make golden`): the definition in
NumPy to 1e-3 in every logit, and the native core, whose cache of keys and values is in half
precision, in its greedy tokens (`tests/unit/model/test_architectures.py`); encoders in their hidden
states and scores (`tests/unit/model/test_encoders.py`). Any other architecture is refused in one
line that names the nearest of these.

| model_type | GGUF | what it is | limits |
|---|---|---|---|
"""


def models_page() -> str:
    """The whole page: one row for each module of families."""
    rows = [_row(list(group)) for _, group in groupby(FAMILIES, key=_module)]
    return HEAD + "".join(rows)


def _module(family: Family) -> str:
    return family.from_config.__module__


def _row(families: list[Family]) -> str:
    module = sys.modules[_module(families[0])]
    about = " ".join(inspect.cleandoc(module.__doc__ or "").split())
    limits = "; ".join(family.limits for family in families if family.limits)
    names = _listed(family.name for family in families)
    return f"| {names} | {_listed(f.gguf_name for f in families)} | {about} | {limits} |\n"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in dict.fromkeys(names))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(models_page(), encoding="utf-8")
