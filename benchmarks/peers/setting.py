"""What a catalog name means here: its file and the little that peers must be told of it."""

from __future__ import annotations

from benchmarks.peers.catalog import Setting
from stoker.config.load import load
from stoker.config.paths import cache_folder
from stoker.model.load import open_model
from stoker.model.pull import resolve

MODELS = ["smollm2:135m", "qwen2.5-coder:0.5b"]


def setting_of(name: str, threads: int) -> Setting:
    path = resolve(name, cache_folder(load().config.model))
    model = open_model(path)
    vocabulary = model.spec.vocab_size
    model.close()
    return Setting(name, path, vocabulary, threads)
