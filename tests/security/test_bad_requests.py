"""No single request ends or changes another: each bad one runs beside a healthy stream, which must
stay identical to the byte (S20, S21, S22, S23, S26, B1)."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator

import pytest

from tests.security.bad_requests import BAD_REQUESTS, BadRequest
from tests.security.bad_tools import bad_tools
from tests.support.healthy_stream import HealthyStream
from tests.support.server import RunningServer, local_server

TELLS_TOO_MUCH = re.compile(
    r"0x[0-9a-f]{6,}|/[a-z]+/[a-z]+/|\.py\b|Traceback|stoker\.|msgspec|uvicorn|starlette"
    r"|, line \d+",
)
NAMED = (*BAD_REQUESTS, *bad_tools())
BODY_KEYS = {"message", "type", "param", "code", "hint", "request_id"}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server() as running:
        yield running


@pytest.fixture(scope="module")
def neighbour(server: RunningServer) -> Iterator[HealthyStream]:
    with HealthyStream(server) as stream:
        yield stream


@pytest.mark.parametrize("bad", NAMED, ids=lambda bad: bad.name)
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
    names = [bad.name for bad in NAMED]
    assert len(names) == len(set(names))
    assert len(names) >= 400


def test_the_table_cannot_pass_by_accident(server: RunningServer) -> None:
    """The request that the rows change is a good one."""
    from tests.security.bad_requests import CHAT, GOOD_CHAT, GOOD_TEXT, TEXT

    for path, good in ((CHAT, GOOD_CHAT), (TEXT, GOOD_TEXT)):
        body = json.dumps({**good, "max_tokens": 2}).encode()
        status, _ = send(server, BadRequest("good", body, path=path))
        assert status == 200
