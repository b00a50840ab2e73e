"""POST /api/chat."""

from __future__ import annotations

from collections.abc import Mapping

from stoker.api.ollama.answer_shape import IN_MESSAGE, OllamaShape
from stoker.api.ollama.our_messages import our_messages
from stoker.api.ollama.our_request import NAMES, conversation
from stoker.api.ollama.schema import OllamaChatRequest, OllamaTool
from stoker.api.openai.tool_schema import Tool
from stoker.api.plan import Plan
from stoker.api.surface import Asked
from stoker.config.schema import LimitsSection
from stoker.errors import InvalidRequest


class OllamaChat:
    """Implements Surface."""

    record = OllamaChatRequest
    names: Mapping[str, str] = NAMES

    def asked(self, body: OllamaChatRequest, limits: LimitsSection) -> Asked:
        if len(body.messages) > limits.messages:
            raise InvalidRequest(
                f"'messages' has more than {limits.messages} entries", param="messages"
            )
        tools = None if body.tools is None else [_tool(tool) for tool in body.tools]
        return conversation(body, our_messages(body.messages, limits), tools)

    def shape(self, body: OllamaChatRequest, plan: Plan) -> OllamaShape:
        return OllamaShape(plan, IN_MESSAGE)


def _tool(tool: OllamaTool) -> Tool:
    return Tool(type="function", function=tool.function)
