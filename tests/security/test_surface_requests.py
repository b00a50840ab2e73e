"""On every surface a bad request is refused by name, in that surface's form, and harms nobody."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.security.surface_requests import SURFACE_REQUESTS
from tests.security.surface_rows import SurfaceRequest
from tests.security.surface_tools import surface_tools
from tests.security.test_bad_requests import TELLS_TOO_MUCH
from tests.support.healthy_stream import HealthyStream
from tests.support.server import RunningServer, local_server
from tests.support.surfaces import SURFACES, SurfaceCase, post

ROWS = (*SURFACE_REQUESTS, *surface_tools())


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server() as running:
        yield running


@pytest.fixture(scope="module")
def neighbour(server: RunningServer) -> Iterator[HealthyStream]:
    with HealthyStream(server) as stream:
        yield stream


@pytest.mark.parametrize("bad", ROWS, ids=lambda bad: bad.name)
def test_it_is_refused_by_name_and_disturbs_nobody(
    bad: SurfaceRequest, server: RunningServer, neighbour: HealthyStream
) -> None:
    status, _, body = post(server, bad.surface, bad.body, **bad.headers)
    told = bad.surface.failure(json.loads(body)) or ""
    assert (status, bad.named in told) == (bad.status, True), (status, told)
    assert not TELLS_TOO_MUCH.search(told), told
    assert not neighbour.problems


@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
def test_the_request_that_the_rows_change_is_a_good_one(
    surface: SurfaceCase, server: RunningServer
) -> None:
    assert post(server, surface, surface.ask(5, 1, False))[0] == 200


def test_each_has_a_name() -> None:
    names = [bad.name for bad in ROWS]
    assert len(names) == len(set(names))
    assert len(names) >= 500
