"""B6: whatever a text holds, it arrives as it is or is refused, on every surface, beside a stream
that does not notice; and whatever a model writes, a stream of it is the whole answer (I08)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.security.hostile_texts import RAW, REFUSED, TEXTS
from tests.security.test_bad_requests import TELLS_TOO_MUCH
from tests.support.healthy_stream import HealthyStream
from tests.support.scripted_backend import scripted_server
from tests.support.server import RunningServer, local_server
from tests.support.surfaces import QUESTION, SURFACES, SurfaceCase, events, post
from tests.support.text import tiny_text

LINE_BREAKS = [mark.encode() for mark in "\x85\u2028\u2029"]
"""Where many clients of streams split, besides JSON's own."""

every_surface = pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server() as running:
        yield running


@pytest.fixture(scope="module")
def neighbour(server: RunningServer) -> Iterator[HealthyStream]:
    with HealthyStream(server) as stream:
        yield stream


@pytest.fixture(scope="module")
def writer() -> Iterator[RunningServer]:
    with scripted_server(tiny_text()) as running:
        yield running


def asking(surface: SurfaceCase, spelled: bytes, *, streamed: bool = False) -> bytes:
    """A body with that JSON where the question stands."""
    body = json.dumps(surface.ask(2, 1, streamed)).encode()
    question = json.dumps(QUESTION).encode()
    assert question in body
    return body.replace(question, spelled)


@every_surface
def test_every_text_arrives_as_it_is(
    surface: SurfaceCase, server: RunningServer, neighbour: HealthyStream
) -> None:
    tokenizer = tiny_text().tokenizer
    for number, (name, text) in enumerate(TEXTS.items()):
        spelled = json.dumps(text, ensure_ascii=number % 2 == 0).encode()
        status, headers, body = post(server, surface, asking(surface, spelled))
        assert status == 200, (name, body)
        prompt = _prompt_of(server, headers["x-request-id"])
        assert text.strip() in tokenizer.decode(prompt), name
    assert not neighbour.problems


@every_surface
def test_what_is_no_text_is_refused(
    surface: SurfaceCase, server: RunningServer, neighbour: HealthyStream
) -> None:
    spelled = {**{name: text.encode() for name, text in REFUSED.items()}, **RAW}
    for name, text in spelled.items():
        status, _, body = post(server, surface, asking(surface, text))
        told = surface.failure(json.loads(body)) or ""
        assert status == 400, (name, status, told)
        assert told and not TELLS_TOO_MUCH.search(told), (name, told)
    assert not neighbour.problems


@every_surface
def test_a_stream_of_any_text_is_the_whole_answer(
    surface: SurfaceCase, writer: RunningServer
) -> None:
    for number, (name, text) in enumerate(TEXTS.items()):
        writer.backend.answers = [text]
        writer.backend.per_delta = 1 + number % 3
        answer = surface.read(json.loads(post(writer, surface, surface.ask(1900, 1, False))[2]))
        streamed = post(writer, surface, surface.ask(1900, 1, True))[2]
        assert answer == text, name
        assert "".join(map(surface.piece, events(streamed))) == text, name
        assert not [mark for mark in LINE_BREAKS if mark in streamed], name


def _prompt_of(server: RunningServer, request_id: str) -> tuple[int, ...]:
    def found() -> tuple[int, ...]:
        return next(
            request.prompt_token_ids
            for request in reversed(server.backend.submitted)
            if request.request_id.startswith(request_id)
        )

    return server.call(found)


def test_there_are_many() -> None:
    assert len(TEXTS) + len(REFUSED) + len(RAW) >= 90
    assert (len(TEXTS) + len(REFUSED) + len(RAW)) * len(SURFACES) >= 200
