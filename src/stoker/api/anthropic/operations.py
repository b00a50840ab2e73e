"""What clients of Anthropic's interface may ask."""

from __future__ import annotations

from stoker.api.anthropic.answer_schema import AssistantMessage, TokenCount
from stoker.api.anthropic.count_tokens import CountTokens
from stoker.api.anthropic.dialect import ANTHROPIC
from stoker.api.anthropic.messages import Messages
from stoker.api.anthropic.schema import CountTokensRequest, MessagesRequest
from stoker.api.anthropic.version_gate import VersionGate
from stoker.api.dispatch import ByModel
from stoker.api.front import Front
from stoker.api.operation import Operation
from stoker.api.surface_endpoint import on


def anthropic_operations(front: Front) -> list[Operation]:
    return [
        Operation(
            "POST", "/v1/messages", "Answer a conversation, in Anthropic's form",
            VersionGate(ByModel(front, on(Messages()))),
            MessagesRequest, AssistantMessage, ANTHROPIC,
        ),
        Operation(
            "POST", "/v1/messages/count_tokens", "Count the tokens of a conversation",
            VersionGate(ByModel(front, CountTokens)),
            CountTokensRequest, TokenCount, ANTHROPIC,
        ),
    ]  # fmt: skip
