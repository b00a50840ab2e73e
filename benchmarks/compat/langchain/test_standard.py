"""LangChain's standard tests with ChatOpenAI and OpenAIEmbeddings in front of our server, whose
address is STOKER_URL. Runs in an environment of its own."""

from __future__ import annotations

import os
from typing import Any

from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests, EmbeddingsUnitTests

URL = os.environ["STOKER_URL"] + "/v1"
CHAT, OTHER, VECTORS = "chat", "other", "vectors"
"""Names of the models of the server."""


class _Chat:
    @property
    def chat_model_class(self) -> type[ChatOpenAI]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "model": CHAT,
            "base_url": URL,
            "api_key": "none",
            "temperature": 0,
            "stream_usage": True,
        }

    @property
    def model_override_value(self) -> str:
        return OTHER

    @property
    def supports_json_mode(self) -> bool:
        return True


class TestChatInProcess(_Chat, ChatModelUnitTests):
    pass


class TestChat(_Chat, ChatModelIntegrationTests):
    pass


class _Vectors:
    @property
    def embeddings_class(self) -> type[OpenAIEmbeddings]:
        return OpenAIEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        named = {"model": VECTORS, "base_url": URL, "api_key": "none"}
        return named | {"check_embedding_ctx_length": False}


class TestVectorsInProcess(_Vectors, EmbeddingsUnitTests):
    pass


class TestVectors(_Vectors, EmbeddingsIntegrationTests):
    pass
