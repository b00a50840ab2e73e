"""What clients of llama.cpp's server may ask. /tokenize and /detokenize are shared with vLLM's, in
openai/tokenize.py."""

from __future__ import annotations

from stoker.api.dispatch import ByModel
from stoker.api.front import Front
from stoker.api.llamacpp.apply_template import (
    AppliedTemplate,
    ApplyTemplate,
    ApplyTemplateRequest,
)
from stoker.api.llamacpp.chat import (
    CountChatTokens,
    InputTokens,
    LlamaCppChat,
    LlamaCppChatRequest,
)
from stoker.api.llamacpp.completion import LlamaCppCompletions
from stoker.api.llamacpp.completion_schema import LlamaCppCompletion
from stoker.api.llamacpp.dialect import LLAMACPP
from stoker.api.llamacpp.models import ListNamedModels, NamedModels
from stoker.api.llamacpp.props import Props, ShowProps, ShowSlots, Slot
from stoker.api.llamacpp.schema import LlamaCppRequest
from stoker.api.openai.chat_schema import ChatCompletion
from stoker.api.operation import Operation
from stoker.api.surface_endpoint import on


def llamacpp_operations(front: Front) -> list[Operation]:
    return [
        *(
            Operation(
                "POST", path, "Continue a text, in llama.cpp's form",
                ByModel(front, on(LlamaCppCompletions())),
                LlamaCppRequest, LlamaCppCompletion, LLAMACPP,
            )
            for path in ("/completion", "/completions")
        ),
        Operation(
            "POST", "/apply-template", "Messages as the text that the model reads",
            ByModel(front, ApplyTemplate), ApplyTemplateRequest, AppliedTemplate, LLAMACPP,
        ),
        Operation(
            "POST", "/chat/completions", "Answer a conversation, with llama.cpp's fields",
            ByModel(front, on(LlamaCppChat())), LlamaCppChatRequest, ChatCompletion, LLAMACPP,
        ),
        *(
            Operation(
                "POST", path, "Count the tokens of a conversation, as llama.cpp does",
                ByModel(front, CountChatTokens), LlamaCppChatRequest, InputTokens, LLAMACPP,
            )
            for path in ("/chat/completions/input_tokens", "/v1/chat/completions/input_tokens")
        ),
        Operation(
            "GET", "/models", "The models, each with all its names",
            ListNamedModels(front), None, NamedModels, LLAMACPP,
        ),
        Operation("GET", "/props", "The one model", ShowProps(front), None, Props, LLAMACPP),
        Operation("GET", "/slots", "Its places", ShowSlots(front), None, Slot, LLAMACPP),
    ]  # fmt: skip
