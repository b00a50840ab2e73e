"""Every surface that generates text, as data: how to ask there, and how to read what comes."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.server import MODEL, RunningServer

QUESTION = "Tell me about the sea."
MESSAGES = [{"role": "user", "content": QUESTION}]
JSON = {"content-type": "application/json"}


@dataclass(frozen=True, kw_only=True)
class SurfaceCase:
    name: str
    path: str
    ask: Callable[[int, int, bool], dict[str, Any]]
    """Body for so many tokens, of that seed, streamed or not."""
    read: Callable[[Any], str]
    """The text of a whole answer."""
    piece: Callable[[Any], str]
    """The text of one event."""
    ended: Callable[[Any], bool]
    """Whether an event is the last one of a whole answer."""
    usage: Callable[[Any], tuple[int, int]]
    """Tokens of prompt and answer, from a whole answer."""
    failure: Callable[[Any], str | None]
    """The message of a failed answer, or of the event that ends a failed stream."""
    twin: str = "chat"
    """The surface of OpenAI's that gives the same text."""
    headers: dict[str, str] = field(default_factory=dict)


def _openai_failure(answer: Any) -> str | None:
    return answer["error"]["message"] if answer and "error" in answer else None


def _openai_usage(answer: Any) -> tuple[int, int]:
    return answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]


def _message_usage(answer: Any) -> tuple[int, int]:
    usage = answer["usage"]
    return usage["input_tokens"] + usage["cache_read_input_tokens"], usage["output_tokens"]


CHAT = SurfaceCase(
    name="chat",
    path="/v1/chat/completions",
    ask=lambda length, seed, stream: {
        "model": MODEL, "messages": MESSAGES, "max_tokens": length, "seed": seed, "stream": stream
    },
    read=lambda answer: answer["choices"][0]["message"]["content"],
    piece=lambda event: event["choices"][0]["delta"].get("content") or "" if event else "",
    ended=lambda event: event is None,
    usage=_openai_usage,
    failure=_openai_failure,
)  # fmt: skip

TEXT = SurfaceCase(
    name="text",
    path="/v1/completions",
    ask=lambda length, seed, stream: {
        "model": MODEL, "prompt": QUESTION, "max_tokens": length, "seed": seed, "stream": stream
    },
    read=lambda answer: answer["choices"][0]["text"],
    piece=lambda event: event["choices"][0]["text"] if event else "",
    ended=lambda event: event is None,
    usage=_openai_usage,
    failure=_openai_failure,
    twin="text",
)  # fmt: skip

MESSAGES_SURFACE = SurfaceCase(
    name="messages",
    path="/v1/messages",
    ask=lambda length, seed, stream: {
        "model": MODEL, "messages": MESSAGES, "max_tokens": length, "seed": seed, "stream": stream
    },
    read=lambda answer: "".join(block["text"] for block in answer["content"]),
    piece=lambda event: event.get("delta", {}).get("text", ""),
    ended=lambda event: event["type"] == "message_stop",
    usage=_message_usage,
    failure=lambda answer: answer["error"]["message"] if answer["type"] == "error" else None,
    headers={"anthropic-version": "2023-06-01"},
)  # fmt: skip

RESPONSES = SurfaceCase(
    name="responses",
    path="/v1/responses",
    ask=lambda length, seed, stream: {
        "model": MODEL, "input": QUESTION, "max_output_tokens": length, "seed": seed,
        "stream": stream,
    },
    read=lambda answer: answer["output"][0]["content"][0]["text"],
    piece=lambda event: event["delta"] if event["type"] == "response.output_text.delta" else "",
    ended=lambda event: event["type"] in ("response.completed", "response.incomplete"),
    usage=lambda answer: (answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]),
    failure=lambda answer: answer["message"] if answer.get("type") == "error" else None,
)  # fmt: skip


def _ollama_usage(answer: Any) -> tuple[int, int]:
    return answer["prompt_eval_count"], answer["eval_count"]


OLLAMA_CHAT = SurfaceCase(
    name="ollama chat",
    path="/api/chat",
    ask=lambda length, seed, stream: {
        "model": MODEL, "messages": MESSAGES, "stream": stream,
        "options": {"num_predict": length, "seed": seed},
    },
    read=lambda answer: answer["message"]["content"],
    piece=lambda event: event["message"]["content"],
    ended=lambda event: event.get("done", False),
    usage=_ollama_usage,
    failure=lambda answer: answer.get("error"),
)  # fmt: skip

OLLAMA_GENERATE = SurfaceCase(
    name="ollama generate",
    path="/api/generate",
    ask=lambda length, seed, stream: {
        "model": MODEL, "prompt": QUESTION, "stream": stream,
        "options": {"num_predict": length, "seed": seed},
    },
    read=lambda answer: answer["response"],
    piece=lambda event: event["response"],
    ended=lambda event: event.get("done", False),
    usage=_ollama_usage,
    failure=lambda answer: answer.get("error"),
)  # fmt: skip


def _generated(name: str, path: str) -> SurfaceCase:
    return SurfaceCase(
        name=name,
        path=path,
        ask=lambda length, seed, stream: {
            "inputs": QUESTION, "stream": stream,
            "parameters": {
                "max_new_tokens": length, "seed": seed, "do_sample": True, "details": True,
                "decoder_input_details": not stream,
            },
        },
        read=lambda answer: _one(answer)["generated_text"],
        piece=lambda event: event["token"]["text"],
        ended=lambda event: event.get("generated_text") is not None,
        usage=lambda answer: (
            len(_one(answer)["details"]["prefill"]),
            _one(answer)["details"]["generated_tokens"],
        ),
        failure=lambda answer: answer.get("error"),
        twin="text",
    )  # fmt: skip


def _one(answer: Any) -> Any:
    return answer[0] if isinstance(answer, list) else answer


GENERATE = _generated("generate", "/generate")
GENERATE_STREAM = _generated("generate_stream", "/generate_stream")
ROOT = _generated("generate at the root", "/")

LLAMACPP = SurfaceCase(
    name="completion",
    path="/completion",
    ask=lambda length, seed, stream: {
        "prompt": QUESTION, "n_predict": length, "seed": seed, "stream": stream
    },
    read=lambda answer: answer["content"],
    piece=lambda event: event["content"],
    ended=lambda event: event.get("stop", False),
    usage=lambda answer: (answer["tokens_evaluated"], answer["tokens_predicted"]),
    failure=lambda answer: answer["error"]["message"] if "error" in answer else None,
    twin="text",
)  # fmt: skip

SURFACES = (
    CHAT, TEXT, MESSAGES_SURFACE, RESPONSES, OLLAMA_CHAT, OLLAMA_GENERATE, GENERATE,
    GENERATE_STREAM, ROOT, LLAMACPP,
)  # fmt: skip
BY_NAME = {surface.name: surface for surface in SURFACES}


def post(
    server: RunningServer, surface: SurfaceCase, body: Any, **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", surface.path, encoded, {**JSON, **surface.headers, **headers})
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    return response.status, response.headers, answer


def whole(server: RunningServer, surface: SurfaceCase, length: int, seed: int) -> Any:
    status, _, body = post(server, surface, surface.ask(length, seed, False))
    assert status == 200, body
    return json.loads(body)


def events(body: bytes) -> list[Any]:
    """Of an event stream or of lines, decoded; OpenAI's end marker as None."""
    return list(_events(body))


def _events(body: bytes) -> Iterator[Any]:
    for line in body.split(b"\n"):
        data = line.removeprefix(b"data:").strip()
        if line and not line.startswith((b":", b"event:")):
            yield None if data == b"[DONE]" else json.loads(data)
