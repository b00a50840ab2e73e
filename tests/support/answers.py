"""Answers read from text in pieces, joined again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from stoker.text.calls.pieces import Arguments, CallBegun, Content, Piece, Reasoning
from stoker.text.calls.protocol import Reading


@dataclass
class ReadAnswer:
    content: str = ""
    reasoning: str = ""
    calls: list[list[str]] = field(default_factory=list)
    """Name and arguments of each."""


def joined(pieces: Iterable[Piece]) -> ReadAnswer:
    answer = ReadAnswer()
    for piece in pieces:
        match piece:
            case Content(text):
                answer.content += text
            case Reasoning(text):
                answer.reasoning += text
            case CallBegun(name):
                answer.calls.append([name, ""])
            case Arguments(text):
                answer.calls[-1][1] += text
    return answer


def read(reading: Reading, pieces: Iterable[str]) -> ReadAnswer:
    reader = reading.reader()
    found = [part for text in pieces for part in reader.push(text)]
    return joined([*found, *reader.end()])
