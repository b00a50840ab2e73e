"""OpenAI's messages as Anthropic's: instructions apart, tools' results with the user, turns that
alternate."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from stoker.errors import InvalidRequest, UnsupportedConstraint
from stoker.gateway.upstream.dialects.anthropic_fields import Message, ToolCall

Block = dict[str, Any]
_DATA = re.compile(r"data:(image/[a-z0-9.+-]{1,32});base64,([A-Za-z0-9+/=\s]+)\Z", re.IGNORECASE)


def system_of(messages: Iterable[Message]) -> str:
    """All instructions, in their order."""
    blocks = [
        block
        for message in messages
        if message.role in ("system", "developer")
        for block in _content(message)
    ]
    return "\n\n".join(block.get("text", "") for block in blocks)


def turns_of(messages: Iterable[Message]) -> list[Block]:
    """Neighbours of one role become one turn, as Anthropic wants results of several tools."""
    turns: list[Block] = []
    for message in messages:
        if message.role in ("system", "developer"):
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    return turns


def _blocks(message: Message) -> list[Block]:
    if message.role == "tool":
        content = _content(message)
        return [{"type": "tool_result", "tool_use_id": message.tool_call_id, "content": content}]
    return _content(message) + [_tool_use(call) for call in message.tool_calls or ()]


def _content(message: Message) -> list[Block]:
    content = message.content
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return [_block(part) for part in content or ()]


def _block(part: Block) -> Block:
    if part.get("type") == "text" and isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    if part.get("type") == "image_url":
        image = part.get("image_url")
        url = image.get("url") if isinstance(image, dict) else image
        found = _DATA.match(url) if isinstance(url, str) else None
        if found is not None:
            source = {"type": "base64", "media_type": found[1].lower(), "data": found[2]}
            return {"type": "image", "source": source}
    raise UnsupportedConstraint(
        "a part of a message is neither text nor a picture as data:image/...;base64",
        param="messages",
    )


def _tool_use(call: ToolCall) -> Block:
    try:
        arguments = msgspec.json.decode(call.function.arguments or "{}", type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        raise InvalidRequest(
            "the arguments of a tool call are not a JSON object", param="messages"
        ) from None
    return {"type": "tool_use", "id": call.id, "name": call.function.name, "input": arguments}
