"""The body of a request that a foreign backend answers: looked at as far as limits and bills need,
and passed on otherwise as it is."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from stoker.api.exchange import Exchange
from stoker.api.front import Front
from stoker.api.openai.fields import AtLeastOne
from stoker.config.schema import LimitsSection
from stoker.errors import BudgetExhausted, InvalidRequest
from stoker.gateway.upstream.client_choices import check_fields, check_part
from stoker.gateway.upstream.question import Question, Surface

ASSUMED_TOKENS = 4096
"""Of an answer whose length the client leaves open; where tokens are counted it gets no more."""


class _Options(msgspec.Struct):
    include_usage: bool | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | list[Any] | None = None


class _Body(msgspec.Struct):
    messages: list[_Message] | None = None
    prompt: str | list[Any] | None = None
    stream: bool | None = None
    stream_options: _Options | None = None
    n: AtLeastOne | None = None
    max_tokens: AtLeastOne | None = None
    max_completion_tokens: AtLeastOne | None = None


class ForeignRequest(msgspec.Struct, frozen=True):
    question: Question
    named: int | None
    """Tokens of each answer, if the client says."""

    @property
    def most_tokens(self) -> int:
        """Of all its answers."""
        return self.question.choices * (self.named or ASSUMED_TOKENS)

    def limited(self, most_tokens: int) -> Question:
        """Raises BudgetExhausted when that is nothing for one of its answers."""
        each = most_tokens // self.question.choices
        if each == 0:
            raise BudgetExhausted("what is left does not pay for a token of each answer")
        return replace(self.question, most_tokens=min(each, self.named or ASSUMED_TOKENS))


async def read_question(exchange: Exchange, front: Front, surface: Surface) -> ForeignRequest:
    """Raises RequestError."""
    body = await front.off_loop.read(exchange, _Body)
    raw = await exchange.read()
    return await front.off_loop.run(len(raw), lambda: _question(body, raw, surface, front.limits))


def _question(body: _Body, raw: bytes, surface: Surface, limits: LimitsSection) -> ForeignRequest:
    fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    check_fields(fields)
    needed = "messages" if surface is Surface.CHAT else "prompt"
    if needed not in fields:
        raise InvalidRequest(f"'{needed}' is required", param=needed)
    _check_messages(body.messages or [], limits)
    if body.stream_options is not None and not body.stream:
        raise InvalidRequest("'stream_options' needs 'stream'", param="stream_options")
    options = body.stream_options
    question = Question(
        surface=surface,
        fields=fields,
        stream=bool(body.stream),
        wants_usage=bool(options and options.include_usage),
        choices=_choices(body, limits),
    )
    return ForeignRequest(question, _length(body))


def _length(body: _Body) -> int | None:
    """The longer one if both are named: which of them holds is the backend's to know."""
    return max(body.max_tokens or 0, body.max_completion_tokens or 0) or None


def _choices(body: _Body, limits: LimitsSection) -> int:
    n = body.n or 1
    if n > limits.n:
        raise InvalidRequest(f"'n' is {n}; the most is {limits.n}", param="n")
    prompt = body.prompt
    several = isinstance(prompt, list) and prompt and not isinstance(prompt[0], int)
    return n * (len(prompt) if several and prompt else 1)


def _check_messages(messages: list[_Message], limits: LimitsSection) -> None:
    if len(messages) > limits.messages:
        raise InvalidRequest(f"more than {limits.messages} messages", param="messages")
    for number, message in enumerate(messages):
        where = f"messages[{number}].content"
        if isinstance(message.content, list):
            if len(message.content) > limits.content_parts:
                raise InvalidRequest(f"more than {limits.content_parts} parts", param=where)
            check_part(message.content, where)
