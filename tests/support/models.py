"""Real models by name, fetched once and kept where users keep theirs."""

from __future__ import annotations

import functools
from pathlib import Path

from stoker.config.load import load
from stoker.config.paths import cache_folder
from stoker.model.pull import resolve


@functools.cache
def model_path(name: str) -> Path:
    return resolve(name, cache_folder(load().config.model))
