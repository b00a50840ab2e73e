"""No single request ends or changes another: each bad one runs beside a healthy stream, which must
stay identical to the byte (S20, S21, S22, S23, S26, B1)."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Iterator

import pytest

from tests.security.bad_requests import BAD_REQUESTS, BadRequest
from tests.support.server import MODEL, RunningServer, local_server

HEALTHY = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "A healthy question"}],
    "max_tokens": 1500,
    "seed": 42,
    "stream": True,
}
IDENTITY = re.compile(rb'"id":"chatcmpl-\w+"|"created":\d+')
TELLS_TOO_MUCH = re.compile(
    r"0x[0-9a-f]{6,}|/[a-z]+/[a-z]+/|\.py\b|Traceback|stoker\.|msgspec|uvicorn|starlette|line \d+",
)
BODY_KEYS = {"message", "type", "param", "code", "hint", "request_id"}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server() as running:
        yield running


class HealthyStream:
    """Reads the same stream again and again in a thread and compares every reading."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.expected = read_stream(server)
        self.readings = 0
        self.problems: list[str] = []

    def __enter__(self) -> HealthyStream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._stop.is_set():
            if read_stream(self._server) != self.expected:
                self.problems.append(f"reading {self.readings} differs")
            self.readings += 1


def read_stream(server: RunningServer) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request(
        "POST", "/v1/chat/completions", json.dumps(HEALTHY), {"content-type": "application/json"}
    )
    body = connection.getresponse().read()
    connection.close()
    assert body.endswith(b"data: [DONE]\n\n")
    return IDENTITY.sub(b"", body)


@pytest.fixture(scope="module")
def neighbour(server: RunningServer) -> Iterator[HealthyStream]:
    with HealthyStream(server) as stream:
        yield stream
    assert stream.readings > 0
    assert not stream.problems


@pytest.mark.parametrize("bad", BAD_REQUESTS, ids=lambda bad: bad.name)
def test_a_bad_request_gets_its_answer_and_disturbs_nobody(
    bad: BadRequest, server: RunningServer, neighbour: HealthyStream
) -> None:
    status, answer = send(server, bad)
    assert status == bad.status, answer
    assert set(answer) == {"error"}
    error = answer["error"]
    assert set(error) == BODY_KEYS
    assert error["code"] == bad.code, error
    assert error["param"] == bad.param, error
    assert error["message"]
    told = f"{error['message']} {error['hint']}"
    assert not TELLS_TOO_MUCH.search(told), told
    assert not neighbour.problems


def send(server: RunningServer, bad: BadRequest) -> tuple[int, dict[str, dict[str, str]]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {"content-type": "application/json", **bad.headers}
    connection.request(bad.method, bad.path, bad.body, headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, json.loads(body)


def test_there_are_many_and_each_has_a_name() -> None:
    names = [bad.name for bad in BAD_REQUESTS]
    assert len(names) == len(set(names))
    assert len(names) >= 200


def test_the_table_cannot_pass_by_accident(server: RunningServer) -> None:
    """The request that the rows change is a good one."""
    from tests.security.bad_requests import CHAT, GOOD_CHAT, GOOD_TEXT, TEXT

    for path, good in ((CHAT, GOOD_CHAT), (TEXT, GOOD_TEXT)):
        body = json.dumps({**good, "max_tokens": 2}).encode()
        status, _ = send(server, BadRequest("good", body, path=path))
        assert status == 200
