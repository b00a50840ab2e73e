"""All rounds of one model: rows outside, peers inside, so that neighbours in time are compared.

A peer's process stays up between rounds and is stopped by a signal while others are measured.
Engines first, then servers: both at once would not fit into the memory of a small machine.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from benchmarks.peers.catalog import Peer, Setting
from benchmarks.peers.driver import Driver, RowFailed
from benchmarks.peers.load import open_load
from benchmarks.peers.process import PeerProcess
from benchmarks.peers.rows import ENGINE_ROWS, LOAD_ROWS, READY, Sizes
from stoker.bench.workload import Workload
from stoker.errors import StokerError

NO_CLIENTS = "answers one batch at a time, no server"


class Running(Protocol):
    label: str
    process: PeerProcess
    ready_seconds: float


class Series:
    def __init__(
        self,
        setting: Setting,
        peers: Sequence[Peer],
        sizes: Sizes,
        rows: Sequence[str],
        rounds: int,
    ) -> None:
        self.setting = setting
        self.peers = peers
        self.sizes = sizes
        self.rows = rows
        self.rounds = rounds
        self.labels: dict[str, str] = {}
        self.figures: dict[str, dict[str, list[float]]] = {
            peer.name: defaultdict(list) for peer in peers
        }
        self.remarks: dict[str, dict[str, str]] = {peer.name: {} for peer in peers}

    def result(self) -> dict[str, Any]:
        """By peer: what it is, every measured figure of every row, and why any is missing."""
        return {
            "peers": {
                peer.name: {
                    "label": self.labels.get(peer.name, peer.name),
                    "numbers": peer.numbers,
                    "in_process": peer.server is None,
                    "figures": dict(self.figures[peer.name]),
                    "remarks": self.remarks[peer.name],
                }
                for peer in self.peers
            }
        }

    def run(self) -> None:
        engine = [row for row in ENGINE_ROWS if row.name in self.rows]
        if engine:
            self._phase(lambda peer: Driver(peer, self.setting), self.peers, engine)
        able = [peer for peer in self.peers if peer.load]
        for kind in ("short", "long"):
            rows = [row for row in LOAD_ROWS if row.name in self.rows and row.kind == kind]
            if rows:
                self._phase(lambda peer, kind=kind: self._warm(peer, kind), able, rows)
        for peer in self.peers:
            if not peer.load:
                self.remarks[peer.name] |= {row.name: NO_CLIENTS for row in LOAD_ROWS}
        if READY in self.rows:
            self._starts()

    def _phase(
        self, start: Callable[[Peer], Any], peers: Sequence[Peer], rows: Sequence[Any]
    ) -> None:
        with contextlib.ExitStack() as stack:
            running = {}
            for peer in peers:
                with self._noting(peer, [row.name for row in rows]):
                    running[peer.name] = one = start(peer)
                    stack.callback(one.process.end)
                    self.labels.setdefault(peer.name, one.label)
                    one.process.pause()
            for seed in range(1, self.rounds + 1):
                for row in rows:
                    for peer in peers:
                        if peer.name in running:
                            self._measure(row, peer, running[peer.name], seed)

    def _measure(self, row: Any, peer: Peer, running: Any, seed: int) -> None:
        running.process.resume()
        with self._noting(peer, [row.name]):
            found = row.measure(running, self.sizes, seed)
            for name, value in found.items():
                self.figures[peer.name][name].append(round(value, 3))
            shown = ", ".join(f"{name} {value:.1f}" for name, value in found.items())
            print(f"{self.setting.model} round {seed}, {peer.name}: {shown}", flush=True)
        running.process.pause()

    def _warm(self, peer: Peer, kind: str) -> Any:
        load = open_load(peer, self.setting, kind)
        try:
            load.closed(Workload(2, 64, 8), 2)
        except BaseException:
            load.process.end()
            raise
        return load

    def _starts(self) -> None:
        """From nothing to ready, with weights and compiled code already on disk."""
        for _ in range(self.rounds):
            for peer in self.peers:
                if len(self.figures[peer.name][READY]) >= peer.starts:
                    continue
                with self._noting(peer, [READY]):
                    started: Running = (
                        open_load(peer, self.setting, "short")
                        if peer.load
                        else Driver(peer, self.setting)
                    )
                    started.process.end()
                    self.figures[peer.name][READY].append(round(started.ready_seconds, 3))
                    print(f"{peer.name}: ready after {started.ready_seconds:.1f} s", flush=True)

    @contextlib.contextmanager
    def _noting(self, peer: Peer, rows: Sequence[str]) -> Iterator[None]:
        """A peer that fails loses these rows and no others; the reason is kept."""
        try:
            yield
        except (RowFailed, StokerError, OSError, ValueError, ExceptionGroup) as error:
            reason = str(error) or type(error).__name__
            print(f"{self.setting.model} {peer.name}: {', '.join(rows)}: {reason}", flush=True)
            self.remarks[peer.name] |= dict.fromkeys(rows, reason)
