"""Derives from a chat template how its model writes answers.

The template is rendered with answers that hold known values, and the protocol is what it writes
around them (the idea is llama.cpp's, common/chat-auto-parser). What was derived is then tried on
answers the template writes; what does not read them back is not used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from stoker.text.calls.derive_calls import derive_calls
from stoker.text.calls.derive_reasoning import derive_reasoning, prompt_before
from stoker.text.calls.format import AnswerFormat
from stoker.text.calls.literal import Literal
from stoker.text.calls.pieces import Arguments, CallBegun, Content, Piece, Reasoning
from stoker.text.calls.probes import (
    ARGUMENTS,
    CONTENT,
    FIRST,
    KEYS,
    REASONING,
    REASONING_KEYS,
    SECOND,
    TEXT,
    TOOLS,
    Dialect,
    Prober,
    Render,
)
from stoker.text.calls.reader import AnswerReader
from stoker.text.calls.schemas import OfferedTools

Call = tuple[str, dict[str, Any]]


def derive(render: Render) -> tuple[AnswerFormat, Dialect]:
    """Without `calls` where the template does not write calls in a way that can be read back."""
    best: tuple[AnswerFormat, Dialect] | None = None
    for dialect in _dialects():
        prober = Prober(render, dialect)
        form = _derive(prober)
        if form.calls and (not _writes_reasoning(prober) or form.reasoning):
            return form, dialect
        if best is None or (form.calls and not best[0].calls):
            best = form, dialect
    return best or (AnswerFormat(), Dialect())


def _dialects() -> Iterator[Dialect]:
    for as_text in (False, True):
        for key in REASONING_KEYS:
            yield Dialect(as_text, key)


def _derive(prober: Prober) -> AnswerFormat:
    reasoning, content_open = derive_reasoning(prober)
    plain = prober.answer(CONTENT)
    epilogue = plain.text.partition(CONTENT)[2] if plain else ""
    calls, closings = derive_calls(prober, epilogue)
    form = AnswerFormat(
        reasoning,
        calls,
        Literal.of(content_open),
        tuple(Literal.of(text) for text in (*closings, epilogue) if text.strip()),
    )
    return form if calls is None or reads_back(prober, form) else replace(form, calls=None)


def _writes_reasoning(prober: Prober) -> bool:
    written = prober.answer(CONTENT, reasoning=REASONING)
    return written is not None and REASONING in written.text


NESTED = {
    KEYS[0]: 'two words, and a "quote"\n{line}',
    KEYS[2]: -7,
    "key_d_four": {"deep": [1, "x"]},
}
CASES: tuple[tuple[str | None, list[Call]], ...] = (
    (None, [(FIRST, ARGUMENTS)]),
    (None, [(SECOND, NESTED)]),
    (None, [(FIRST, {})]),
    (CONTENT, [(FIRST, ARGUMENTS)]),
    (CONTENT, [(FIRST, ARGUMENTS), (SECOND, {KEYS[1]: TEXT})]),
)


def reads_back(prober: Prober, form: AnswerFormat) -> bool:
    """Whether what the template writes is what the form reads. A template may leave out text that
    stands beside calls, or call it reasoning, leave out calls, and it may refuse."""
    return all(_reads(prober, form, content, calls) for content, calls in CASES)


def _reads(prober: Prober, form: AnswerFormat, content: str | None, calls: list[Call]) -> bool:
    written = prober.answer(content, calls)
    if written is None:
        return len(calls) > 1 or bool(content)
    prompt = written.prompt
    if form.reasoning:
        close = form.reasoning.close
        reasons = close.first in written.text
        prompt = prompt_before(prober, written, close) if reasons else ""
    reader = AnswerReader(form, OfferedTools(TOOLS), prompt)
    read = _Read([*reader.push(written.text), *reader.end()])
    shown = [call for call in calls if call[0] in written.text]
    text = CONTENT if CONTENT in written.text else ""
    return read.calls == shown and (read.content + read.reasoning).strip() == text


class _Read:
    """Pieces joined again."""

    def __init__(self, pieces: list[Piece]) -> None:
        self.calls: list[Call] = []
        self.content = self.reasoning = ""
        texts: list[str] = []
        names: list[str] = []
        for piece in pieces:
            match piece:
                case CallBegun(name):
                    names.append(name)
                    texts.append("")
                case Arguments(text):
                    texts[-1] += text
                case Content(text):
                    self.content += text
                case Reasoning(text):
                    self.reasoning += text
        self.calls = [(name, _loaded(text)) for name, text in zip(names, texts, strict=True)]


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
