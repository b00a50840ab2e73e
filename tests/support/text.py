"""A small byte-level tokenizer with a chat template, as a model file would describe it."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from stoker.text.load import TextModel, load_text
from tests.support.checkpoints import CONTROL, TEMPLATE, vocabulary


@functools.cache
def tiny_text(template: str | None = TEMPLATE, more_control: tuple[str, ...] = ()) -> TextModel:
    """`more_control` are control tokens besides the usual ones."""
    tokens, merges = vocabulary()
    normal = len(tokens) - len(CONTROL)
    tokens = [*tokens, *more_control]
    metadata: dict[str, object] = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [1] * normal + [3] * (len(CONTROL) + len(more_control)),
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": normal,
        "tokenizer.ggml.eos_token_id": normal + 3,
    }
    if template is not None:
        metadata["tokenizer.chat_template"] = template
    with tempfile.TemporaryDirectory() as folder:
        return load_text(Path("tiny"), metadata, Path(folder))


def vocab_size() -> int:
    return len(vocabulary()[0])
