"""What a dialect is: everything that differs between servers, and nothing about connections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from stoker.gateway.upstream.question import Question
from stoker.gateway.upstream.server_events import ServerEvent
from stoker.gateway.usage import Usage


class Letter(NamedTuple):
    """A question as the server wants it."""

    path: str
    body: bytes


class AnswerReader(Protocol):
    """Of one answer: from the server's events, or its one JSON object, to OpenAI's."""

    usage: Usage | None
    """What the server has said so far."""
    complete: bool
    """Everything that makes an answer whole was there."""

    ended: bool
    """And nothing comes after it."""

    def event(self, event: ServerEvent) -> bytes:
        """Whole events for the client, often one, without the end marker. Raises BackendFailed for
        what is no event of an answer, and what the server says went wrong."""
        ...

    def whole(self, body: bytes) -> bytes:
        """Of an answer that is not streamed. Raises BackendFailed."""
        ...


class Dialect(Protocol):
    """Has no state."""

    def headers(self, api_key: str | None) -> Mapping[str, str]: ...

    def letter(self, question: Question, model: str) -> Letter:
        """`model` is its name there. Raises UnsupportedConstraint or InvalidRequest for a question
        that cannot be put in this dialect."""
        ...

    def reader(self, question: Question) -> AnswerReader: ...
