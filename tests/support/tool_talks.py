"""One conversation with tools through each official client, in words that are the same for all."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from anthropic import Anthropic
from ollama import Client
from openai import OpenAI

from tests.support.server import MODEL, RunningServer

Tools = Sequence[dict[str, Any]]
"""As OpenAI's chat completions take them."""


@dataclass(frozen=True)
class Called:
    id: str
    name: str
    arguments: Any


@dataclass(frozen=True)
class Said:
    text: str
    reasoning: str
    calls: list[Called]
    ended: str
    """As its interface calls it."""


class Talk(ABC):
    calling: str
    """How an answer ends that calls."""

    def __init__(self, server: RunningServer, tools: Tools, streamed: bool) -> None:
        self.server = server
        self.tools = tools
        self.streamed = streamed
        self.history: list[Any] = []

    def ask(self, text: str) -> None:
        self.history.append({"role": "user", "content": text})

    @abstractmethod
    def results(self, given: Sequence[tuple[Called, str]]) -> None: ...

    @abstractmethod
    def turn(self) -> Said:
        """The model's, added to the history as the client made it."""


class ChatTalk(Talk):
    calling = "tool_calls"

    def results(self, given: Sequence[tuple[Called, str]]) -> None:
        self.history += [
            {"role": "tool", "tool_call_id": call.id, "content": text} for call, text in given
        ]

    def turn(self) -> Said:
        asked: Any = {"model": MODEL, "messages": self.history, "tools": self.tools}
        with OpenAI(base_url=f"{self.server.url}/v1", api_key="unused", max_retries=0) as client:
            if self.streamed:
                with client.chat.completions.stream(**asked) as stream:
                    stream.until_done()
                    (choice,) = stream.get_final_completion().choices
            else:
                (choice,) = client.chat.completions.create(**asked).choices
        said: Any = choice.message
        self.history.append(said.to_dict(exclude_none=True))
        for call in self.history[-1].get("tool_calls", []):
            call["function"].pop("parsed_arguments", None)
        calls = [
            Called(call.id, call.function.name, json.loads(call.function.arguments))
            for call in said.tool_calls or []
        ]
        thought = said.model_extra.get("reasoning_content") or ""
        return Said(said.content or "", thought, calls, choice.finish_reason)


class MessagesTalk(Talk):
    calling = "tool_use"

    def results(self, given: Sequence[tuple[Called, str]]) -> None:
        content = [
            {"type": "tool_result", "tool_use_id": call.id, "content": text} for call, text in given
        ]
        self.history.append({"role": "user", "content": content})

    def turn(self) -> Said:
        asked: Any = {"model": MODEL, "max_tokens": 1500, "messages": self.history}
        asked["tools"] = [
            {
                "name": tool["function"]["name"],
                "description": tool["function"]["description"],
                "input_schema": tool["function"]["parameters"],
            }
            for tool in self.tools
        ]
        with Anthropic(base_url=self.server.url, api_key="unused", max_retries=0) as client:
            if self.streamed:
                with client.messages.stream(**asked) as stream:
                    message: Any = stream.get_final_message()
            else:
                message = client.messages.create(**asked)
        self.history.append({"role": "assistant", "content": message.content})
        blocks = message.content
        return Said(
            "".join(block.text for block in blocks if block.type == "text"),
            "".join(block.thinking for block in blocks if block.type == "thinking"),
            [Called(one.id, one.name, one.input) for one in blocks if one.type == "tool_use"],
            message.stop_reason,
        )


class ResponsesTalk(Talk):
    calling = "completed"

    def results(self, given: Sequence[tuple[Called, str]]) -> None:
        self.history += [
            {"type": "function_call_output", "call_id": call.id, "output": text}
            for call, text in given
        ]

    def turn(self) -> Said:
        asked: Any = {"model": MODEL, "input": self.history, "store": False}
        asked["tools"] = [
            {"type": "function", "strict": False, **tool["function"]} for tool in self.tools
        ]
        with OpenAI(base_url=f"{self.server.url}/v1", api_key="unused", max_retries=0) as client:
            if self.streamed:
                with client.responses.stream(**asked) as stream:
                    stream.until_done()
                    response: Any = stream.get_final_response()
            else:
                response = client.responses.create(**asked)
        items = response.output
        self.history += [_sent_back(item) for item in items]
        thoughts = [item.content or [] for item in items if item.type == "reasoning"]
        return Said(
            response.output_text,
            "".join(part.text for parts in thoughts for part in parts),
            [
                Called(item.call_id, item.name, json.loads(item.arguments))
                for item in items
                if item.type == "function_call"
            ],
            response.status,
        )


def _sent_back(item: Any) -> Any:
    """As the client's users do; its parsing helper adds fields that are not its interface's."""
    sent = item.to_dict(exclude_none=True)
    sent.pop("parsed_arguments", None)
    for part in sent.get("content") or []:
        part.pop("parsed", None)
    return sent


class OllamaTalk(Talk):
    calling = "stop"

    def results(self, given: Sequence[tuple[Called, str]]) -> None:
        self.history += [
            {"role": "tool", "tool_name": call.name, "content": text} for call, text in given
        ]

    def turn(self) -> Said:
        with Client(self.server.url) as client:
            asked: Any = {"model": MODEL, "messages": self.history, "tools": self.tools}
            if self.streamed:
                parts: list[Any] = list(client.chat(**asked, stream=True))
            else:
                parts = [client.chat(**asked)]
        text = "".join(part.message.content or "" for part in parts)
        thought = "".join(part.message.thinking or "" for part in parts)
        made = [call for part in parts for call in part.message.tool_calls or []]
        self.history.append(
            {"role": "assistant", "content": text, "thinking": thought, "tool_calls": made}
        )
        calls = [Called("", one.function.name, dict(one.function.arguments)) for one in made]
        return Said(text, thought, calls, parts[-1].done_reason)


TALKS: dict[str, type[Talk]] = {
    "chat": ChatTalk,
    "messages": MessagesTalk,
    "responses": ResponsesTalk,
    "ollama": OllamaTalk,
}
