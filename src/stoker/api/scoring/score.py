"""POST /score and /v1/score, in vLLM's shape."""

from __future__ import annotations

import time
from typing import Literal

import msgspec

from stoker.api.exchange import Exchange
from stoker.api.openai.embedding_schema import CutAt, TextUsage
from stoker.api.openai.fields import Ignored
from stoker.api.scoring.pairs import Pair, PairScores
from stoker.api.service import Service
from stoker.api.texts import TextReader
from stoker.errors import InvalidRequest


class ScoreRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Two texts; one and a list; or two lists of the same length."""

    model: str | None = None
    text_1: str | list[str]
    text_2: str | list[str]
    truncate_prompt_tokens: CutAt | None = None
    user: Ignored = msgspec.UNSET


class Score(msgspec.Struct, frozen=True):
    index: int
    score: float
    object: Literal["score"] = "score"


class ScoreList(msgspec.Struct, frozen=True):
    id: str
    created: int
    """Unix seconds."""
    model: str
    data: list[Score]
    usage: TextUsage
    object: Literal["list"] = "list"


class Scoring:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, exchange: Exchange) -> None:
        service = self._service
        request = await service.off_loop.read(exchange, ScoreRequest)
        reader = TextReader(service, "text_2", request.truncate_prompt_tokens)
        pairs = _pairs(request)
        reader.check_number(len(pairs))
        scores = PairScores(exchange, service, reader)
        await exchange.while_connected(self._answer(exchange, pairs, scores))

    async def _answer(self, exchange: Exchange, pairs: list[Pair], scores: PairScores) -> None:
        found = await scores.compute(pairs)
        await exchange.respond_json(
            ScoreList(
                id=exchange.request_id.replace("req_", "score-"),
                created=int(time.time()),
                model=self._service.name,
                data=[Score(i, score) for i, score in enumerate(found)],
                usage=TextUsage(scores.num_tokens, scores.num_tokens),
            )
        )


def _pairs(request: ScoreRequest) -> list[Pair]:
    """Raises InvalidRequest for lists that do not go together."""
    first = [request.text_1] if isinstance(request.text_1, str) else request.text_1
    second = [request.text_2] if isinstance(request.text_2, str) else request.text_2
    for name, texts in (("text_1", first), ("text_2", second)):
        if not texts:
            raise InvalidRequest(f"'{name}' is empty", param=name)
    if len(first) == 1:
        first = first * len(second)
    if len(first) != len(second):
        raise InvalidRequest("'text_1' must be one text, or as many as 'text_2'", param="text_1")
    return list(zip(first, second, strict=True))
