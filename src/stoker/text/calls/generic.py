"""Tools for models whose template does not know them: told in words, called as JSON between tags.

This is how most models with tools were trained (Hermes, Qwen). Every message becomes plain text
that any template can write.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stoker.text.calls.format import NOTHING, CallsFormat, ObjectCall
from stoker.text.calls.literal import Literal

GENERIC_CALLS = CallsFormat(
    section_open=NOTHING,
    call_open=Literal.of("<tool_call>"),
    call=ObjectCall("name", "arguments"),
    call_close=Literal.of("</tool_call>"),
    separator=NOTHING,
    section_close=NOTHING,
)
_INSTRUCTIONS = """\
You can call functions. Their signatures are between <tools> tags:
<tools>
{tools}
</tools>
To call a function, answer with its name and its arguments as JSON between <tool_call> tags:
<tool_call>
{{"name": "the function's name", "arguments": {{"an argument": "its value"}}}}
</tool_call>
To call several, write several such blocks. What they return comes between <tool_response> tags. \
When no function helps, answer in words."""

Message = Mapping[str, Any]


def as_text(
    messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], *, system: bool
) -> list[Message]:
    """The same conversation without tools, calls or results. `system` says whether the template
    takes a system message; else the first question begins with the instructions."""
    plain = [_plain(message) for message in messages]
    if tools:
        shown = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
        plain = _instructed(plain, _INSTRUCTIONS.format(tools=shown), system)
    return list(_joined(plain))


def _plain(message: Message) -> Message:
    content = message.get("content") or ""
    if message["role"] == "tool":
        return {"role": "user", "content": f"<tool_response>\n{content}\n</tool_response>"}
    calls = [_call(call["function"]) for call in message.get("tool_calls") or []]
    kept = {key: value for key, value in message.items() if key != "tool_calls"}
    return {**kept, "content": "\n".join([content, *calls] if content else calls or [""])}


def _call(function: Mapping[str, Any]) -> str:
    shown = {"name": function["name"], "arguments": function["arguments"]}
    return f"<tool_call>\n{json.dumps(shown, ensure_ascii=False)}\n</tool_call>"


def _instructed(messages: list[Message], instructions: str, system: bool) -> list[Message]:
    role = "system" if system else "user"
    for position, message in enumerate(messages):
        if message["role"] == role and (role == "user" or position == 0):
            parts = [message["content"], instructions]
            content = "\n\n".join(parts if system else reversed(parts))
            return [
                *messages[:position],
                {**message, "content": content},
                *messages[position + 1 :],
            ]
    return [{"role": role, "content": instructions}, *messages]


def _joined(messages: Sequence[Message]) -> Iterator[Message]:
    """Results of calls that follow each other are one turn: templates want turns to alternate."""
    last: Message | None = None
    for message in messages:
        if last and last["role"] == message["role"] == "user":
            last = {**last, "content": f"{last['content']}\n{message['content']}"}
            continue
        if last:
            yield last
        last = message
    if last:
        yield last
