"""One path of one interface: its clients' body into our request, our deltas into their events.

That is all a surface does. Limits, deadlines, slow readers, the one ending of a stream, errors,
ids, privacy and usage are the same code for every surface, in surface_endpoint.py and answer.py.
Our own request is OpenAI's with vLLM's fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, TypeVar

import msgspec

from stoker.api.answer import Shape
from stoker.api.openai.chat_schema import ChatRequest
from stoker.api.openai.completion_schema import CompletionRequest
from stoker.api.plan import Plan
from stoker.config.schema import LimitsSection
from stoker.errors import RequestError

_PLACE = re.compile(r"\[\d+\]")

Body = TypeVar("Body", bound=msgspec.Struct)


class Asked(msgspec.Struct, frozen=True):
    """A client's body as our request; its `stream` says whether the answer is streamed."""

    request: ChatRequest | CompletionRequest
    default_tokens: int | None = None
    """The most where `request` names no length, as far as the context holds them; None: all."""
    in_parts: bool = False
    """The surface's shape spells the parts of an answer. Else reasoning is text as any other."""
    must_think: bool = False
    """A model whose template shows no reasoning is refused, as `thinking`."""


class Surface(Protocol[Body]):
    @property
    def record(self) -> type[Body]:
        """What a body is decoded into. Fields it has in REFUSED are refused by name."""
        ...

    @property
    def names(self) -> Mapping[str, str]:
        """What clients here call a field of ours that is refused later: ours to theirs. A place in
        a list is written as []."""
        ...

    def asked(self, body: Body, limits: LimitsSection) -> Asked:
        """May be slow in proportion to the body. Raises RequestError naming the client's field."""
        ...

    def shape(self, body: Body, plan: Plan) -> Shape: ...


@contextmanager
def spelled(names: Mapping[str, str]) -> Iterator[None]:
    """Refusals inside name fields as the client knows them."""
    try:
        yield
    except RequestError as error:
        ours = "|".join(re.escape(name).replace(r"\[\]", r"\[\d+\]") for name in names) or "(?!)"
        error.message = re.sub(rf"(?<=')({ours})(?=['.\[])", _known(names), error.message)
        error.param = error.param and re.sub(rf"^({ours})(?=$|[.\[])", _known(names), error.param)
        raise


def _known(names: Mapping[str, str]) -> Callable[[re.Match[str]], str]:
    def known(found: re.Match[str]) -> str:
        places = iter(_PLACE.findall(found[1]))
        theirs = names[_PLACE.sub("[]", found[1])]
        return re.sub(r"\[\]", lambda _: next(places), theirs)

    return known
