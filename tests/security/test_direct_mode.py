"""Only the front sends anybody to a replica, and nobody gets more there than was signed."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from msgspec.structs import replace

from stoker.config.fleet_schema import EdgeSection, ModelEntry
from stoker.config.schema import Config, ServerSection
from stoker.engine import frames
from stoker.fleet.replica_protocol import (
    EDGE_HEADER,
    MINE,
    OUTCOMES_PATH,
    REPLICA_HEADER,
    SUBMIT_PATH,
    TICKET_HEADER,
    VERSION_HEADER,
)
from stoker.fleet.ticket import Ticket, body_digest, edge_token, sign
from tests.support import scripted_server as script
from tests.support.edge import edge
from tests.support.edge_modes import KEY, EdgeMode, edge_mode, fronted, ticket_key
from tests.support.engine_streams import request
from tests.support.gateway import Answer, tenant
from tests.support.scripted_server import scripted, whole
from tests.support.server import MODEL, RunningServer, replica_server

TEXT = "/v1/completions"
BODY = f'{{"model":"{MODEL}","prompt":"Once","max_tokens":4,"ignore_eos":true}}'.encode()


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeMode]:
    with edge_mode("direct", tmp_path_factory.mktemp("direct") / "d", tenant("free")) as mode:
        yield mode


@pytest.fixture
def replica(direct: EdgeMode) -> RunningServer:
    return direct.replica


def ticket(**changes: Any) -> Ticket:
    good = Ticket(
        request_id=f"req_1/{secrets.token_hex(4)}", tenant="free", model=MODEL, max_tokens=4,
        expires=time.time() + 20, body=body_digest(TEXT, BODY), seconds=20.0, front="f",
    )  # fmt: skip
    return replace(good, **changes)


async def post(url: str, body: bytes = BODY, signed: str | None = None, **headers: str) -> Answer:
    sent = {"content-type": "application/json", VERSION_HEADER: MINE, **headers}
    if signed is not None:
        sent[TICKET_HEADER] = signed
    async with ClientSession() as session, session.post(url, data=body, headers=sent) as response:
        return Answer(response.status, response.headers, await response.read())


def signed(**changes: Any) -> str:
    return sign(ticket(**changes), KEY.encode())


async def test_a_replica_answers_the_signed_body_and_no_more_than_was_signed(
    replica: RunningServer,
) -> None:
    url = f"{replica.url}/replica{TEXT}"
    answer = await post(url, signed=signed(max_tokens=2))
    assert answer.status == 200
    assert answer.json["usage"]["completion_tokens"] == 2
    assert answer.headers["x-request-id"] == "req_1"


@pytest.mark.parametrize(
    "changes",
    [
        {"body": body_digest(TEXT, BODY + b" ")},
        {"body": body_digest("/v1/chat/completions", BODY)},
        {"body": ""},
        {"model": "other"},
        {"expires": 1000.0},
    ],
)
async def test_a_ticket_for_something_else_is_refused(
    replica: RunningServer, changes: dict[str, Any]
) -> None:
    answer = await post(f"{replica.url}/replica{TEXT}", signed=signed(**changes))
    assert (answer.status, answer.code) == (403, "permission_denied")


async def test_without_a_ticket_of_its_own_nothing_is_answered(replica: RunningServer) -> None:
    url = f"{replica.url}/replica{TEXT}"
    once = signed()
    forged = sign(ticket(), b"other" * 10)
    assert (await post(url, signed=once)).status == 200
    for wrong in (None, once, forged, once[:-4] + "AAAA"):
        assert (await post(url, signed=wrong)).status == 403
    assert (await post(f"{replica.url}{TEXT}", signed=signed())).status == 404


async def test_tickets_for_bodies_frames_and_questions_are_not_each_others(
    replica: RunningServer,
) -> None:
    sequence = request("req_1", 4)
    frame = frames.encode(frames.Submit(replace(sequence, tenant="free")))
    assert (await post(replica.url + SUBMIT_PATH, frame, signed())).status == 403
    question = b'{"front":"f","done":[],"late":[],"seconds":0}'
    outcomes = replica.url + OUTCOMES_PATH
    assert (await post(outcomes, question, signed(front="f"))).status == 200
    assert (await post(outcomes, question, signed(front="g"))).status == 403
    assert (await post(outcomes, question, signed(front=""))).status == 403
    assert (await post(outcomes, question)).status == 403


FORGED = {
    EDGE_HEADER: "1",
    REPLICA_HEADER: "127.0.0.1:1",
    "x-accel-redirect": "/metrics",
    TICKET_HEADER: "1.e30.x",
}


async def test_what_a_client_says_of_itself_in_our_headers_is_dropped(direct: EdgeMode) -> None:
    found = await direct.send("free", TEXT, json={"model": MODEL, "prompt": "a"}, headers=FORGED)
    assert found.status == 200
    for path in ("/replica/report", "/replica" + TEXT, "/@direct", "/@again", "/%40direct"):
        answer = await direct.send("free", path, data=BODY, headers={TICKET_HEADER: signed()})
        assert answer.status == 404


async def test_a_front_tells_no_client_where_replicas_are(direct: EdgeMode) -> None:
    """Without the proxy's token it answers by itself, whatever the headers say."""
    forged = {name: value for name, value in FORGED.items() if name != TICKET_HEADER}
    for claim in ("1", edge_token(b"x" * 40)):
        direct.replica.backend.submitted.clear()
        answer = await post(
            f"{direct.front.url}{TEXT}",
            authorization="Bearer free",
            **(forged | {EDGE_HEADER: claim}),
        )
        assert answer.status == 200
        assert answer.json["usage"]["completion_tokens"] == 4
        assert not [name for name in answer.headers if "accel" in name.lower()]
        assert direct.ways == [False]


