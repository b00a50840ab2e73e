"""POST /rerank, /v1/rerank and /v2/rerank: in the shape of Cohere and Jina that vLLM serves, or for
`texts` in that of text-embeddings-inference."""

from __future__ import annotations

import msgspec

from stoker.api.exchange import Exchange
from stoker.api.openai.embedding_schema import CutAt, TextUsage
from stoker.api.openai.fields import Count, Ignored
from stoker.api.scoring.pairs import PairScores
from stoker.api.service import Service
from stoker.api.texts import TextReader
from stoker.errors import InvalidRequest


class Document(msgspec.Struct, frozen=True):
    text: str


class RerankRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    model: str | None = None
    query: str
    documents: list[str | Document] | None = None
    texts: list[str] | None = None
    """Instead of documents: the answer is a list of RankedText."""
    return_text: bool = False
    """With texts."""
    top_n: Count | None = None
    """None and 0: all."""
    return_documents: bool = True
    truncate_prompt_tokens: CutAt | None = None
    user: Ignored = msgspec.UNSET


class Ranked(msgspec.Struct, frozen=True, omit_defaults=True):
    index: int
    """Of the document as it was given."""
    relevance_score: float
    document: Document | None = None


class RankedText(msgspec.Struct, frozen=True, omit_defaults=True):
    index: int
    score: float
    text: str | None = None


class Ranking(msgspec.Struct, frozen=True):
    """The best first; of equals the one that was given first."""

    id: str
    model: str
    usage: TextUsage
    results: list[Ranked]


class Rerank:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, exchange: Exchange) -> None:
        service = self._service
        request = await service.off_loop.read(exchange, RerankRequest)
        field, texts = _texts(request)
        reader = TextReader(service, field, request.truncate_prompt_tokens)
        reader.check_number(len(texts))
        scores = PairScores(exchange, service, reader)
        await exchange.while_connected(self._answer(exchange, request, texts, scores))

    async def _answer(
        self, exchange: Exchange, request: RerankRequest, texts: list[str], scores: PairScores
    ) -> None:
        found = await scores.compute([(request.query, text) for text in texts])
        order = sorted(range(len(found)), key=lambda i: -found[i])[: request.top_n or None]
        if request.texts is not None:
            said = [
                RankedText(i, found[i], texts[i] if request.return_text else None) for i in order
            ]
            await exchange.respond_json(said)
            return
        shown = [Document(text) if request.return_documents else None for text in texts]
        await exchange.respond_json(
            Ranking(
                id=exchange.request_id.replace("req_", "rerank-"),
                model=self._service.name,
                usage=TextUsage(scores.num_tokens, scores.num_tokens),
                results=[Ranked(i, found[i], shown[i]) for i in order],
            )
        )


def _texts(request: RerankRequest) -> tuple[str, list[str]]:
    """The field and what it holds. Raises InvalidRequest unless it is one, with something."""
    if (request.documents is None) == (request.texts is None):
        raise InvalidRequest("give one of 'documents' and 'texts'", param="documents")
    field = "documents" if request.texts is None else "texts"
    given = [d if isinstance(d, str) else d.text for d in request.documents or request.texts or []]
    if not given:
        raise InvalidRequest(f"'{field}' is empty", param=field)
    return field, given
