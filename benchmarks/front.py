"""What a streamed token costs the front and the engine's Python, in microseconds of processor time.

The engine is a process of its own over the fake executor, the clients are another, so the
processor time of this one is the front's: reading frames, text, events, sockets. Two lengths of
answer are measured; the difference is the cost of a token, the rest the cost of a request. The
engine's Python (scheduler, frames) is timed in here, over an executor that does nothing.

    python benchmarks/front.py [--clients 32] [--tokens 128] [--rounds 5] [--profile]
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
import statistics
import sys
import time
from pathlib import Path

import uvloop

from stoker.api.assembly import create_app
from stoker.api.server import Server
from stoker.config.schema import LimitsSection, ServerSection
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.engine import frames
from stoker.engine.build import build_engine
from stoker.engine.client import EngineClient
from stoker.engine.frames import EngineSettings
from stoker.executor.fake import FakeExecutor, FakeOptions
from stoker.executor.interface import SliceResult, StepHandle, StepResult
from stoker.prepare import prepare
from stoker.scheduler.plan import StepPlan

MODEL = "smollm2:135m"
SHORT = 16
STEP_SECONDS = 0.01
WORDS = "the sea at night " * 28


# --- the engine's Python --------------------------------------------------------------------


class InstantExecutor(FakeExecutor):
    def submit(self, plan: StepPlan) -> StepHandle:
        return StepHandle(len(plan.slices))

    def collect(self, handle: StepHandle) -> StepResult:
        return StepResult((SliceResult(tokens=(7,)),) * handle, 0.01)


def engine_cost(options: FakeOptions, clients: int, tokens: int) -> float:
    """Microseconds a token: planning, applying, encoding the frame."""
    settings = EngineSettings(executor="fake", fake=options)
    engine, _ = build_engine(settings, lambda done, total: None)
    engine._executor = InstantExecutor(options)
    for number in range(clients):
        prompt = tuple(range(number, number + 128))
        sampling = SamplingParams(max_tokens=tokens + 2)
        engine.submit(Request(request_id=f"r{number}", prompt_token_ids=prompt, sampling=sampling))
    while engine.load().output_tokens < clients:
        engine.step()
    before = engine.load().output_tokens
    started = time.thread_time()
    for _ in range(tokens):
        frames.encode(frames.Deltas(engine.step(), engine.load()))
    spent = time.thread_time() - started
    return 1e6 * spent / (engine.load().output_tokens - before)


# --- clients --------------------------------------------------------------------------------


async def one_client(port: int, tokens: int, number: int) -> tuple[float, int]:
    """Seconds to the first event, and the number of events."""
    body = json.dumps(
        {"model": MODEL, "messages": [{"role": "user", "content": f"{number} {WORDS}"}],
         "max_tokens": tokens, "seed": number, "stream": True, "ignore_eos": True}
    ).encode()  # fmt: skip
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    started = time.perf_counter()
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    await reader.readuntil(b"data: ")
    first = time.perf_counter() - started
    rest = await reader.read(-1)
    if b"data: [DONE]" not in rest:
        raise RuntimeError(f"an answer was cut: {rest[-300:]!r}")
    writer.close()
    return first, 1 + rest.count(b"data: ")


async def all_clients(port: int, clients: int, tokens: int) -> None:
    """Prints what they saw, as JSON."""
    seen = await asyncio.gather(*(one_client(port, tokens, n) for n in range(clients)))
    firsts = sorted(first for first, _ in seen)
    print(json.dumps({"events": sum(events for _, events in seen), "first": firsts}))


# --- the front ------------------------------------------------------------------------------


class Front:
    """One server, and clients in a process of their own."""

    def __init__(self, port: int, clients: int) -> None:
        self._port = port
        self._clients = clients

    async def seconds(self, tokens: int) -> tuple[float, list[float], int]:
        """Processor seconds of this thread for one round, first events, number of events."""
        command = [str(Path(__file__)), "--port", str(self._port)]
        numbers = ["--clients", str(self._clients), "--tokens", str(tokens)]
        started = time.thread_time()
        child = await asyncio.create_subprocess_exec(
            sys.executable, *command, *numbers, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await child.communicate()
        seen = json.loads(out)
        return time.thread_time() - started, seen["first"], seen["events"]


async def front_cost(options: argparse.Namespace, fake: FakeOptions) -> dict[str, float]:
    prepared = prepare(MODEL, "benchmark", {})
    client = EngineClient(EngineSettings(executor="fake", fake=fake))
    await client.start()
    limits, section = LimitsSection(), ServerSection(port=0)
    application = create_app(client, prepared.text, name=MODEL, server=section, limits=limits)
    announced = asyncio.get_running_loop().create_future()
    server = Server(application, section, announced.set_result)
    serving = asyncio.create_task(server.run_until_stopped())
    front = Front(int((await announced).rpartition(":")[2]), options.clients)
    await front.seconds(SHORT)
    profile = cProfile.Profile(time.thread_time)
    if options.profile:
        profile.enable()
    rounds = [
        (await front.seconds(SHORT), await front.seconds(SHORT + options.tokens))
        for _ in range(options.rounds)
    ]
    profile.disable()
    server.stop()
    await serving
    if options.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
    return summary(rounds, options.clients, options.tokens)


def summary(rounds: list, clients: int, tokens: int) -> dict[str, float]:
    count = clients * tokens
    per_token = [1e6 * (long[0] - short[0]) / count for short, long in rounds]
    first = sorted(value for _, long in rounds for value in long[1])
    return {
        "front_us_per_token": statistics.median(per_token),
        "front_us_per_token_lowest": min(per_token),
        "front_ms_per_request": 1e3 * statistics.median(short[0] for short, _ in rounds) / clients,
        "events_per_token": statistics.median(long[2] for _, long in rounds) / (
            clients * (tokens + SHORT)
        ),
        "first_event_ms_p50": 1e3 * first[len(first) // 2],
        "first_event_ms_p99": 1e3 * first[int(len(first) * 0.99)],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--port", type=int, help="be the clients of a server")
    options = parser.parse_args()
    if options.port:
        asyncio.run(all_clients(options.port, options.clients, options.tokens))
        return
    fake = FakeOptions(
        num_blocks=2048, vocab_size=49_152, max_step_sequences=64, step_seconds=STEP_SECONDS
    )
    engine = min(engine_cost(fake, options.clients, options.tokens) for _ in range(3))
    report = {"engine_us_per_token": engine, **uvloop.run(front_cost(options, fake))}
    print(json.dumps({name: round(value, 2) for name, value in report.items()}, indent=1))


if __name__ == "__main__":
    main()
