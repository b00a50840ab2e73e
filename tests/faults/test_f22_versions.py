"""A front and a replica of different versions refuse each other, naming both (F22)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import pytest
from aiohttp import web

from stoker.core.clock import SystemClock
from stoker.engine.interface import EngineLoad, EngineState
from stoker.errors import NoCapacity
from stoker.fleet import remote
from stoker.fleet.remote import RemoteBackend
from stoker.fleet.replica_protocol import MINE, VERSION_HEADER, ReplicaReport
from tests.support.engine_streams import request, until
from tests.support.server import MODEL

THEIRS = "9/9.9.9"


@asynccontextmanager
async def replica_of_another_version() -> AsyncIterator[str]:
    """It says that it is ready, whoever asks."""
    report = ReplicaReport(model=MODEL, state=EngineState.READY.value, load=EngineLoad())

    async def answer(_request: web.BaseRequest) -> web.StreamResponse:
        body = msgspec.json.encode(report)
        return web.Response(body=body, headers={VERSION_HEADER: THEIRS})

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.fault("F22")
async def test_a_front_does_not_use_a_replica_of_another_version_and_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(remote, "ASK_SECONDS", 0.01)
    async with replica_of_another_version() as url, aiohttp.ClientSession() as session:
        backend = RemoteBackend(url, MODEL, b"k" * 40, session, SystemClock(), changed=lambda: None)
        await until(lambda: backend._failures > 2)
        assert backend.state is EngineState.LOADING
        with pytest.raises(NoCapacity):
            await anext(backend.submit(request("never")))
        await backend.close()
    assert THEIRS in caplog.text
    assert MINE in caplog.text
    assert [one.name for one in caplog.records].count(remote.__name__) == 1
