"""Builds a model's text layer from its metadata, with the costly part cached on disk."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stoker.errors import ConfigError, ModelFileError
from stoker.text import huggingface, tokenizer_json
from stoker.text.cache import cached
from stoker.text.calls.protocol import ChatProtocol, derive_protocol
from stoker.text.chat_template import ChatTemplate
from stoker.text.frame import NO_FRAME, Frame, frame_of
from stoker.text.tokenizer import Tokenizer
from stoker.text.vocabulary import Vocabulary
from stoker.text.word_pieces import completed


@dataclass(frozen=True, slots=True)
class TextModel:
    tokenizer: Tokenizer
    chat_template: ChatTemplate | None
    """None for a base model, which has no notion of messages."""
    protocol: ChatProtocol | None = None
    """How its answers are written; None where there is no template."""
    frame: Frame = NO_FRAME
    """What stands around a text of which it makes a vector."""


def load_vocabulary(path: Path, metadata: Mapping[str, Any]) -> Vocabulary:
    """The quick part of `load_text`: all an engine needs to know of text is which tokens end it.

    Raises ModelFileError or UnsupportedModel.
    """
    with _blaming(path):
        metadata = completed(metadata)
        if "tokenizer.json" in metadata:
            return huggingface.vocabulary(metadata)
        return Vocabulary.from_gguf(metadata)


def load_text(
    path: Path,
    metadata: Mapping[str, Any],
    cache_folder: Path,
    vocabulary: Vocabulary | None = None,
) -> TextModel:
    """Raises ModelFileError, UnsupportedModel or ConfigError."""
    vocabulary = vocabulary or load_vocabulary(path, metadata)
    with _blaming(path):
        metadata = completed(metadata)
        if "tokenizer.json" in metadata:
            source = huggingface.stripped(metadata)
        else:
            build = functools.partial(tokenizer_json.build, vocabulary, metadata)
            source = cached(cache_folder / "tokenizers", metadata, build)
        tokenizer = Tokenizer(vocabulary, source)
        frame = frame_of(metadata, vocabulary)
    template = _chat_template(metadata, tokenizer)
    protocol = None if template is None else derive_protocol(template, tokenizer)
    return TextModel(tokenizer, template, protocol, frame)


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise ModelFileError(path, f"its tokenizer is unusable ({reason})") from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # the Rust library's, which has no module
            raise
        raise ModelFileError(path, "its tokenizer is unusable") from None


def _chat_template(metadata: Mapping[str, Any], tokenizer: Tokenizer) -> ChatTemplate | None:
    source = metadata.get("tokenizer.chat_template") or huggingface.chat_template(metadata)
    if source is None:
        return None
    if not isinstance(source, str):
        raise ConfigError("the model's chat template is not a string")
    vocabulary = tokenizer.vocabulary
    bos = vocabulary.bos_token_id
    end = metadata.get("tokenizer.ggml.eos_token_id", min(vocabulary.eos_token_ids, default=None))
    spelled = [
        vocabulary.tokens[token]
        if isinstance(token, int) and token < len(vocabulary.tokens)
        else ""
        for token in (bos, end)
    ]
    return ChatTemplate(source, tokenizer, *spelled)
