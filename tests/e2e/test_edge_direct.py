"""Direct mode with a real nginx: an answer is the same whichever way it takes, and so is the
bill."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, StreamReader

from tests.support.edge_modes import EdgeMode, edge_mode
from tests.support.gateway import Answer, tenant
from tests.support.server import MODEL
from tests.support.surfaces import SURFACES, SurfaceCase, events

TENANTS = "".join(
    (
        tenant("free"),
        tenant("few", requests_per_minute=2),
        tenant("small", tokens_per_minute=60),
        tenant("one", concurrency=1),
        tenant("poor", budget=0.00006, budget_window="ever"),
    )
)
CHAT, TEXT, MESSAGES = "/v1/chat/completions", "/v1/completions", "/v1/messages"
Case = Callable[[EdgeMode], Awaitable[list[Answer]]]


@pytest.fixture(scope="module")
def modes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, EdgeMode]]:
    folder = tmp_path_factory.mktemp("modes")
    with ExitStack() as stack:
        yield {
            mode: stack.enter_context(edge_mode(mode, folder / mode, TENANTS))
            for mode in ("proxied", "direct")
        }


def seen(answer: Answer) -> Any:
    """All that a client sees, without names and times."""
    text = answer.body.decode()
    lines = [json.loads(line[6:]) if line[6:] != "[DONE]" else line
             for line in text.split("\n") if line.startswith("data: ")]  # fmt: skip
    found = lines or [json.loads(text)]
    for value in found:
        if isinstance(value, dict):
            _forget(value)
    kept = ("content-type", "x-should-retry", "www-authenticate")
    headers = {name: answer.headers.get(name) for name in kept}
    return answer.status, headers, found


def _forget(value: dict[str, Any]) -> None:
    for name in ("id", "created", "request_id", "content" if "stop_reason" in value else ""):
        value.pop(name, None)
    for inner in value.values():
        if isinstance(inner, dict):
            _forget(inner)


def case(key: str, path: str = CHAT, times: int = 1, **fields: Any) -> Case:
    async def run(mode: EdgeMode) -> list[Answer]:
        return [await mode.ask(key, path, **fields) for _ in range(times)]

    return run


def raw(key: str, body: bytes, kind: str = "application/json") -> Case:
    async def run(mode: EdgeMode) -> list[Answer]:
        return [await mode.send(key, CHAT, data=body, headers={"content-type": kind})]

    return run


THROUGH_FRONT = {"two answers"}
STREAM = {"stream": True, "stream_options": {"include_usage": True}}
CASES: dict[str, tuple[Case, list[int]]] = {
    "whole": (case("free", max_tokens=20), [200]),
    "stream": (case("free", max_tokens=20, **STREAM), [200]),
    "text": (case("free", TEXT, prompt="Once", max_tokens=12), [200]),
    "default length": (case("free", TEXT, prompt="Once"), [200]),
    "anthropic": (case("free", MESSAGES, max_tokens=9, seed=None), [200]),
    "cached": (
        case("free", TEXT, 2, prompt="again " * 30, max_tokens=4),
        [200, 200],
    ),
    "logprobs": (case("free", max_tokens=6, logprobs=True, top_logprobs=2), [200]),
    "stop": (case("free", max_tokens=40, stop=["a", "e"], **STREAM), [200]),
    "two answers": (case("free", n=2, max_tokens=5), [200]),
    "large body": (case("free", TEXT, prompt="x" * 1500, max_tokens=3), [200]),
    "no key": (case("nobody"), [401]),
    "unknown model": (case("free", model="other"), [404]),
    "too long": (case("free", max_tokens=100_000), [400]),
    "out of range": (case("free", temperature=-1), [400]),
    "no JSON": (raw("free", b'{"model":"tiny"'), [400]),
    "not JSON": (raw("free", b"hello", "text/plain"), [415]),
    "requests of a minute": (case("few", times=3, max_tokens=2), [200, 200, 429]),
    "tokens of a minute": (
        case("small", TEXT, 3, prompt="Once", max_tokens=20, ignore_eos=True),
        [200, 200, 429],
    ),
    "one at a time": (case("one", times=8, max_tokens=3), [*[200] * 8]),
    "budget": (
        case("poor", TEXT, 4, prompt="Once", max_tokens=10, ignore_eos=True),
        [200, 200, 200, 402],
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_an_answer_and_its_bill_are_the_same_either_way(
    modes: dict[str, EdgeMode], name: str
) -> None:
    run, statuses = CASES[name]
    found = {}
    for mode, setup in modes.items():
        before = len(setup.front.ledger.settled)
        setup.replica.backend.submitted.clear()
        answers = await run(setup)
        setup.front.until(lambda setup=setup: setup.front.ledger.num_open == 0)  # type: ignore[misc]
        assert [answer.status for answer in answers] == statuses
        assert not any("stoker" in header.lower() for one in answers for header in one.headers)
        directly = mode == "direct" and name not in THROUGH_FRONT
        assert set(setup.ways) <= {directly}
        found[mode] = [seen(one) for one in answers], setup.settled_after(before)
    assert found["direct"] == found["proxied"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
async def test_every_surface_goes_either_way(
    modes: dict[str, EdgeMode], surface: SurfaceCase, stream: bool
) -> None:
    found = {}
    for mode, setup in modes.items():
        before = len(setup.front.ledger.settled)
        setup.replica.backend.submitted.clear()
        answer = await setup.send(
            "free", surface.path, json=surface.ask(9, 3, stream), headers=surface.headers
        )
        assert answer.status == 200
        assert said(surface, answer.body)
        assert setup.ways == [mode == "direct"]
        setup.front.until(lambda setup=setup: setup.front.ledger.num_open == 0)  # type: ignore[misc]
        found[mode] = said(surface, answer.body), setup.settled_after(before)
    assert found["direct"] == found["proxied"]


def said(surface: SurfaceCase, body: bytes) -> str:
    if body.lstrip().startswith((b"{", b"[")) and body.count(b"\n") < 2:
        return surface.read(json.loads(body))
    return "".join(map(surface.piece, events(body)))


async def test_a_client_that_leaves_pays_for_what_it_got(modes: dict[str, EdgeMode]) -> None:
    found = {}
    for mode, setup in modes.items():
        before, replica = len(setup.front.ledger.settled), setup.replica
        replica.call(replica.backend.hold)
        replica.call(lambda replica=replica: replica.backend.let_step(5))  # type: ignore[misc]
        try:
            async with streaming(setup, "free") as events:
                for _ in range(3):
                    await events.readuntil(b"\n\n")
            setup.front.until(lambda setup=setup: setup.front.ledger.num_open == 0)  # type: ignore[misc]
        finally:
            replica.call(replica.backend.release)
        ((name, usage, outcome),) = setup.settled_after(before)
        assert 3 <= usage.output_tokens <= 5
        found[mode] = name, usage.input_tokens, outcome
    assert found["direct"] == found["proxied"]


async def test_streams_at_once_are_counted_either_way(modes: dict[str, EdgeMode]) -> None:
    for setup in modes.values():
        replica = setup.replica
        replica.call(replica.backend.hold)
        replica.call(lambda replica=replica: replica.backend.let_step(5))  # type: ignore[misc]
        try:
            async with streaming(setup, "one") as events:
                await events.readuntil(b"\n\n")
                refused = await setup.ask("one", max_tokens=3)
                assert (refused.status, refused.code) == (429, "rate_limit_exceeded")
        finally:
            replica.call(replica.backend.release)
        setup.front.until(lambda setup=setup: setup.front.ledger.num_open == 0)  # type: ignore[misc]
        assert (await setup.ask("one", max_tokens=3)).status == 200


@asynccontextmanager
async def streaming(setup: EdgeMode, key: str) -> AsyncIterator[StreamReader]:
    """The events of a long answer; the client leaves with the block."""
    body = {"model": MODEL, "prompt": "Once", "max_tokens": 64, "stream": True, "seed": 3,
            "ignore_eos": True}  # fmt: skip
    headers = {"authorization": f"Bearer {key}"}
    async with (
        asyncio.timeout(20),
        ClientSession() as session,
        session.post(setup.url + TEXT, json=body, headers=headers) as response,
    ):
        assert response.status == 200
        yield response.content
        response.close()
