"""POST /api/generate."""

from __future__ import annotations

from collections.abc import Mapping

from stoker.api.ollama.answer_shape import IN_RESPONSE, OllamaShape
from stoker.api.ollama.our_request import NAMES, conversation, plain_text
from stoker.api.ollama.schema import OllamaGenerateRequest
from stoker.api.openai.chat_schema import Message
from stoker.api.plan import Plan
from stoker.api.surface import Asked
from stoker.config.schema import LimitsSection
from stoker.errors import InvalidRequest


class OllamaGenerate:
    """Implements Surface. The prompt is what a user says, unless it is raw."""

    record = OllamaGenerateRequest
    names: Mapping[str, str] = {**NAMES, "messages": "prompt"}

    def asked(self, body: OllamaGenerateRequest, limits: LimitsSection) -> Asked:
        if not body.prompt:
            raise InvalidRequest("'prompt' is empty", param="prompt")
        if body.raw:
            for name in ("system", "think"):
                if getattr(body, name):
                    raise InvalidRequest(f"'{name}' contradicts 'raw'", param=name)
            return plain_text(body, body.prompt)
        said = Message(role="user", content=body.prompt)
        if body.system:
            return conversation(body, [Message(role="system", content=body.system), said])
        return conversation(body, [said])

    def shape(self, body: OllamaGenerateRequest, plan: Plan) -> OllamaShape:
        return OllamaShape(plan, IN_RESPONSE)
