"""The load generator against small servers that behave, and that do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from stoker.bench.load import LoadGenerator
from stoker.bench.serve import ServeOptions, measure_server
from stoker.bench.server import model_name, own_server
from stoker.bench.workload import Workload
from stoker.errors import SetupError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
WORKLOAD = Workload(num_requests=6, input_tokens=4, output_tokens=3)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    async def models(_request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "tiny"}]})

    application = web.Application()
    application.router.add_post("/v1/completions", handler)
    application.router.add_get("/v1/models", models)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def stream(*lines: bytes) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in lines:
            await response.write(b"data: " + line + b"\n\n")
        return response

    return handler


PIECE = b'{"choices": [{"text": "a"}]}'
USAGE = b'{"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 2}}'
DONE = b"[DONE]"


async def test_a_stream_is_timed_and_counted() -> None:
    async with serving(stream(PIECE, PIECE, b'{"choices": [{"text": ""}]}', USAGE, DONE)) as url:
        timings = await LoadGenerator(url, "tiny", stream=True).run(WORKLOAD, 3)
    assert len(timings) == 6
    assert all(len(timing.arrivals) == 2 and timing.output_tokens == 2 for timing in timings)
    assert all(timing.started <= timing.arrivals[0] <= timing.finished for timing in timings)


async def test_a_whole_answer_is_timed() -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=PIECE[:-1] + b', "usage": {"completion_tokens": 9}}')

    async with serving(handler) as url:
        timings = await LoadGenerator(url, "tiny", stream=False).run(WORKLOAD, 2)
    assert [timing.output_tokens for timing in timings] == [9] * 6


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ((PIECE, USAGE), "the stream broke off"),
        ((PIECE, b'{"error": {"message": "lost"}}'), "error event"),
        ((b"{not json}", DONE), "DecodeError"),
    ],
)
async def test_a_bad_ending_is_a_failure(lines: tuple[bytes, ...], error: str) -> None:
    async with serving(stream(*lines)) as url:
        timings = await LoadGenerator(url, "tiny", stream=True).run(WORKLOAD, 1)
    assert {timing.error for timing in timings} == {error}
    assert all(timing.finished is None for timing in timings)


async def test_a_refusal_is_a_failure() -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(status=429)

    async with serving(handler) as url:
        timings = await LoadGenerator(url, "tiny", stream=True).run(WORKLOAD, 1)
    assert {timing.error for timing in timings} == {"status 429"}


async def test_clients_never_exceed_the_concurrency() -> None:
    running = highest = 0

    async def handler(_request: web.Request) -> web.Response:
        nonlocal running, highest
        running += 1
        highest = max(highest, running)
        await asyncio.sleep(0)
        running -= 1
        return web.Response(body=PIECE)

    async with serving(handler) as url:
        await LoadGenerator(url, "tiny", stream=False).run(WORKLOAD, 2)
    assert highest <= 2


async def test_a_report_has_one_run_for_each_number_of_clients() -> None:
    async with serving(stream(PIECE, USAGE, DONE)) as url:
        report = await measure_server(
            ServeOptions(clients=(1, 4), url=url, num_requests=4, input_tokens=4)
        )
    assert [run.concurrency for run in report.runs] == [1, 4]
    assert all(run.completed == 4 and run.failed == 0 for run in report.runs)
    assert report.model == "tiny"


async def test_no_server_is_a_setup_error() -> None:
    with pytest.raises(SetupError, match="does not list its models"):
        await model_name("http://127.0.0.1:1")


async def test_a_server_that_cannot_start_is_a_setup_error() -> None:
    with pytest.raises(SetupError, match="ended before it was ready"):
        async with own_server(["./nowhere.gguf"]):
            pass
