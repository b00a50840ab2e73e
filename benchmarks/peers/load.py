"""The same load on every peer: over HTTP on its own server, or in process where it has none."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

import aiohttp

from benchmarks.peers.catalog import Peer, Setting
from benchmarks.peers.driver import Driver, RowFailed
from benchmarks.peers.process import PeerProcess
from stoker.bench.load import LoadGenerator
from stoker.bench.server import model_name
from stoker.bench.timing import Timing
from stoker.bench.workload import Workload

READY_SECONDS = 600.0
ROW_SECONDS = 600.0
POLL_SECONDS = 0.02
MEMORY_SECONDS = 1.0
ANSWER = TypeVar("ANSWER")


class Load(Protocol):
    label: str
    ready_seconds: float
    process: PeerProcess

    def closed(self, workload: Workload, clients: int) -> list[Timing]:
        """Every request of the workload, by so many clients, streamed."""
        ...

    def disturbed(
        self, victims: Workload, attackers: Workload, quiet: float, end: float
    ) -> Streams:
        """Arrivals of each victim; the one attacker begins after `quiet` seconds."""
        ...


class Streams:
    """Seconds since the start at which tokens of each stream arrived."""

    def __init__(self, arrivals: list[list[float]], quiet: float, end: float) -> None:
        self._arrivals = arrivals
        self._quiet = quiet
        self._end = end

    def quiet_gaps(self) -> list[float]:
        """Waits between tokens that ended before the attacker came."""
        return [later - earlier for earlier, later in self._gaps() if later <= self._quiet]

    def disturbed_gaps(self) -> list[float]:
        """The others; one that is still open at the end counts as long as it lasted."""
        return [later - earlier for earlier, later in self._gaps() if later > self._quiet]

    def _gaps(self) -> Iterator[tuple[float, float]]:
        for stream in self._arrivals:
            yield from itertools.pairwise([*stream, self._end] if stream else [])


class HttpLoad:
    """A peer's server, ready when constructed. `kind` of load: 'short' or 'long' prompts."""

    def __init__(self, peer: Peer, setting: Setting, kind: str) -> None:
        assert peer.server is not None
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        log = setting.folder / "log" / f"{peer.name}-{kind}-server.log"
        command = peer.server(setting, kind, port)
        self.process = PeerProcess(command, peer.environment(setting), log)
        self.label = peer.name
        try:
            self._wait(self.url + peer.health)
            self.ready_seconds = time.perf_counter() - self.process.started
            self.model = asyncio.run(model_name(self.url))
        except BaseException:
            self.process.end()
            raise

    def _wait(self, health: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.process.process.poll() is None:
            if _answers(health):
                return
            time.sleep(POLL_SECONDS)
        raise RowFailed(f"the server did not become ready; see {self.process.log}")

    def closed(self, workload: Workload, clients: int) -> list[Timing]:
        generator = LoadGenerator(self.url, self.model, stream=True)
        running = generator.run(workload, clients)
        return asyncio.run(asyncio.wait_for(running, ROW_SECONDS))

    def disturbed(
        self, victims: Workload, attackers: Workload, quiet: float, end: float
    ) -> Streams:
        return Streams(asyncio.run(self._disturbed(victims, attackers, quiet, end)), quiet, end)

    async def _disturbed(
        self, victims: Workload, attackers: Workload, quiet: float, end: float
    ) -> list[list[float]]:
        started = time.monotonic()
        arrivals: list[list[float]] = []
        async with aiohttp.ClientSession() as session:
            tasks = []
            for prompt in victims.prompts():
                arrivals.append([])
                stream = self._stream(session, prompt, victims.output_tokens, arrivals[-1])
                tasks.append(asyncio.create_task(stream))
            await asyncio.sleep(quiet)
            tasks.append(asyncio.create_task(self._attack(session, attackers)))
            await asyncio.sleep(end - quiet)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return [[at - started for at in stream] for stream in arrivals]

    async def _attack(self, session: aiohttp.ClientSession, attackers: Workload) -> None:
        for prompt in attackers.prompts():
            await self._stream(session, prompt, attackers.output_tokens, [])

    async def _stream(
        self, session: aiohttp.ClientSession, prompt: str, output: int, arrivals: list[float]
    ) -> None:
        body = {"model": self.model, "prompt": prompt, "max_tokens": output}
        body |= {"ignore_eos": True, "temperature": 0, "stream": True}
        timeout = aiohttp.ClientTimeout(total=None, sock_read=ROW_SECONDS)
        async with session.post(f"{self.url}/v1/completions", json=body, timeout=timeout) as answer:
            async for line in answer.content:
                if line.startswith(b"data: {"):
                    arrivals += [time.monotonic()] * bool(json.loads(line[6:]).get("choices"))


class InProcessLoad:
    """For a peer without a server: its driver plays the clients."""

    def __init__(self, peer: Peer, setting: Setting, _kind: str) -> None:
        self.driver = Driver(peer, setting)
        self.process = self.driver.process
        self.label = self.driver.label
        self.ready_seconds = self.driver.ready_seconds

    def closed(self, workload: Workload, clients: int) -> list[Timing]:
        [timings] = self.driver.ask("load", groups=[_group(workload, clients, 0.0)])
        return [Timing(**timing) for timing in timings]

    def disturbed(
        self, victims: Workload, attackers: Workload, quiet: float, end: float
    ) -> Streams:
        groups = [_group(victims, victims.num_requests, 0.0), _group(attackers, 1, quiet)]
        timings = self.driver.ask("load", groups=groups, seconds=end)[0]
        started = min(timing["started"] for timing in timings)
        arrivals = [[at - started for at in timing["arrivals"]] for timing in timings]
        return Streams(arrivals, quiet, end)


def _group(workload: Workload, clients: int, after: float) -> dict[str, Any]:
    prompts = list(workload.prompts())
    return {
        "clients": clients,
        "prompts": prompts,
        "output": workload.output_tokens,
        "after": after,
    }


def open_load(peer: Peer, setting: Setting, kind: str) -> Load:
    return (HttpLoad if peer.server else InProcessLoad)(peer, setting, kind)


def with_memory(process: PeerProcess, work: Callable[[], ANSWER]) -> tuple[ANSWER, float]:
    """The answer, and the most memory the process was seen to have meanwhile, in MiB."""
    seen = [0.0]
    with _sampling(lambda: seen.append(process.memory_mib())):
        answer = work()
    return answer, max([*seen, process.memory_mib()])


@contextlib.contextmanager
def _sampling(sample: Callable[[], None]) -> Iterator[None]:
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(MEMORY_SECONDS):
            sample()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
