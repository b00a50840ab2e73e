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
from stoker.api.llamacpp.completion import LlamaCppCompletions
from stoker.api.llamacpp.completion_schema import LlamaCppCompletion
from stoker.api.llamacpp.dialect import LLAMACPP
from stoker.api.llamacpp.models import ListNamedModels, NamedModels
from stoker.api.llamacpp.props import Props, ShowProps, ShowSlots, Slot
from stoker.api.llamacpp.schema import LlamaCppRequest
from stoker.api.openai.chat_schema import ChatCompletion, ChatRequest
from stoker.api.openai.chat_surface import ChatCompletions
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
            "POST", "/chat/completions", "Answer a conversation",
            ByModel(front, on(ChatCompletions())), ChatRequest, ChatCompletion, LLAMACPP,
        ),
        Operation(
            "GET", "/models", "The models, each with all its names",
            ListNamedModels(front), None, NamedModels, LLAMACPP,
        ),
        Operation("GET", "/props", "The one model", ShowProps(front), None, Props, LLAMACPP),
        Operation("GET", "/slots", "Its places", ShowSlots(front), None, Slot, LLAMACPP),
    ]  # fmt: skip
