"""A conversation remembers its turns, survives a failed one, and never obeys control characters."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import cast

import pytest

from stoker.cli.chat import Conversation
from stoker.cli.local_model import within_context
from stoker.cli.main import run
from stoker.cli.remote_chat import Message, RemoteChat
from stoker.cli.terminal import encodable, printable
from stoker.core.sampling import SamplingParams
from stoker.errors import SetupError
from stoker.llm import LLM

SAMPLING = SamplingParams(max_tokens=8)


class Echo:
    """Answers with how many messages it was given."""

    def __init__(self) -> None:
        self.asked: list[list[Message]] = []
        self.fail: BaseException | None = None

    def __call__(self, messages: Sequence[Message], _sampling: SamplingParams) -> Iterator[str]:
        self.asked.append(list(messages))
        yield "heard "
        if self.fail is not None:
            raise self.fail
        yield str(len(messages))


def type_lines(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    remaining = iter(lines)

    def read(_prompt: str) -> str:
        try:
            return next(remaining)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", read)


def test_turns_are_remembered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    type_lines(monkeypatch, "hello", "", "again")
    echo = Echo()
    Conversation(echo, SAMPLING, "be kind").run()
    assert capsys.readouterr().out == "heard 2\nheard 4\n"
    assert [message["role"] for message in echo.asked[1]] == [
        "system", "user", "assistant", "user",
    ]  # fmt: skip


def test_clear_keeps_only_the_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    type_lines(monkeypatch, "hello", "/clear", "again", "/bye", "never")
    echo = Echo()
    Conversation(echo, SAMPLING, "be kind").run()
    assert [len(messages) for messages in echo.asked] == [2, 2]


def test_unknown_command_shows_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    type_lines(monkeypatch, "/what")
    Conversation(Echo(), SAMPLING, None).run()
    assert "/bye" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SetupError("the answer broke off")])
def test_a_failed_turn_is_forgotten(
    error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    echo = Echo()
    echo.fail = error
    conversation = Conversation(echo, SAMPLING, None)
    conversation.ask("hello")
    assert conversation.messages == []
    assert capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "safe"),
    [("a\x1b[2Jb", "a[2Jb"), ("line\nnext\t.", "line\nnext\t."), ("\x9b31m", "31m"), ("é…", "é…")],
)
def test_control_characters_do_not_reach_the_terminal(text: str, safe: str) -> None:
    assert printable(text) == safe


def test_what_the_terminal_cannot_write_becomes_a_question_mark() -> None:
    assert encodable("caf\u00e9 \U0001f600", "ascii") == "caf? ?"
    assert encodable("caf\u00e9", "utf-8") == "caf\u00e9"


class FakeServer(BaseHTTPRequestHandler):
    models = b'{"data": [{"id": "tiny"}]}'
    stream = b""
    status = 200

    def do_GET(self) -> None:
        self._send(200, self.models)

    def do_POST(self) -> None:
        self.server.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))  # type: ignore[attr-defined]
        self.server.key = self.headers["Authorization"]  # type: ignore[attr-defined]
        self._send(self.status, self.stream)

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), FakeServer) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def remote(server: ThreadingHTTPServer) -> RemoteChat:
    return RemoteChat(f"http://127.0.0.1:{server.server_address[1]}/v1/", "secret")


def events(*pieces: str, end: str = "data: [DONE]\n\n") -> bytes:
    chunks = [{"choices": [{"delta": {"content": piece}}]} for piece in pieces]
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode() + end.encode()


def test_a_server_answers(server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeServer, "stream", events("Hel", "lo"))
    chat = remote(server)
    assert "".join(chat.answer([{"role": "user", "content": "hi"}], SAMPLING)) == "Hello"
    assert server.body["model"] == "tiny"  # type: ignore[attr-defined]
    assert server.body["stream"] is True  # type: ignore[attr-defined]
    assert server.key == "Bearer secret"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("status", "stream", "says"),
    [
        (429, b'{"error": {"message": "full"}}', "full"),
        (401, b'{"error": {"message": "no key", "hint": "Send one."}}', "no key Send one."),
        (500, b"oops", "status 500"),
        (200, events("Hel", end=""), "broke off"),
        (200, b'data: {"error": {"message": "lost"}}\n\n', "lost"),
        (200, b'data: {"choices": "odd"}\n\n', "does not answer as an OpenAI server does"),
        (200, b"data: <html>\n\n", "does not answer as an OpenAI server does"),
    ],
)
def test_a_failing_server_is_reported(
    server: ThreadingHTTPServer,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    stream: bytes,
    says: str,
) -> None:
    monkeypatch.setattr(FakeServer, "stream", stream)
    monkeypatch.setattr(FakeServer, "status", status)
    chat = remote(server)
    try:
        list(chat.answer([{"role": "user", "content": "hi"}], SAMPLING))
    except SetupError as error:
        told = f"{error.message} {error.hint}"
    assert says in told


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x",
        "http://",
        "http://127.0.0.1:1",
        "http://127.0.0.1:99999",
        "http://[::1",
    ],
)
def test_no_server_is_one_line(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["chat", "--url", url]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_named_model_of_the_server_is_asked(
    server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = [{"id": "tiny"}, {"id": "Large"}]
    monkeypatch.setattr(FakeServer, "models", json.dumps({"data": data}).encode())
    monkeypatch.setattr(FakeServer, "stream", events("x"))
    type_lines(monkeypatch, "hello")
    url = f"http://127.0.0.1:{server.server_address[1]}"
    assert run(["chat", "--url", url, "large"]) == 0
    assert server.body["model"] == "Large"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("models", "arguments", "says"),
    [
        (["tiny", "large"], ["huge"], "has no model 'huge' (It has tiny, large)"),
        ([], [], "has no model yet"),
    ],
)
def test_a_model_the_server_lacks_is_one_line(
    server: ThreadingHTTPServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    models: list[str],
    arguments: list[str],
    says: str,
) -> None:
    data = json.dumps({"data": [{"id": name} for name in models]}).encode()
    monkeypatch.setattr(FakeServer, "models", data)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    assert run(["chat", "--url", url, *arguments]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(("prompt", "left"), [(12, 500), (511, 1), (600, 1), (0, 512)])
def test_the_default_of_new_tokens_ends_where_the_context_does(prompt: int, left: int) -> None:
    llm = cast(LLM, SimpleNamespace(info=SimpleNamespace(max_context=512)))
    assert within_context(llm, prompt, SamplingParams(max_tokens=512)).max_tokens == left
