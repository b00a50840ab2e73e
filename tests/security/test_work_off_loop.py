"""What is long or has many parts is read, rendered and tokenised beside the loop, whichever part of
a request it stands in: meanwhile health checks and streams go on."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stoker.api import off_loop
from stoker.api.openai import chat, template_variables
from stoker.api.openai.chat_shape import ChatShape
from stoker.text.tokenizer import Tokenizer
from stoker.text.user_text import UserText
from tests.support.server import MODEL, RunningServer, local_server

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
WALKERS: list[tuple[Any, str]] = [
    (off_loop, "decode"),
    (chat, "plain_messages"),
    (template_variables, "_check_number"),
    (UserText, "guarded"),
    (Tokenizer, "encode"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server() as running:
        yield running


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of those that walked over what a client sent."""
    seen: set[str] = set()

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            seen.add(threading.current_thread().name.partition("_")[0])
            return function(*args, **kwargs)

        return run

    for owner, name in WALKERS:
        monkeypatch.setattr(owner, name, watched(getattr(owner, name)))
    return seen


def post(server: RunningServer, path: str, **body: Any) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    content = json.dumps({"model": MODEL, **body})
    connection.request("POST", path, content, {"content-type": "application/json"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


def message(content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}], "max_tokens": 1}


PARTS = [{"type": "text", "text": ""}] * 64
LARGE: dict[str, tuple[str, dict[str, Any]]] = {
    "text": (CHAT, message("word " * 300)),
    "parts": (CHAT, {"messages": [message(PARTS)["messages"][0]] * 3, "max_tokens": 1}),
    "messages": (CHAT, {"messages": message("")["messages"] * 200, "max_tokens": 1}),
    "variables": (CHAT, {**message("a"), "chat_template_kwargs": {"documents": [0] * 2000}}),
    "metadata": (CHAT, {**message("a"), "metadata": [[]] * 2000}),
    "stop_token_ids": (CHAT, {**message("a"), "stop_token_ids": [1] * 2000}),
    "prompts": (TEXT, {"prompt": ["word " * 30] * 64, "max_tokens": 1}),
    "token ids": (TEXT, {"prompt": [1] * 1500, "max_tokens": 1}),
    "/tokenize": ("/tokenize", {"prompt": "word " * 1000}),
    "/detokenize": ("/detokenize", {"tokens": [1] * 2000}),
}


@pytest.mark.parametrize("kind", LARGE)
def test_nothing_large_is_walked_on_the_loop(
    kind: str, server: RunningServer, threads: set[str]
) -> None:
    path, body = LARGE[kind]
    filler = {} if path.startswith(("/to", "/de")) else {"user": "x" * 4096}
    status, answer = post(server, path, **body, **filler)
    assert status == (400 if kind == "stop_token_ids" else 200), answer
    assert threads == {"text"}


def test_small_requests_do_not_wait_for_large_ones(
    server: RunningServer, threads: set[str]
) -> None:
    assert post(server, CHAT, **message("hi"))[0] == 200
    assert threads == {"server"}


def test_many_log_probabilities_are_spelled_off_the_loop(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    spelled: list[str] = []
    whole = ChatShape.whole

    def watched(self: ChatShape, *args: Any) -> bytes:
        spelled.append(threading.current_thread().name.partition("_")[0])
        return whole(self, *args)

    monkeypatch.setattr(ChatShape, "whole", watched)
    for length in (400, 1):
        status, answer = post(
            server, CHAT, **message("word " * length), prompt_logprobs=20 if length > 1 else None
        )
        assert status == 200, answer
    assert spelled == ["text", "server"]


@pytest.mark.parametrize(
    "values", [[0] * 4097, [[0] * 60] * 80, {str(i): 1 for i in range(4097)}, [[[]] * 4096]]
)
def test_template_variables_have_a_most(values: Any, server: RunningServer) -> None:
    status, answer = post(server, CHAT, **message("a"), chat_template_kwargs={"documents": values})
    assert status == 400
    assert answer["error"]["param"] == "chat_template_kwargs"
    assert "4096" in answer["error"]["message"]
