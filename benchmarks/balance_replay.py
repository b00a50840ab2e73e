"""A fleet without engines: replays a trace over replicas that have a cache and two rates, and lets
one of the gateway's own balancing policies choose."""

from __future__ import annotations

import csv
import gzip
import heapq
import itertools
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from stoker.gateway.balance.interface import Balancer, BalanceRequest, ReplicaView
from stoker.gateway.balance.prefix_index import CachedPrefixes, PrefixIndex

BLOCK_TOKENS = 512
PREFILL_RATE = 10_000.0
"""Prompt tokens a second of one replica."""
DECODE_RATE = 2_000.0
"""New tokens a second of one replica, over all streams."""
STREAM_RATE = 40.0
"""New tokens a second of one stream."""


class Arrival(NamedTuple):
    seconds: float
    input_tokens: int
    output_tokens: int
    digests: tuple[bytes, ...]


def read_trace(path: Path) -> list[Arrival]:
    """`blocks` are numbers and ranges of numbers: 0 14-27."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        return [
            Arrival(
                int(row["milliseconds"]) / 1000,
                int(row["input_tokens"]),
                int(row["output_tokens"]),
                tuple(number.to_bytes(8, "big") for number in _numbers(row["blocks"])),
            )
            for row in csv.DictReader(lines)
        ]


def _numbers(ranges: str) -> Iterator[int]:
    for part in ranges.split():
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


class Cache:
    """The least recently used blocks go first, and of one prompt the last ones. `index` is told
    what comes and goes, as by an engine."""

    def __init__(self, replica_id: str, size: int, index: PrefixIndex) -> None:
        self._replica_id = replica_id
        self._size = size
        self._index = index
        self._blocks: OrderedDict[bytes, None] = OrderedDict()

    def lookup(self, digests: Sequence[bytes]) -> int:
        """How many blocks from the beginning are held; they are used now."""
        held = sum(1 for _ in itertools.takewhile(self._blocks.__contains__, digests))
        for digest in reversed(digests[:held]):
            self._blocks.move_to_end(digest)
        return held

    def store(self, digests: Sequence[bytes]) -> None:
        digests = digests[: self._size]
        held = self.lookup(digests)
        for digest in reversed(digests[held:]):
            self._blocks[digest] = None
        for digest in reversed(digests[:held]):
            self._blocks.move_to_end(digest)
        excess = len(self._blocks) - self._size
        removed = [self._blocks.popitem(last=False)[0] for _ in range(max(0, excess))]
        self._index.removed(self._replica_id, removed)
        parent = digests[held - 1] if held else b""
        self._index.stored(self._replica_id, parent, digests[held:])


@dataclass(slots=True)
class Replica:
    name: str
    cache: Cache
    prefill_rate: float = PREFILL_RATE
    decode_rate: float = DECODE_RATE
    queued: int = 0
    """Prompt tokens dispatched and not computed; cached ones, as far as known then, left out."""
    active: int = 0
    in_flight: int = 0
    last_used: float = 0.0
    work: float = 0.0
    """Seconds of computing so far."""
    waiting: deque[tuple[Arrival, int]] = field(default_factory=deque)
    """Arrivals, with the tokens each is counted with in `queued`; the first is being computed."""

    @property
    def view(self) -> ReplicaView:
        return ReplicaView(
            replica_id=self.name,
            prefill_rate=self.prefill_rate,
            decode_rate=self.decode_rate,
            queued_prefill_tokens=self.queued,
            active_decode_tokens=self.active,
            in_flight=self.in_flight,
            last_used=self.last_used,
        )


class Replayed(NamedTuple):
    hit_rate: float
    """Share of all blocks of all prompts."""
    imbalance: float
    """Work of the replica that had most, over the mean."""
    first_token: list[float]
    """Seconds each request waited, ascending."""


class Replay:
    """Prompts are computed one after the other at each replica; decoding then takes its time and
    adds to the work, but does not hold prompts up."""

    def __init__(
        self,
        replicas: Sequence[Replica],
        balancer: Balancer,
        known: CachedPrefixes,
        sent: Callable[[str, Sequence[bytes]], None] = lambda _name, _digests: None,
    ) -> None:
        """`known` says what replicas are believed to hold; `sent` is told of each dispatch."""
        self._replicas = {replica.name: replica for replica in replicas}
        self._balancer = balancer
        self._known = known
        self._sent = sent
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = itertools.count()
        self._hits = 0
        self._blocks = 0
        self._first_token: list[float] = []

    def run(self, trace: Sequence[Arrival]) -> Replayed:
        for arrival in trace:
            self._pass_time(arrival.seconds)
            self._dispatch(arrival)
        self._pass_time(float("inf"))
        work = [replica.work for replica in self._replicas.values()]
        imbalance = max(work) * len(work) / sum(work)
        return Replayed(self._hits / self._blocks, imbalance, sorted(self._first_token))

    def _pass_time(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            now, _, action = heapq.heappop(self._events)
            action(now)

    def _later(self, when: float, action: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), action))

    def _dispatch(self, arrival: Arrival) -> None:
        request = BalanceRequest(
            num_prompt_tokens=arrival.input_tokens,
            expected_output_tokens=arrival.output_tokens,
            block_size=BLOCK_TOKENS,
            digests=arrival.digests,
        )
        views = [replica.view for replica in self._replicas.values()]
        chosen = self._balancer.pick(request, views, arrival.seconds)
        replica = self._replicas[chosen.replica_id]
        held = self._known.depths(arrival.digests).get(replica.name, 0)
        counted = max(0, arrival.input_tokens - held * BLOCK_TOKENS)
        self._sent(replica.name, arrival.digests)
        replica.queued += counted
        replica.active += arrival.output_tokens
        replica.in_flight += 1
        replica.last_used = arrival.seconds
        replica.waiting.append((arrival, counted))
        if len(replica.waiting) == 1:
            self._compute(replica, arrival.seconds)

    def _compute(self, replica: Replica, now: float) -> None:
        arrival, _ = replica.waiting[0]
        held = replica.cache.lookup(arrival.digests)
        self._hits += held
        self._blocks += len(arrival.digests)
        prefill = max(1, arrival.input_tokens - held * BLOCK_TOKENS) / replica.prefill_rate
        replica.work += prefill + arrival.output_tokens / replica.decode_rate
        self._later(now + prefill, lambda then: self._computed(replica, then))

    def _computed(self, replica: Replica, now: float) -> None:
        arrival, counted = replica.waiting.popleft()
        replica.cache.store(arrival.digests)
        replica.queued -= counted
        self._first_token.append(now - arrival.seconds)
        end = now + arrival.output_tokens / STREAM_RATE
        self._later(end, lambda _: self._ended(replica, arrival))
        if replica.waiting:
            self._compute(replica, now)

    def _ended(self, replica: Replica, arrival: Arrival) -> None:
        replica.active -= arrival.output_tokens
        replica.in_flight -= 1
