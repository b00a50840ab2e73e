"""llama.cpp's server: OpenAI's protocol, with settings of its own that a client must not choose."""

from __future__ import annotations

from stoker.errors import InvalidRequest
from stoker.gateway.upstream.dialects.interface import Letter
from stoker.gateway.upstream.dialects.openai import OpenServer
from stoker.gateway.upstream.question import Question

SERVER_SETTINGS = ("id_slot", "slot_id", "cache_prompt", "lora")
"""They reach into what other clients' requests left in the server."""


class LlamaCpp(OpenServer):
    def letter(self, question: Question, model: str) -> Letter:
        for name in SERVER_SETTINGS:
            if name in question.fields:
                raise InvalidRequest(f"'{name}' cannot be chosen by a client", param=name)
        return super().letter(question, model)
