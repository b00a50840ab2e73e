"""Anthropic's messages as ours: the system prompt first, turns of one side joined, text only."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.api.anthropic.schema import CountTokensRequest, InputBlock
from stoker.api.openai.chat_schema import ChatRequest, Message
from stoker.config.schema import LimitsSection
from stoker.errors import InvalidRequest, UnsupportedConstraint


def conversation(body: CountTokensRequest, limits: LimitsSection) -> ChatRequest:
    """Raises RequestError naming the place. Where the assistant has the last word, the model is to
    go on with it."""
    if not body.messages:
        raise InvalidRequest("'messages' is empty", param="messages")
    if len(body.messages) > limits.messages:
        raise InvalidRequest(f"more than {limits.messages} messages", param="messages")
    unfinished = body.messages[-1].role == "assistant"
    return ChatRequest(
        model=body.model,
        messages=_turns(body, limits),
        continue_final_message=unfinished or None,
        reasoning_effort=body.output_config.effort if body.output_config else None,
    )


def _turns(body: CountTokensRequest, limits: LimitsSection) -> list[Message]:
    said: list[tuple[str, str]] = []
    if body.system:
        said.append(("system", _text(body.system, "system", limits)))
    for position, message in enumerate(body.messages):
        text = _text(message.content, f"messages[{position}].content", limits)
        if said and said[-1][0] == message.role:
            text = f"{said.pop()[1]}\n{text}"
        said.append((message.role, text))
    return [Message(role=role, content=text) for role, text in said]  # type: ignore[arg-type]


def _text(content: str | Sequence[InputBlock], place: str, limits: LimitsSection) -> str:
    if isinstance(content, str):
        return content
    if not content:
        raise InvalidRequest(f"'{place}' is empty", param=place)
    if len(content) > limits.content_parts:
        raise InvalidRequest(f"'{place}' has more than {limits.content_parts} parts", param=place)
    return "\n".join(
        _block(block, f"{place}[{position}]") for position, block in enumerate(content)
    )


def _block(block: InputBlock, place: str) -> str:
    if block.type != "text":
        raise UnsupportedConstraint(
            f"'{place}' is not text; this model reads text only",
            param=place,
            hint="Send blocks of type 'text'. No address in a message is ever fetched.",
        )
    for name in block.NOT_TEXT:
        if getattr(block, name) not in (None, []):
            where = f"{place}.{name}"
            raise UnsupportedConstraint(f"'{where}' is not supported", param=where)
    if block.text is None:
        raise InvalidRequest(f"'{place}.text' is required", param=f"{place}.text")
    return block.text
