"""POST /v1/embeddings, by any model of ours: an encoder, or a decoder's hidden states."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import msgspec

from stoker.api.exchange import Exchange
from stoker.api.openai.embedding_schema import (
    Embedding,
    EmbeddingList,
    EmbeddingRequest,
    TextObject,
    TextUsage,
)
from stoker.api.service import Service
from stoker.api.texts import Given, TextReader
from stoker.api.vectors import Text, Vector, Vectors, normalised
from stoker.core.pooling import Pooling
from stoker.errors import InvalidRequest

BYTES_OF_A_NUMBER = 16
"""About as many as one takes in an answer."""


class Embeddings:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, exchange: Exchange) -> None:
        service = self._service
        request = await service.off_loop.read(exchange, EmbeddingRequest)
        abilities = service.backend.info.abilities
        _check_dimensions(request, abilities.hidden_size)
        texts = await service.off_loop.run(exchange.body_size, lambda: self._texts(request))
        pooling = Pooling(request.pooling) if request.pooling else abilities.pooling
        await exchange.while_connected(self._answer(exchange, request, texts, pooling))

    def _texts(self, request: EmbeddingRequest) -> list[Text]:
        reader = TextReader(self._service, "input", request.truncate_prompt_tokens)
        return reader.read(_alike(request.input), framed=request.add_special_tokens)

    async def _answer(
        self, exchange: Exchange, request: EmbeddingRequest, texts: Sequence[Text], pooling: Pooling
    ) -> None:
        vectors = Vectors(exchange, self._service, texts, pooling)
        found = await vectors.compute()
        usage = TextUsage(vectors.num_tokens, vectors.num_tokens)
        body = await self._service.off_loop.run(
            sum(len(vector) for vector in found) * BYTES_OF_A_NUMBER,
            lambda: msgspec.json.encode(
                EmbeddingList(_shown(found, request), self._service.name, usage)
            ),
        )
        await exchange.respond(body)


def _check_dimensions(request: EmbeddingRequest, size: int) -> None:
    if request.dimensions is not None and request.dimensions > size:
        raise InvalidRequest(
            f"'dimensions' is {request.dimensions}; this model's embeddings have {size}",
            param="dimensions",
        )


def _alike(given: str | TextObject | list[str | int | list[int] | TextObject]) -> Given:
    """Raises InvalidRequest for a list of single token ids and something else, and for objects
    without a text."""
    if isinstance(given, str):
        return given
    if isinstance(given, TextObject):
        return given.text
    kinds = {type(item) for item in given}
    if int in kinds and len(kinds) > 1:
        raise InvalidRequest("'input' mixes texts and token ids", param="input")
    return [  # type: ignore[return-value]
        item.text if isinstance(item, TextObject) else item for item in given
    ]


def _shown(vectors: Sequence[Vector], request: EmbeddingRequest) -> list[Embedding]:
    return [Embedding(i, _spelled(vector, request)) for i, vector in enumerate(vectors)]


def _spelled(vector: Vector, request: EmbeddingRequest) -> list[float] | str:
    shorter = vector[: request.dimensions]
    shorter = normalised(shorter) if request.normalize else shorter
    if request.encoding_format == "base64":
        return base64.b64encode(shorter.astype("<f4").tobytes()).decode()
    numbers: list[float] = shorter.tolist()
    return numbers
