"""Keys and prompts never reach a log line, an error body or a metric (S19), nor does what a 5xx
knows about the inside (S20)."""

from __future__ import annotations

import base64
import http.client
import json
import logging
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from stoker.api.errors import SENTENCES
from stoker.config.schema import LogSection, ServerSection
from stoker.observe.logs import JsonFormatter, TextFormatter, redact, set_up_logging
from tests.support.server import MODEL, RunningServer, local_server

KEY = "canary-key-7f3a9b"
PROMPT = "canary-prompt-5c1d2e"
FORMS = [
    form
    for secret in (KEY, PROMPT)
    for form in (
        secret,
        base64.b64encode(secret.encode()).decode()[:-4],
        urllib.parse.quote(secret.replace("-", " ")),
    )
]


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with local_server(ServerSection(port=0, api_key=KEY)) as running:
        yield running


def ask(server: RunningServer, method: str, path: str, body: Any, key: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    connection.request(method, path, content, headers)
    response = connection.getresponse()
    text = response.read().decode(errors="replace")
    connection.close()
    return response.status, text


def chat(**changes: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": PROMPT}]
    return {"model": MODEL, "messages": messages, "max_tokens": 2, **changes}


def test_canaries_show_nowhere(
    server: RunningServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    bodies = (
        chat(), chat(stream=True), chat(temperature=PROMPT), chat(stop=[5]), chat(messages=PROMPT),
        chat(messages=[{"role": PROMPT, "content": PROMPT}]), {"prompt": PROMPT}, PROMPT.encode(),
        chat(max_tokens=10_000), chat(tools=[PROMPT]), chat(logit_bias={PROMPT: 1}),
    )  # fmt: skip
    answers = [ask(server, "POST", "/v1/chat/completions", body, KEY) for body in bodies]
    answers.append(ask(server, "POST", "/v1/completions", {"model": MODEL, "prompt": PROMPT}, KEY))
    answers.append(ask(server, "POST", "/tokenize", {"prompt": PROMPT}, KEY))
    answers.append(ask(server, "GET", f"/{PROMPT}?q={PROMPT}", b"", KEY))
    answers.append(ask(server, "POST", "/v1/chat/completions", chat(), f"{KEY}x"))
    break_inside(server, monkeypatch)
    answers.append(ask(server, "POST", "/v1/chat/completions", chat(), KEY))
    assert answers[-1][0] == 500
    answers.append(ask(server, "GET", "/metrics", b"", KEY))
    logged = "\n".join(
        formatter.format(record)
        for record in caplog.records
        for formatter in (TextFormatter(), JsonFormatter())
    )
    assert "request_id=req_" in logged
    shown = logged + "\n".join(text for _, text in answers)
    assert [form for form in FORMS if form in shown] == []


def break_inside(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect whose exception holds the prompt."""

    def broken(request: Any) -> Any:
        raise KeyError(PROMPT, KEY, request.prompt_token_ids, "/srv/secret.py", "0x7f00")

    monkeypatch.setattr(server.backend, "submit", broken)


@pytest.mark.parametrize("streamed", [True, False])
def test_a_defect_shows_a_fixed_sentence_and_its_request_id(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, streamed: bool
) -> None:
    break_inside(server, monkeypatch)
    status, text = ask(server, "POST", "/v1/chat/completions", chat(stream=streamed), KEY)
    error = json.loads(text)["error"]
    assert status == 500
    assert error["message"] in SENTENCES.values()
    assert error["request_id"].startswith("req_")
    assert error["param"] is None


@pytest.mark.parametrize(
    "line",
    [
        f"Authorization: Bearer {KEY}",
        f"authorization='{KEY}'",
        f"bearer {KEY} was refused",
        f"api_key={KEY}",
        f'{{"api-key": "{KEY}"}}',
        f"using sk-{KEY}",
    ],
)
def test_what_looks_like_a_key_is_removed(line: str) -> None:
    assert KEY not in redact(line)


def test_a_log_record_is_one_short_line() -> None:
    text = redact("a\nb\r\n" + "x" * 100_000)
    assert len(text) <= 8 * 1024
    assert "\n" not in text


def test_logging_is_set_up_once_and_writes_json(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        set_up_logging(LogSection(format="json"))
        set_up_logging(LogSection(format="json"))
        logging.getLogger("stoker.test").warning("hello", extra={"request_id": "req_1"})
        lines = capsys.readouterr().err.splitlines()
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    (line,) = [json.loads(line) for line in lines]
    assert line["message"] == "hello"
    assert line["request_id"] == "req_1"
