"""The parts of an answer as sections - some reasoning, some text, one call - in the order in which
they come: what the content blocks of one interface and the output items of another are."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Protocol

from stoker.api.assembler import TextDelta
from stoker.core.output import TokenLogprobs
from stoker.text.calls.pieces import Arguments, CallBegun, Content, Piece, Reasoning


class SectionKind(Enum):
    TEXT = "text"
    REASONING = "reasoning"
    CALL = "call"


@dataclass(slots=True)
class Section:
    index: int
    kind: SectionKind
    name: str = ""
    """Of the tool that is called."""
    key: str = field(default_factory=lambda: secrets.token_hex(12))
    """What its ids are made of."""
    pieces: list[str] = field(default_factory=list)
    logprobs: list[TokenLogprobs] = field(default_factory=list)

    @property
    def text(self) -> str:
        """That of a call are its arguments, as the model wrote them."""
        return "".join(self.pieces)


def joined(sections: Sequence[Section], kind: SectionKind) -> str:
    """The text of all that are of one kind."""
    return "".join(section.text for section in sections if section.kind is kind)


class SectionForm(Protocol):
    """How one interface spells sections in a stream."""

    def begun(self, section: Section) -> bytes:
        """Nothing is in it yet."""
        ...

    def more(self, section: Section, text: str, logprobs: Sequence[TokenLogprobs]) -> bytes:
        """The text may be empty."""
        ...

    def ended(self, section: Section) -> bytes: ...


class Sections:
    """Of one answer. A log probability belongs to the section whose text its token's delta ends
    with; those of deltas without text, to what comes next."""

    def __init__(self) -> None:
        self.all: list[Section] = []
        self._waiting: list[TokenLogprobs] = []

    def add(self, delta: TextDelta) -> list[tuple[Section, str, Sequence[TokenLogprobs]]]:
        """What each section gets of it."""
        self._waiting += delta.logprobs
        parts = delta.parts or ((Content(delta.text),) if delta.text else ())
        told = [(self._section(part), _text(part)) for part in parts]
        if delta.finish_reason is not None and not told:
            told = [(self._last(), "")]
        for section, text in told:
            section.pieces.append(text)
        given = [(section, text, ()) for section, text in told[:-1]]
        return [*given, *((section, text, self._given(section)) for section, text in told[-1:])]

    def _given(self, section: Section) -> Sequence[TokenLogprobs]:
        given, self._waiting = self._waiting, []
        section.logprobs += given
        return given

    def _section(self, part: Piece) -> Section:
        kind = _kind(part)
        if isinstance(part, CallBegun):
            return self._begin(kind, part.name)
        if not self.all or self.all[-1].kind is not kind:
            return self._begin(kind)
        return self.all[-1]

    def _begin(self, kind: SectionKind, name: str = "") -> Section:
        self.all.append(Section(len(self.all), kind, name))
        return self.all[-1]

    def _last(self) -> Section:
        """Where nothing was said, that is a text."""
        return self.all[-1] if self.all else self._begin(SectionKind.TEXT)


class SectionStream:
    """Sections of one answer as events, each between its beginning and its end."""

    def __init__(self, form: SectionForm) -> None:
        self.sections = Sections()
        self._form = form
        self._open: Section | None = None

    def events(self, delta: TextDelta) -> bytes:
        return b"".join(
            self._entered(section) + self._form.more(section, text, logprobs)
            for section, text, logprobs in self.sections.add(delta)
        )

    def closing(self) -> bytes:
        ended = b"" if self._open is None else self._form.ended(self._open)
        self._open = None
        return ended

    def _entered(self, section: Section) -> bytes:
        if section is self._open:
            return b""
        ended = self.closing()
        self._open = section
        return ended + self._form.begun(replace(section, pieces=[], logprobs=[]))


def _kind(part: Piece) -> SectionKind:
    match part:
        case Content():
            return SectionKind.TEXT
        case Reasoning():
            return SectionKind.REASONING
        case CallBegun() | Arguments():
            return SectionKind.CALL


def _text(part: Piece) -> str:
    return "" if isinstance(part, CallBegun) else part.text
