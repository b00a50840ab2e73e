"""What makes vectors and scores of texts instead of more text."""

from __future__ import annotations

from stoker.api.dispatch import ByModel
from stoker.api.front import Front
from stoker.api.openai.embedding_schema import EmbeddingList, EmbeddingRequest
from stoker.api.openai.embeddings import Embeddings
from stoker.api.operation import Operation
from stoker.api.scoring.rerank import Ranking, Rerank, RerankRequest
from stoker.api.scoring.score import ScoreList, ScoreRequest, Scoring


def scoring_operations(front: Front) -> list[Operation]:
    return [
        Operation(
            "POST", "/v1/embeddings", "Texts as vectors",
            ByModel(front, Embeddings), EmbeddingRequest, EmbeddingList,
        ),
        *(
            Operation(
                "POST", path, "Order documents by how well they answer a query",
                ByModel(front, Rerank), RerankRequest, Ranking,
            )
            for path in ("/rerank", "/v1/rerank", "/v2/rerank")
        ),
        *(
            Operation(
                "POST", path, "How well pairs of texts go together",
                ByModel(front, Scoring), ScoreRequest, ScoreList,
            )
            for path in ("/score", "/v1/score")
        ),
    ]  # fmt: skip
