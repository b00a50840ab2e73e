"""What holds on every surface because none of them has a say in it: who pays, who may ask, what is
given back, and what is written in silence."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stoker.api.anthropic.dialect import ANTHROPIC
from stoker.api.dialect import OPENAI, Dialect
from stoker.api.exchange import Exchange
from stoker.api.ollama.dialect import OLLAMA
from stoker.api.sse import EventStream
from stoker.config.schema import LimitsSection
from tests.support.gateway import Gateway, gateway, tenant
from tests.support.server import MODEL, RunningServer, local_server
from tests.support.surfaces import QUESTION, SURFACES, SurfaceCase, events, post

every_surface = pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A tenant that pays, and for each surface one that may ask once a minute."""
    text = f'[[models]]\nname = "{MODEL}"\nsource = "unused"\n'
    text += tenant("payer")
    text += "".join(tenant(f"seldom{n}", requests_per_minute=1) for n in range(len(SURFACES)))
    with gateway(tmp_path_factory.mktemp("surfaces"), text) as running:
        yield running


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server() as running:
        yield running


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@every_surface
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_what_was_used_is_settled(served: Gateway, surface: SurfaceCase, streamed: bool) -> None:
    status, _, body = post(served, surface, surface.ask(9, 3, streamed), **bearer("payer"))
    assert status == 200, body
    served.until(lambda: not served.ledger.num_open)
    _, usage, outcome = served.ledger.settled[-1]
    assert (usage.output_tokens, outcome) == (9, "length")
    if not streamed:
        assert (usage.input_tokens, 9) == surface.usage(json.loads(body))


@every_surface
def test_a_tenant_over_its_limit_is_told_when_to_come_back(
    served: Gateway, surface: SurfaceCase
) -> None:
    key = bearer(f"seldom{SURFACES.index(surface)}")
    assert post(served, surface, surface.ask(2, 1, False), **key)[0] == 200
    status, headers, body = post(served, surface, surface.ask(2, 1, True), **key)
    assert status == 429
    assert int(headers["retry-after"]) >= 1
    assert surface.failure(json.loads(body))


@every_surface
def test_no_key_no_answer(served: Gateway, surface: SurfaceCase) -> None:
    for headers in ({}, bearer("unknown")):
        status, _, body = post(served, surface, surface.ask(2, 1, True), **headers)
        assert status == 401
        assert surface.failure(json.loads(body))


@every_surface
def test_a_client_that_leaves_gives_everything_back(
    server: RunningServer, surface: SurfaceCase
) -> None:
    server.call(server.backend.hold)
    server.call(lambda: server.backend.let_step(3))
    body = json.dumps(surface.ask(1000, 1, True)).encode()
    head = f"POST {surface.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert connection.recv(12) == b"HTTP/1.1 200"
    server.call(server.backend.release)
    server.until(lambda: server.backend.engine.idle)
    assert server.backend.load.used_blocks == 0


@every_surface
def test_prompts_and_answers_are_not_logged(
    server: RunningServer, surface: SurfaceCase, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = events(post(server, surface, surface.ask(30, 5, True))[2])
        post(server, surface, {**surface.ask(30, 5, True), QUESTION: 1})
    text = "".join(map(surface.piece, answer))
    told = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert text not in told
    assert QUESTION not in told


@pytest.mark.parametrize(
    ("dialect", "sign", "end"),
    [
        (OPENAI, b": waiting\n\n", b"data: [DONE]\n\n"),
        (ANTHROPIC, b'event: ping\ndata: {"type":"ping"}\n\n', b""),
        (OLLAMA, b"", b""),
    ],
    ids=["openai", "anthropic", "ollama"],
)
async def test_silence_is_broken_as_clients_understand_it(
    dialect: Dialect, sign: bytes, end: bytes
) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(dict(message))

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    exchange = Exchange({"headers": []}, receive, send, LimitsSection(), "req_1", dialect)
    stream = EventStream(exchange, silence=0.01)

    async def work() -> None:
        while len(sent) < 3:
            await asyncio.sleep(0)
        await stream.finish(b"last")

    await exchange.while_connected(work(), stream.keep_alive)
    assert dict(sent[0]["headers"])[b"content-type"] == dialect.stream_type
    assert [message["body"] for message in sent[1:3]] == [sign] * 2
    assert sent[-1]["body"] == b"last" + end


def test_every_dialect_spells_every_error(tmp_path: Path, served: Gateway) -> None:
    """None of them raises, and none of them says more than OpenAI's."""
    import stoker.errors as tree
    from stoker.api.routes import operations

    dialects = {operation.dialect for operation in operations(served.application.front)}
    assert len(dialects) >= 6
    for name in dir(tree):
        kind = getattr(tree, name)
        if not (isinstance(kind, type) and issubclass(kind, tree.StokerError)):
            continue
        error = tree.ModelFileError(tmp_path, "x") if kind is tree.ModelFileError else kind("why")
        for dialect in dialects:
            spelled = json.loads(dialect.error_body(error, "req_1"))
            public = json.loads(OPENAI.error_body(error, "req_1"))["error"]["message"]
            assert public in json.dumps(spelled), (name, spelled)
            assert str(tmp_path) not in json.dumps(spelled)
