"""Streams with adapters over engine processes: killed, moved to another replica, and the adapter
unloaded under them. Each goes on with the tokens of its own adapter."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from stoker.api.replica import allowed
from stoker.core.adapter import BASE, AdapterSource
from stoker.core.output import FinishReason
from stoker.core.request import Request
from stoker.engine.adapter_shelf import AdapterShelf
from stoker.engine.client import EngineClient
from stoker.errors import ConfigError, ModelNotFound, PermissionDenied
from stoker.executor.fake import expected_tokens
from stoker.fleet.ticket import Ticket
from tests.support.adapters import seeded_adapter
from tests.support.engine_streams import SLOW, Running, kill, request
from tests.support.pools import running_pool

ROOM = 1 << 20


@pytest.fixture
def shelf(tmp_path: Path) -> AdapterShelf:
    made = AdapterShelf(2, ROOM)
    for number in (1, 2):
        made.add(made.open(f"a{number}", seeded_adapter(tmp_path / str(number), number)))
    return made


def wanted(asked: Request) -> list[int]:
    sampling = asked.sampling
    return expected_tokens(
        asked.prompt_token_ids, sampling.seed, sampling.max_tokens, adapter=asked.adapter
    )


def asked_of(shelf: AdapterShelf) -> list[Request]:
    """The same prompt with each adapter and none, so that blocks could be mistaken."""
    keys = [BASE, *(source.key for source in shelf.sources)]
    prompt = tuple(range(1, 50))
    made = [replace(request(f"r{i}"), prompt_token_ids=prompt) for i in range(6)]
    return [replace(one, adapter=keys[i % len(keys)]) for i, one in enumerate(made)]


@pytest.mark.fault("F01")
async def test_a_killed_engine_has_its_adapters_again(shelf: AdapterShelf) -> None:
    client = EngineClient(SLOW, adapters=shelf)
    await client.start()
    streams = [Running(client, one) for one in asked_of(shelf)]
    for stream in streams:
        await stream.has(5)
    kill(client)
    for stream in streams:
        await stream.ended()
        assert stream.tokens == wanted(stream.asked)
    await client.close()


@pytest.mark.fault("F01")
async def test_another_replica_goes_on_with_the_same_adapter(shelf: AdapterShelf) -> None:
    async with running_pool(2, adapters=shelf) as running:
        streams = [Running(running.pool, one) for one in asked_of(shelf)]  # type: ignore[arg-type]
        for stream in streams:
            await stream.has(5)
        kill(running.pool.replicas[0].backend)  # type: ignore[arg-type]
        for stream in streams:
            await stream.ended()
            assert stream.tokens == wanted(stream.asked)


async def test_one_that_is_unloaded_serves_those_who_have_it_to_their_end(
    shelf: AdapterShelf, tmp_path: Path
) -> None:
    client = EngineClient(SLOW, adapters=shelf)
    await client.start()
    asked = asked_of(shelf)[1]
    with shelf.using("a1") as source:
        assert source is not None and source.key == asked.adapter
        stream = Running(client, asked)
        await stream.has(5)
        shelf.remove("a1")
        with pytest.raises(ModelNotFound), shelf.using("a1"):
            pass
        with pytest.raises(ConfigError, match="no room"):  # it is still there
            shelf.add(shelf.open("a3", seeded_adapter(tmp_path / "3", 3)))
        kill(client)  # and comes back with the engine
        await stream.ended()
        assert stream.tokens == wanted(asked)
    with pytest.raises(ModelNotFound):
        await Running(client, replace(asked, request_id=request("late").request_id)).ended()
    third = shelf.open("a3", seeded_adapter(tmp_path / "3", 3))
    shelf.add(third)  # the engine, which takes two, has let the first go
    later = replace(request("new"), adapter=third.key)
    fresh = Running(client, later)
    await fresh.ended()
    assert fresh.tokens == wanted(later)
    await client.close()


async def test_files_that_changed_are_not_taken_for_the_same_adapter(tmp_path: Path) -> None:
    """The engine that replaces a dead one finds other weights: the stream ends with an error."""
    shelf = AdapterShelf(2, ROOM)
    folder = seeded_adapter(tmp_path / "a", 1)
    shelf.add(shelf.open("a", folder))
    client = EngineClient(SLOW, adapters=shelf)
    await client.start()
    asked = replace(request("r", 200), adapter=shelf.sources[0].key)
    stream = Running(client, asked)
    await stream.has(3)
    seeded_adapter(folder, 2)
    kill(client)
    await stream.ended()
    assert stream.reason is FinishReason.ERROR
    assert stream.tokens == wanted(asked)[: len(stream.tokens)]
    other = Running(client, request("base"))
    await other.ended()
    assert other.tokens == wanted(other.asked)
    await client.close()


def test_a_ticket_is_for_one_adapter() -> None:
    asked = replace(request("r"), adapter="a@1")
    ticket = Ticket(
        request_id="r/1", tenant="", model="m", max_tokens=60, adapter="a@1", expires=1.0
    )
    assert allowed(asked, ticket) is asked
    for adapter in (BASE, "b@1", "a@2"):
        with pytest.raises(PermissionDenied):
            allowed(replace(asked, adapter=adapter), ticket)


def test_a_source_is_another_one_when_its_files_are() -> None:
    assert AdapterSource("a", "1", "/x").key != AdapterSource("a", "2", "/x").key
