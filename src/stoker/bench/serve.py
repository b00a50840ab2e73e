"""`stoker bench serve`: one load test for each number of clients, against one server."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from stoker.bench.load import LoadGenerator
from stoker.bench.machine import this_machine
from stoker.bench.report import ServeReport, ServeWorkload
from stoker.bench.server import model_name, own_server
from stoker.bench.timing import LoadSummary, summarise
from stoker.bench.workload import Workload

LEAST_REQUESTS = 8
REQUESTS_A_CLIENT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    clients: tuple[int, ...]
    url: str | None = None
    model: str | None = None
    api_key: str | None = None
    num_requests: int | None = None
    input_tokens: int = 128
    output_tokens: int = 128
    shared_tokens: int = 0
    stream: bool = True


async def measure_server(options: ServeOptions) -> ServeReport:
    """Raises SetupError when there is no server to measure; failed requests are counted."""
    async with _server(options) as url:
        name = options.model or await model_name(url, options.api_key)
        generator = LoadGenerator(url, name, stream=options.stream, api_key=options.api_key)
        await generator.run(_workload(options, 0, requests=1), 1)  # warm-up
        runs = [
            await _measure(options, generator, number, clients)
            for number, clients in enumerate(options.clients, 1)
        ]
    return ServeReport(
        machine=this_machine(),
        model=name,
        url=options.url,
        workload=ServeWorkload(
            num_requests=sum(run.completed + run.failed for run in runs),
            input_tokens=options.input_tokens,
            output_tokens=options.output_tokens,
            shared_tokens=options.shared_tokens,
            stream=options.stream,
        ),
        runs=tuple(runs),
    )


async def _measure(
    options: ServeOptions, generator: LoadGenerator, seed: int, clients: int
) -> LoadSummary:
    requests = options.num_requests or max(LEAST_REQUESTS, clients * REQUESTS_A_CLIENT)
    workload = _workload(options, seed, requests)
    return summarise(await generator.run(workload, clients), clients)


def _workload(options: ServeOptions, seed: int, requests: int) -> Workload:
    return Workload(
        num_requests=requests,
        input_tokens=options.input_tokens,
        output_tokens=options.output_tokens,
        shared_tokens=options.shared_tokens,
        seed=seed,
    )


@contextlib.asynccontextmanager
async def _server(options: ServeOptions) -> AsyncIterator[str]:
    if options.url is not None:
        yield options.url
        return
    arguments = [options.model] if options.model else []
    # Random prompts make models repeat themselves, which guessing would profit from unduly.
    async with own_server([*arguments, "--speculation", "off"]) as url:
        yield url
