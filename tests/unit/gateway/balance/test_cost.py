"""What the cost policy weighs against what."""

from __future__ import annotations

from collections import Counter

import msgspec

from stoker.gateway.balance.cost import CostBalancer
from stoker.gateway.balance.interface import BalanceRequest, ReplicaView
from stoker.gateway.balance.prefix_index import PrefixIndex

BLOCK = 100
DIGESTS = tuple(bytes([number]) for number in range(100))
REQUEST = BalanceRequest(num_prompt_tokens=10_000, block_size=BLOCK, digests=DIGESTS)


def never() -> float:
    return 1.0


def fleet(*queued: int, rate: float = 1000.0) -> list[ReplicaView]:
    return [
        ReplicaView(replica_id=f"r{number}", queued_prefill_tokens=tokens, prefill_rate=rate)
        for number, tokens in enumerate(queued)
    ]


def picked(queued: tuple[int, ...], held: dict[str, int], seconds: float = 2.0) -> str:
    index = PrefixIndex(1000)
    for name, blocks in held.items():
        index.stored(name, b"", DIGESTS[:blocks])
    chooser = CostBalancer(index, never, affinity_seconds=seconds)
    return chooser.pick(REQUEST, fleet(*queued), 0.0).replica_id


def test_a_cached_beginning_draws() -> None:
    assert picked((0, 0, 0), {"r1": 50}) == "r1"
    assert picked((0, 0, 0), {"r1": 50, "r2": 60}) == "r2"


def test_a_queue_repels() -> None:
    assert picked((0, 30_000), {"r1": 100}) == "r0"


def test_the_first_token_comes_at_most_so_much_later() -> None:
    """10 s of prefill here; there 5 s of queue and, with half of it cached, 5 s of prefill."""
    assert picked((0, 6900), {"r1": 50}) == "r1"
    assert picked((0, 7100), {"r1": 50}) == "r0"
    assert picked((0, 7100), {"r1": 50}, seconds=3.0) == "r1"


def test_little_is_not_worth_a_long_wait() -> None:
    """1 s of prefill: nobody waits 0.8 s longer for what is cached of it."""
    index = PrefixIndex(1000)
    index.stored("r1", b"", DIGESTS[:10])
    request = BalanceRequest(num_prompt_tokens=1000, block_size=BLOCK, digests=DIGESTS[:10])
    for queued, name in ((1700, "r1"), (1800, "r0")):
        chooser = CostBalancer(index, never)
        assert chooser.pick(request, fleet(0, queued), 0.0).replica_id == name


def test_what_most_hold_draws_nobody() -> None:
    """Five of eight hold a system prompt. The others are as good, for they need it only once."""
    held = {f"r{number}": 50 for number in range(5)}
    assert picked((100, 100, 100, 100, 100, 100, 0, 100), held) == "r6"


def test_the_faster_one_is_taken() -> None:
    slow, fast = fleet(0, 0)
    fast = msgspec.structs.replace(fast, prefill_rate=3000.0)
    assert CostBalancer(PrefixIndex(1), never).pick(REQUEST, [slow, fast], 0.0) is fast


def test_rates_that_differ_by_chance_are_the_same() -> None:
    """The one measured a little faster does not get every conversation."""
    chooser = CostBalancer(PrefixIndex(1), never)
    rates = (1000.0, 1150.0, 900.0)
    replicas = [
        msgspec.structs.replace(view, prefill_rate=rate)
        for view, rate in zip(fleet(0, 0, 0), rates, strict=True)
    ]
    given = Counter(chooser.pick(REQUEST, replicas, float(n)).replica_id for n in range(30))
    assert set(given.values()) == {10}


def test_long_prompts_count_for_more_than_short_ones() -> None:
    """Two short prompts in flight are less than a long one."""
    long, short = fleet(9000, 0)
    short = msgspec.structs.replace(short, in_flight=2, queued_prefill_tokens=200)
    request = BalanceRequest(num_prompt_tokens=100)
    assert CostBalancer(PrefixIndex(1), never).pick(request, [long, short], 0.0) is short


def test_exploration_takes_the_longest_unused_of_those_that_are_near() -> None:
    index = PrefixIndex(1000)
    index.stored("r0", b"", DIGESTS[:5])
    draws = iter([0.005] * 3)
    chooser = CostBalancer(index, lambda: next(draws))
    request = BalanceRequest(num_prompt_tokens=1000, block_size=BLOCK, digests=DIGESTS[:10])
    near = [msgspec.structs.replace(view, last_used=5.0) for view in fleet(0, 0, 0)]
    near[2] = msgspec.structs.replace(near[2], last_used=1.0)
    assert chooser.pick(request, near, 0.0).replica_id == "r2"
    far = [near[0], msgspec.structs.replace(near[2], queued_prefill_tokens=10**6)]
    assert chooser.pick(request, far, 0.0).replica_id == "r0"


def test_homes_spread_while_nobody_waits() -> None:
    """Conversations that begin one at a time, each ended before the next: no queue tells."""
    chooser = CostBalancer(PrefixIndex(1), never)
    given: Counter[str] = Counter()
    for number in range(300):
        tokens = 10_000 if number % 3 else 100
        request = BalanceRequest(num_prompt_tokens=tokens)
        given[chooser.pick(request, fleet(0, 0, 0), float(number)).replica_id] += tokens
    assert max(given.values()) < 1.05 * min(given.values())


def test_a_new_replica_does_not_get_everything() -> None:
    chooser = CostBalancer(PrefixIndex(1), never)
    request = BalanceRequest(num_prompt_tokens=1000)
    for number in range(300):
        chooser.pick(request, fleet(0, 0), float(number))
    later = Counter(
        chooser.pick(request, fleet(0, 0, 0), 300.0 + number).replica_id for number in range(30)
    )
    assert max(later.values()) <= 11
