"""Start, drain and end of a server (F12, F13)."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any

import pytest

from stoker.config.schema import ServerSection
from stoker.engine.interface import EngineState
from stoker.errors import SetupError
from tests.support.raw_http import read_all, statuses
from tests.support.server import MODEL, RunningServer, local_server


def stream_request(**changes: Any) -> bytes:
    body = json.dumps(
        {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": True, **changes}
    ).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
    kind = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + kind + body


def get(server: RunningServer, path: str) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", path)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


def open_stream(server: RunningServer, **changes: Any) -> socket.socket:
    """A stream that has begun, and makes no step on its own."""
    server.call(server.backend.hold)
    server.call(lambda: server.backend.let_step(2))
    connection = server.connect()
    connection.sendall(stream_request(**changes))
    assert connection.recv(1).startswith(b"H")
    return connection


@pytest.mark.fault("F12")
def test_a_drain_lets_running_requests_finish_and_refuses_new_ones() -> None:
    with local_server() as server:
        connection = open_stream(server, max_tokens=10)
        server.server.stop()
        server.until(lambda: server.application.front.draining)
        assert get(server, "/health/ready") == (503, {"status": "draining"})
        assert get(server, "/health/live")[0] == 200
        with server.connect() as late:
            late.sendall(stream_request())
            refused = read_all(late)
        server.call(server.backend.release)
        answer = read_all(connection)
        connection.close()
        server.join()
    assert server.exit_code == 0
    assert statuses(refused) == [503]
    assert b'"draining"' in refused
    assert b"connection: close" in refused
    assert answer.count(b"data: [DONE]") == 1


@pytest.mark.fault("F12")
def test_what_outlives_the_grace_period_ends_with_an_error_event() -> None:
    with local_server(ServerSection(port=0, drain_seconds=0.1)) as server:
        connection = open_stream(server, max_tokens=1000)
        assert server.stop() == 0
        answer = read_all(connection)
        connection.close()
    assert b'"code":"draining"' in answer
    assert b"[DONE]" not in answer
    assert answer.endswith(b"\n\n\r\n0\r\n\r\n")


@pytest.mark.fault("F13")
def test_a_second_stop_ends_at_once() -> None:
    with local_server(ServerSection(port=0, drain_seconds=60)) as server:
        connection = open_stream(server, max_tokens=1000)
        server.server.stop()
        server.until(lambda: server.application.front.draining)
        assert server.stop() == 1
        answer = read_all(connection)
        connection.close()
    assert b"[DONE]" not in answer
    assert server.backend.state is EngineState.STOPPED


@pytest.mark.fault("F13")
def test_a_vanished_client_does_not_hold_up_the_drain() -> None:
    with local_server(ServerSection(port=0, drain_seconds=60)) as server:
        connection = open_stream(server, max_tokens=1000)
        server.server.stop()
        server.until(lambda: server.application.front.draining)
        connection.close()
        server.join()
        assert server.exit_code == 0


def test_a_server_whose_engine_gave_up_ends_with_code_1() -> None:
    with local_server() as server:
        server.call(lambda: setattr(server.backend, "state", EngineState.STOPPED))
        server.join()
        assert server.exit_code == 1


def test_a_taken_port_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        section = ServerSection(port=taken.getsockname()[1])
        with pytest.raises(SetupError, match="cannot listen on"), local_server(section):
            pass


def test_loading_is_live_and_not_ready() -> None:
    with local_server() as server:
        server.call(lambda: setattr(server.backend, "state", EngineState.LOADING))
        assert get(server, "/health/ready") == (503, {"status": "loading"})
        assert get(server, "/health/live") == (200, {"status": "live"})
        status, answer = get(server, "/v1/models")
        assert status == 200
        assert answer["data"][0]["max_model_len"] is None
        server.call(lambda: setattr(server.backend, "state", EngineState.READY))
        assert get(server, "/health/ready")[0] == 200


def test_progress_is_told_apart_from_life() -> None:
    from stoker.api.progress import STUCK_SECONDS, Progress
    from stoker.engine.interface import EngineLoad

    progress = Progress(0.0)
    busy = EngineLoad(num_running=1, num_steps=5)
    assert progress.observe(busy, 100.0) == 0
    assert progress.observe(busy, 104.0) == 4.0
    assert not progress.stuck
    progress.observe(busy, 101.0 + STUCK_SECONDS)
    assert progress.stuck
    assert progress.observe(EngineLoad(num_steps=5), 200.0) == 0
    assert not progress.stuck