async def test_no_backend_of_somebody_else_tells_nginx_where_to_go(tmp_path: Path) -> None:
    """Neither with answers nor with refusals."""
    headers = {"X-Accel-Redirect": "/metrics", "X-Stoker-Replica": "127.0.0.1:1"}
    scripts = (whole(script.completion("Hello"), **headers), whole({}, 400, **headers))
    folder = tmp_path / "d"
    key = ticket_key(folder)
    async with scripted(*scripts) as server:
        more = (
            f'[[backends]]\nname = "there"\nurl = "{server.url}/v1"\n'
            '[[routes]]\nname = "chat"\ntargets = [{ backend = "there", model = "large" }]\n'
        )
        body = b'{"model":"chat","messages":[{"role":"user","content":"Hi"}]}'
        with (
            replica_server(key) as replica,
            fronted("direct", folder, replica.url, more) as (front, url),
        ):
            for place in (url, front.url):
                server.answered = 0
                for status in (200, 400):
                    found = await post(f"{place}/v1/chat/completions", body)
                    assert found.status == status
                    names = {name.lower() for name in found.headers}
                    assert not names & {"x-accel-redirect", "x-stoker-replica"}
                    assert b"stoker_" not in found.body


async def test_nginx_goes_to_replicas_that_it_was_told_of_and_obeys_none(tmp_path: Path) -> None:
    """The front is made up: it names a replica, and any other address."""
    said = {"X-Accel-Redirect": "@direct", TICKET_HEADER: "t", VERSION_HEADER: MINE}
    elsewhere = {"X-Accel-Redirect": "@direct", REPLICA_HEADER: "127.0.0.1:1"}
    async with (
        scripted(whole("replica", **{"X-Accel-Redirect": "/metrics"})) as replica,
        scripted() as front,
    ):
        front.scripts = [
            whole("", **said, **{REPLICA_HEADER: f"127.0.0.1:{replica.port}"}),
            whole("", **said, **{REPLICA_HEADER: f"127.0.0.1:{front.port}"}),
            whole("front", **elsewhere),
            whole("", **said),
            whole("front", **elsewhere),
        ]
        config = Config(
            server=ServerSection(port=front.port),
            edge=EdgeSection(mode="direct", ticket_key_file=str(ticket_key(tmp_path / "k"))),
            models=(ModelEntry(name="m", placer="remote", urls=(replica.url,)),),
        )
        with edge(config, tmp_path) as url:
            secret = {"authorization": "Bearer secret", "x-api-key": "secret"}
            answers = [await post(f"{url}{TEXT}", signed="forged", **secret) for _ in range(3)]
    assert [answer.json for answer in answers] == ["replica", "front", "front"]
    assert {one.path for one in front.received} == {TEXT}
    (brought,) = replica.received
    assert (brought.path, brought.body) == (f"/replica{TEXT}", BODY)
    assert brought.headers[TICKET_HEADER] == "t"
    assert "secret" not in brought.headers.values()
    assert {one.headers[EDGE_HEADER] for one in front.received} == {edge_token(KEY.encode())}
    tickets = [one.headers.get(TICKET_HEADER) for one in front.received]
    assert tickets == [None, None, "t", None, "t"]
