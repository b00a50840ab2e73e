"""What every surface promises, whatever its form: the same text, one ending, its own errors."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from stoker.core.output import Finish, FinishReason
from tests.support.server import RunningServer, local_server
from tests.support.surfaces import BY_NAME, SURFACES, SurfaceCase, events, post, whole

every_surface = pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server() as running:
        yield running


@every_surface
def test_the_text_is_that_of_openais_surface(server: RunningServer, surface: SurfaceCase) -> None:
    twin = BY_NAME[surface.twin]
    expected = twin.read(whole(server, twin, 60, 11))
    assert surface.read(whole(server, surface, 60, 11)) == expected
    assert surface.read(whole(server, surface, 60, 12)) != expected


@every_surface
def test_a_stream_is_the_whole_answer_with_one_ending(
    server: RunningServer, surface: SurfaceCase
) -> None:
    status, headers, body = post(server, surface, surface.ask(60, 7, True))
    seen = events(body)
    assert status == 200
    assert headers["cache-control"] == "no-cache"
    assert "".join(map(surface.piece, seen)) == surface.read(whole(server, surface, 60, 7))
    assert [surface.ended(event) for event in seen] == [False] * (len(seen) - 1) + [True]


@every_surface
def test_usage_counts_every_token(server: RunningServer, surface: SurfaceCase) -> None:
    prompt, answer = surface.usage(whole(server, surface, 9, 3))
    twin = BY_NAME[surface.twin]
    assert (prompt, answer) == (twin.usage(whole(server, twin, 1, 3))[0], 9)


@every_surface
def test_a_failure_ends_a_stream_as_its_clients_expect(
    server: RunningServer, surface: SurfaceCase
) -> None:
    """It is one event, the last one, and no end marker follows."""
    server.call(server.backend.hold)
    server.call(lambda: server.backend.let_step(4))
    begun = server.backend.engine.load().num_steps

    def fail() -> None:
        server.until(lambda: server.backend.engine.load().num_steps >= begun + 4)
        finish = Finish(FinishReason.ERROR, error_code="replica_lost")
        server.call(lambda: server.backend.fail(finish))

    failing = threading.Thread(target=fail)
    failing.start()
    status, _, body = post(server, surface, surface.ask(60, 7, True))
    failing.join()
    server.call(server.backend.release)
    seen = events(body)
    assert status == 200
    told = surface.failure(seen[-1]) or ""
    assert told.startswith("The engine serving this request was lost.")
    assert not any(map(surface.ended, seen))


@every_surface
def test_errors_have_the_form_its_clients_expect(
    server: RunningServer, surface: SurfaceCase
) -> None:
    unknown = {**surface.ask(5, 1, False), "temprature": 1}
    status, headers, body = post(server, surface, unknown)
    assert status == 400
    assert "'temprature' is not a field" in (surface.failure(json.loads(body)) or "")
    assert headers["x-request-id"].startswith("req_")


@every_surface
def test_a_deadline_is_kept(server: RunningServer, surface: SurfaceCase) -> None:
    body = surface.ask(60, 1, False)
    status, _, answer = post(server, surface, body, **{"x-request-timeout": "0.0001"})
    assert status == 504
    assert surface.failure(json.loads(answer)) == "The time allowed for this request has passed."


@every_surface
def test_what_is_no_json_is_refused_in_its_form(
    server: RunningServer, surface: SurfaceCase
) -> None:
    status, _, body = post(server, surface, b"{")
    assert status == 400
    assert surface.failure(json.loads(body))
