"""Answers with values that are easy to find again, as a chat template writes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stoker.errors import InvalidRequest
from stoker.text.calls.literal import HOLE, common_prefix, without_half_tag

FIRST, SECOND = "find_first_probe", "find_second_probe"
IDS = ("a1B2c3D4e", "f5G6h7I8j")
"""Nine letters and digits, which some templates insist on."""
KEYS = ("key_a_one", "key_b_two", "key_c_three")
TEXT, OTHER_TEXT, NUMBER = "textprobe", "othertext", 40961
ARGUMENTS: dict[str, Any] = {KEYS[0]: TEXT, KEYS[1]: OTHER_TEXT, KEYS[2]: NUMBER}
MARKUP = 'a <b> & "c"\nd'
CONTENT, REASONING = "contentprobe", "reasoningprobe"
QUESTION = {"role": "user", "content": "questionprobe"}
REASONING_KEYS = ("reasoning_content", "thinking", "reasoning")


def tool(name: str) -> dict[str, Any]:
    kinds = {KEYS[0]: "string", KEYS[1]: "string", KEYS[2]: "integer"}
    properties = {key: {"type": kind, "description": "A value"} for key, kind in kinds.items()}
    parameters = {"type": "object", "properties": properties, "required": [KEYS[0]]}
    function = {"name": name, "description": "A function", "parameters": parameters}
    return {"type": "function", "function": function}


TOOLS = [tool(FIRST), tool(SECOND)]


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a template expects in the messages it is given."""

    arguments_as_text: bool = False
    """It wants the arguments of a call as JSON in a string, not as an object."""
    reasoning_key: str = REASONING_KEYS[0]


Render = Callable[..., str]
"""`render(messages, tools=…, add_generation_prompt=…, variables=…)`; raises InvalidRequest."""


@dataclass(frozen=True, slots=True)
class Written:
    """An answer as the template writes it."""

    prompt: str
    """What comes before it."""
    text: str


@dataclass(frozen=True)
class Prober:
    render: Render
    """Its control tokens are marked (markers.py)."""
    dialect: Dialect = field(default_factory=Dialect)

    def prompt(self, **variables: Any) -> str | None:
        """What a model goes on from."""
        try:
            return self.render([QUESTION], tools=TOOLS, variables=variables)
        except InvalidRequest:
            return None

    def begun_in(self, prompt: str) -> str:
        """What the prompt has to begin an answer with; nothing where that cannot be told."""
        try:
            without = self.render([QUESTION], tools=TOOLS, add_generation_prompt=False)
        except InvalidRequest:
            return ""
        return prompt.removeprefix(without) if prompt.startswith(without) else ""

    def answer(
        self,
        content: str | None = None,
        calls: Sequence[tuple[str, Mapping[str, Any]]] = (),
        reasoning: str | None = None,
    ) -> Written | None:
        """What the template writes for such an answer, from where it differs from the prompt for
        any answer; None if it refuses."""
        message: dict[str, Any] = {"role": "assistant", "content": content or ""}
        if calls:
            message["tool_calls"] = [self._call(number, *call) for number, call in enumerate(calls)]
        if reasoning is not None:
            message[self.dialect.reasoning_key] = reasoning
        prompt = self.prompt()
        try:
            whole = self.render([QUESTION, message], tools=TOOLS, add_generation_prompt=False)
        except InvalidRequest:
            return None
        if prompt is None:
            return None
        shared = without_half_tag(common_prefix(whole, prompt))
        return Written(shared, whole[len(shared) :])

    def _call(self, number: int, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        shown = json.dumps(arguments) if self.dialect.arguments_as_text else arguments
        function = {"name": name, "arguments": shown}
        return {"id": IDS[number], "type": "function", "function": function}


def without_ids(text: str) -> str:
    for id_ in IDS:
        text = text.replace(id_, HOLE)
    return text
