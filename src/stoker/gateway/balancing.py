"""All that a pool needs to choose among its replicas: the configured policy, what is known of
caches, and how a request looks to both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from stoker.config.fleet_schema import BalanceSection
from stoker.core.request import Request
from stoker.engine.interface import BlockListener
from stoker.gateway.balance.approximate_index import ApproximateIndex
from stoker.gateway.balance.consistent_hash import ConsistentHash
from stoker.gateway.balance.cost import CostBalancer
from stoker.gateway.balance.expected_output import ExpectedOutput
from stoker.gateway.balance.interface import Balancer, BalanceRequest, ReplicaView
from stoker.gateway.balance.known_prefixes import KnownPrefixes
from stoker.gateway.balance.least_loaded import LeastLoaded
from stoker.gateway.balance.prefix_index import CachedPrefixes, PrefixIndex
from stoker.gateway.balance.round_robin import RoundRobin
from stoker.gateway.balance.session import SessionAffinity
from stoker.gateway.balance.two_choices import TwoChoices
from stoker.kv.block_hash import Scope, keyed_hash, prompt_digests

MAX_BLOCKS = 1 << 17
"""Of one replica, about 40 MB of index: two million tokens in blocks of sixteen."""
READS_PROMPTS = frozenset({"cost", "consistent_hash", "session"})

Random01 = Callable[[], float]


class Choice(NamedTuple):
    replica: ReplicaView
    cached_tokens: int
    """Of the prompt, believed to be cached there."""
    output_tokens: int
    """How long the answer is likely to be."""


class Balancing:
    """For the replicas of one model. The same calls in the same order give the same choices."""

    def __init__(self, section: BalanceSection, cache_key: bytes = b"", seed: int = 0) -> None:
        """`cache_key` is that of the replicas' engines; empty where none reports."""
        self._hash = keyed_hash(cache_key)
        self._known = KnownPrefixes(PrefixIndex(MAX_BLOCKS), ApproximateIndex())
        self._random = Random(seed).random  # noqa: S311
        self._output = ExpectedOutput()
        self.configure(section)

    def configure(self, section: BalanceSection) -> None:
        """What is known of caches stays; sessions are placed anew."""
        self._balancer = make_balancer(section, self._known, self._random)
        self._reads = section.policy in READS_PROMPTS

    def choose(
        self, request: Request, block_size: int, replicas: Sequence[ReplicaView], now: float
    ) -> Choice:
        """One of `replicas`, which are never none. It is taken to get the request."""
        wanted = self._read(request, block_size if len(replicas) > 1 else 0)
        chosen = self._balancer.pick(wanted, replicas, now)
        name = chosen.replica_id
        cached = self._known.depths(wanted.digests).get(name, 0) * block_size
        self._known.sent(name, wanted.digests)
        return Choice(chosen, cached, wanted.expected_output_tokens)

    def ended(self, num_output_tokens: int) -> None:
        """So long was an answer; one that never began says nothing."""
        if num_output_tokens:
            self._output.ended(num_output_tokens)

    def listener(self, replica_id: str) -> BlockListener:
        """For the replica's backend, if it is a BlockSource."""
        return self._known.listener(replica_id)

    def gone(self, replica_id: str) -> None:
        """The replica left."""
        self._known.gone(replica_id)
        self._balancer.gone(replica_id)

    def _read(self, request: Request, block_size: int) -> BalanceRequest:
        """Prompts are read only where that can matter: it takes 2.7 ms for one of 220 kB."""
        digests: tuple[bytes, ...] = ()
        if self._reads and block_size:
            tokens = request.prompt_token_ids
            scope = Scope(request.tenant, request.adapter)
            digests = prompt_digests(self._hash, scope, tokens, block_size)
        return BalanceRequest(
            num_prompt_tokens=request.num_prompt_tokens,
            expected_output_tokens=self._output.of(request.sampling.max_tokens),
            block_size=max(1, block_size),
            digests=digests,
            session=request.session,
        )


def make_balancer(section: BalanceSection, cached: CachedPrefixes, random: Random01) -> Balancer:
    return _POLICIES[section.policy](section, cached, random)


def _cost(section: BalanceSection, cached: CachedPrefixes, random: Random01) -> Balancer:
    return CostBalancer(
        cached,
        random,
        affinity_seconds=section.affinity_seconds,
        exploration=section.exploration,
    )


_POLICIES: dict[str, Callable[[BalanceSection, CachedPrefixes, Random01], Balancer]] = {
    "cost": _cost,
    "least_loaded": lambda _section, _cached, _random: LeastLoaded(),
    "two_choices": lambda _section, _cached, random: TwoChoices(random),
    "round_robin": lambda _section, _cached, _random: RoundRobin(),
    "consistent_hash": lambda _section, _cached, _random: ConsistentHash(),
    "session": lambda section, cached, random: SessionAffinity(_cost(section, cached, random)),
}
