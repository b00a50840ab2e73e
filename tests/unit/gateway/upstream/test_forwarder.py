"""Which target goes first, over transports that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest

from stoker.config.fleet_schema import BackendEntry
from stoker.core.clock import ManualClock
from stoker.errors import ConfigError, InvalidRequest, StokerError
from stoker.gateway.routes import ForeignTarget, OwnTarget, Target
from stoker.gateway.upstream.backend_address import BackendAddress
from stoker.gateway.upstream.forwarder import Forwarder
from stoker.gateway.upstream.health import FAILURES, HealthProbes
from stoker.gateway.upstream.question import Question, Surface, encoded
from stoker.gateway.upstream.tally import Tally
from stoker.gateway.upstream.transport import Call
from tests.support.eventually import eventually

QUESTION = Question(
    surface=Surface.CHAT, fields={"messages": encoded([])}, stream=False, wants_usage=False
)
A, B, OURS = ForeignTarget("a", "m"), ForeignTarget("b", "m"), OwnTarget("m")


class Told:
    """A transport that answers with `status`, or breaks when it is 0."""

    def __init__(self, entry: BackendEntry) -> None:
        self.entry = entry
        self.status = 200
        self.headers = {"content-type": "application/json"}
        self.calls: list[Call] = []
        self.closed = 0
        self.hold: asyncio.Event | None = None

    @asynccontextmanager
    async def send(self, call: Call) -> AsyncIterator[Any]:
        self.calls.append(call)
        if not self.status:
            raise ConnectionError
        yield self

    async def pieces(self) -> AsyncIterator[bytes]:
        if self.hold is not None:
            await self.hold.wait()
        yield b'{"choices": [{"index": 0}]}'

    async def close(self) -> None:
        self.closed += 1


def entry(name: str, **settings: Any) -> BackendEntry:
    return BackendEntry(name=name, url=f"http://{name}.test/v1", **settings)


class Setting:
    def __init__(self, *entries: BackendEntry, chance: Callable[[], float] = lambda: 0.0) -> None:
        self.clock = ManualClock()
        self.transports: dict[str, Told] = {}
        self.forwarder = Forwarder(entries, self.clock, self._made, chance)

    def _made(self, entry: BackendEntry) -> Told:
        self.transports[entry.name] = Told(entry)
        return self.transports[entry.name]

    async def order(self, targets: list[Target]) -> list[Target]:
        async with self.forwarder.routed(targets) as ordered:
            return list(ordered)

    async def ask(self, target: ForeignTarget) -> StokerError | None:
        try:
            async with self.forwarder.forward(target, QUESTION, Tally(10, 10)) as pieces:
                assert [piece async for piece in pieces]
        except StokerError as error:
            return error
        return None


async def test_a_backend_that_is_ill_gives_way_and_is_asked_last() -> None:
    setting = Setting(entry("a"), entry("b"), chance=lambda: 0.5)
    assert await setting.order([A, OURS, B]) == [A, OURS, B]
    setting.transports["a"].status = 500
    for _ in range(5):
        assert await setting.ask(A) is not None
    assert await setting.order([A, OURS, B]) == [OURS, B, A]
    setting.transports["a"].status = 200
    setting.clock.advance(6.0)
    assert [await setting.ask(A) for _ in range(2)] == [None, None]
    assert await setting.order([A, OURS, B]) == [OURS, B, A]  # slowly
    setting.clock.advance(30.0)
    assert await setting.order([A, OURS, B]) == [A, OURS, B]


async def test_a_backend_that_fails_often_gives_way_before_its_breaker_opens() -> None:
    setting = Setting(entry("a"), entry("b"))
    for number in range(60):
        setting.transports["a"].status = 401 if number % 3 == 0 else 200
        await setting.ask(A)
        await setting.ask(B)
        setting.clock.advance(0.1)
    assert await setting.order([A, B]) == [B, A]


async def test_a_local_fault_of_whoever_reads_is_not_the_backends() -> None:
    setting = Setting(entry("a"))
    for _ in range(10):
        with suppress(ConnectionError):
            async with setting.forwarder.forward(A, QUESTION, Tally(10, 10)) as pieces:
                await anext(pieces)
                raise ConnectionError
    assert await setting.ask(A) is None


async def test_health_says_who_goes_first_and_counts_for_nothing_else() -> None:
    setting = Setting(entry("a", health_path="/health"), entry("b"))
    backend = setting.forwarder._backends["a"]
    transport = setting.transports["a"]
    transport.status = 500
    probes = HealthProbes(setting.clock, interval=0.001)
    probes.watch([backend])
    await eventually(lambda: backend.standing.weight(0.0) == 0.0)
    assert len(transport.calls) >= FAILURES
    assert {(call.method, call.path) for call in transport.calls} == {("GET", "/health")}
    assert backend.standing.breaker.enter(0.0) is not None
    transport.status = 204
    await eventually(lambda: backend.standing.weight(0.0) > 0.0)
    probes.watch([])
    assert not probes._tasks
    await asyncio.sleep(0)
    await probes.close()


async def test_a_removed_backend_ends_what_it_has() -> None:
    setting = Setting(entry("a"), entry("b"))
    transport = setting.transports["a"]
    transport.hold = asyncio.Event()
    asking = asyncio.create_task(setting.ask(A))
    await eventually(lambda: transport.calls)
    kept = setting.transports["b"]
    setting.forwarder.configure([entry("b")])
    await setting.forwarder.close_unused()
    assert setting.transports["b"] is kept
    assert transport.closed == 0
    refused = await setting.ask(A)
    assert refused is not None
    assert refused.status == 503
    transport.hold.set()
    assert await asking is None
    assert transport.closed == 1


async def test_who_was_routed_to_a_backend_before_it_was_removed_is_still_answered() -> None:
    setting = Setting(entry("a"), entry("b"))
    transport = setting.transports["a"]
    async with setting.forwarder.routed([A, B]):
        setting.forwarder.configure([entry("b")])
        await setting.forwarder.close_unused()
        assert await setting.ask(A) is None
        assert transport.closed == 0
    assert transport.closed == 1
    assert await setting.ask(A) is not None


async def test_a_full_pool_is_an_overload_and_nothing_waits() -> None:
    setting = Setting(entry("a", max_connections=1))
    transport = setting.transports["a"]
    transport.hold = asyncio.Event()
    asking = asyncio.create_task(setting.ask(A))
    await eventually(lambda: transport.calls)
    refused = await setting.ask(A)
    assert refused is not None
    assert refused.code == "overloaded"
    transport.hold.set()
    assert await asking is None
    assert await setting.ask(A) is None


async def test_a_question_that_cannot_be_asked_is_never_sent() -> None:
    setting = Setting(entry("a", dialect="llamacpp"))
    question = Question(
        surface=Surface.CHAT, fields={"id_slot": encoded(1)}, stream=False, wants_usage=False
    )
    with pytest.raises(InvalidRequest):
        async with setting.forwarder.forward(A, question, Tally(1, 1)):
            pass
    assert not setting.transports["a"].calls


@pytest.mark.parametrize(
    "url",
    [
        "http://good.test\\@evil.test/v1", "http://good.test:80\\.evil.test/", "http://0x7f.1/v1",
        "http://2130706433/", "http://good.test%2eevil.test/", "http://ｅｖｉｌ.test/",
        "http://017700000001/v1", "http://a.test:80:90/",
    ],
)  # fmt: skip
def test_an_address_that_two_readers_understand_differently_is_refused(url: str) -> None:
    """Or both understand it alike, and then it is what the operator wrote."""
    try:
        address = BackendAddress(url)
    except (ConfigError, ValueError):
        return
    host = address.at("x").host
    assert host == urlsplit(url).hostname
    assert f"//{host}" in url
