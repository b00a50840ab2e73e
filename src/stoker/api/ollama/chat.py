"""POST /api/chat."""

from __future__ import annotations

from collections.abc import Mapping

from stoker.api.ollama.answer_shape import IN_MESSAGE, OllamaShape
from stoker.api.ollama.our_request import NAMES, conversation
from stoker.api.ollama.schema import OllamaChatRequest, OllamaMessage
from stoker.api.openai.chat_schema import Message
from stoker.api.openai.fields import refuse_unsupported
from stoker.api.plan import Plan
from stoker.api.surface import Asked
from stoker.config.schema import LimitsSection
from stoker.errors import InvalidRequest, UnsupportedConstraint


class OllamaChat:
    """Implements Surface."""

    record = OllamaChatRequest
    names: Mapping[str, str] = NAMES

    def asked(self, body: OllamaChatRequest, limits: LimitsSection) -> Asked:
        if len(body.messages) > limits.messages:
            raise InvalidRequest(
                f"'messages' has more than {limits.messages} entries", param="messages"
            )
        messages = [_message(one, f"messages[{n}]") for n, one in enumerate(body.messages)]
        return conversation(body, messages)

    def shape(self, body: OllamaChatRequest, plan: Plan) -> OllamaShape:
        return OllamaShape(plan, IN_MESSAGE)


def _message(message: OllamaMessage, place: str) -> Message:
    refuse_unsupported(message, f"{place}.")
    if message.role == "tool":
        raise UnsupportedConstraint(
            f"'{place}.role' may not be 'tool'",
            param=f"{place}.role",
            hint="Send messages of text only.",
        )
    if message.content is None:
        raise InvalidRequest(f"'{place}.content' is required", param=f"{place}.content")
    return Message(role=message.role, content=message.content)
