"""What clients of Ollama's interface may ask."""

from __future__ import annotations

from stoker.api.dispatch import ByTaggedModel
from stoker.api.front import Front
from stoker.api.ollama.chat import OllamaChat
from stoker.api.ollama.dialect import OLLAMA
from stoker.api.ollama.generate import OllamaGenerate
from stoker.api.ollama.models import (
    OllamaModels,
    OllamaVersion,
    Show,
    ShownModel,
    ShowRequest,
    Tags,
    version,
)
from stoker.api.ollama.schema import OllamaAnswer, OllamaChatRequest, OllamaGenerateRequest
from stoker.api.operation import Operation
from stoker.api.surface_endpoint import on


def ollama_operations(front: Front) -> list[Operation]:
    return [
        Operation(
            "POST", "/api/chat", "Answer a conversation, in Ollama's form",
            ByTaggedModel(front, on(OllamaChat())), OllamaChatRequest, OllamaAnswer, OLLAMA,
        ),
        Operation(
            "POST", "/api/generate", "Answer a prompt, in Ollama's form",
            ByTaggedModel(front, on(OllamaGenerate())),
            OllamaGenerateRequest, OllamaAnswer, OLLAMA,
        ),
        Operation("GET", "/api/tags", "The models", Tags(front), None, OllamaModels, OLLAMA),
        Operation("GET", "/api/ps", "Those loaded", Tags(front), None, OllamaModels, OLLAMA),
        Operation("POST", "/api/show", "One model", Show(front), ShowRequest, ShownModel, OLLAMA),
        Operation(
            "GET", "/api/version", "Whose interface this is", version, None, OllamaVersion, OLLAMA
        ),
    ]  # fmt: skip
