"""Text layers of published vocabularies, built once a process."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from stoker.model.weights.gguf import GgufFile
from stoker.text.load import TextModel, load_text
from tests.support.sdist import llama_cpp_sdist


@functools.cache
def text_of(name: str) -> TextModel:
    path = llama_cpp_sdist() / f"ggml-vocab-{name}.gguf"
    with GgufFile.open(path) as file, tempfile.TemporaryDirectory() as cache:
        return load_text(path, file.metadata, Path(cache))
