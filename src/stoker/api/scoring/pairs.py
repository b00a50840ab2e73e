"""How well texts go together: by a model that reads both at once, or by how near their embeddings
are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from stoker.api.exchange import Exchange
from stoker.api.service import Service
from stoker.api.texts import TextReader
from stoker.api.vectors import Text, Vector, Vectors, normalised
from stoker.core.pooling import Pooling
from stoker.errors import InvalidRequest

Pair = tuple[str, str]


class PairScores:
    """Of one request. Which of the two ways is the model's matter."""

    def __init__(self, exchange: Exchange, service: Service, reader: TextReader) -> None:
        self._exchange = exchange
        self._service = service
        self._reader = reader
        self.num_tokens = 0

    async def compute(self, pairs: Sequence[Pair]) -> list[float]:
        """Parallel to `pairs`: from 0 to 1 by a model with one label, else a cosine. Raises
        CapacityError, ServingError and RequestError."""
        labels = self._service.backend.info.abilities.labels
        if labels > 1:
            raise InvalidRequest(
                f"this model tells {labels} labels apart; a score needs one with a single label",
                param="model",
            )
        return await (self._crossed(pairs) if labels else self._compared(pairs))

    async def _crossed(self, pairs: Sequence[Pair]) -> list[float]:
        """The logistic function of the one label's logit, as sentence-transformers has it."""
        texts = await self._read(lambda: [self._reader.pair(*pair) for pair in pairs])
        logits = await self._vectors(texts, Pooling.LABELS)
        return [1.0 / (1.0 + math.exp(-max(float(found[0]), -700.0))) for found in logits]

    async def _compared(self, pairs: Sequence[Pair]) -> list[float]:
        """Each text is embedded once, however many pairs it is in."""
        places = {text: i for i, text in enumerate(dict.fromkeys(t for p in pairs for t in p))}
        texts = await self._read(lambda: self._reader.read(list(places)))
        pooling = self._service.backend.info.abilities.pooling
        vectors = [normalised(found) for found in await self._vectors(texts, pooling)]
        return [float(np.dot(vectors[places[a]], vectors[places[b]])) for a, b in pairs]

    async def _read(self, work: Callable[[], list[Text]]) -> list[Text]:
        return await self._service.off_loop.run(self._exchange.body_size, work)

    async def _vectors(self, texts: Sequence[Text], pooling: Pooling) -> list[Vector]:
        vectors = Vectors(self._exchange, self._service, texts, pooling)
        self.num_tokens = vectors.num_tokens
        return await vectors.compute()
