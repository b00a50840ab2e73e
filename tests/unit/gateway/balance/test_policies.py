"""What every balancing policy promises, whatever it looks at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.config.fleet_schema import BalanceSection
from stoker.gateway.balance.interface import Balancer, BalanceRequest, ReplicaView
from stoker.gateway.balance.prefix_index import PrefixIndex
from stoker.gateway.balancing import make_balancer

POLICIES = ("cost", "least_loaded", "two_choices", "round_robin", "consistent_hash", "session")
BLOCK = 16

views = st.builds(
    ReplicaView,
    replica_id=st.text("abc", min_size=1, max_size=3),
    prefill_rate=st.floats(0.1, 1e5),
    decode_rate=st.floats(0.1, 1e4),
    queued_prefill_tokens=st.integers(0, 10**6),
    active_decode_tokens=st.integers(0, 10**6),
    in_flight=st.integers(0, 1000),
    last_used=st.floats(0, 1e6),
    weight=st.floats(0, 1),
)
fleets = st.lists(views, min_size=1, max_size=6, unique_by=lambda view: view.replica_id)
requests = st.builds(
    BalanceRequest,
    num_prompt_tokens=st.integers(1, 200),
    block_size=st.just(BLOCK),
    digests=st.lists(st.binary(min_size=1, max_size=2), max_size=12).map(tuple),
    session=st.sampled_from(["", "one", "two"]),
)


def balancer(policy: str, index: PrefixIndex | None = None, seed: int = 0) -> Balancer:
    section = BalanceSection(policy=policy)  # type: ignore[arg-type]
    return make_balancer(section, index or PrefixIndex(1000), Random(seed).random)


def replicas(count: int, **changes: object) -> list[ReplicaView]:
    return [ReplicaView(replica_id=f"r{number}", **changes) for number in range(count)]  # type: ignore[arg-type]


def changed(view: ReplicaView, **changes: object) -> ReplicaView:
    return msgspec.structs.replace(view, **changes)


@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=40, derandomize=True, database=None, deadline=None)
@given(rounds=st.lists(st.tuples(requests, fleets), min_size=1, max_size=5))
def test_it_is_always_one_of_the_given_and_the_same_again(
    policy: str, rounds: list[tuple[BalanceRequest, list[ReplicaView]]]
) -> None:
    index = PrefixIndex(1000)
    for request, fleet in rounds:
        index.stored(fleet[0].replica_id, b"", request.digests[:3])
    one, other = balancer(policy, index), balancer(policy, index)
    for now, (request, fleet) in enumerate(rounds):
        chosen = one.pick(request, fleet, float(now))
        assert any(chosen is view for view in fleet)
        assert other.pick(request, fleet, float(now)) is chosen


@pytest.mark.parametrize("policy", ["cost", "least_loaded", "round_robin"])
def test_equal_replicas_are_used_equally(policy: str) -> None:
    fleet = replicas(5)
    picked = shared_out(balancer(policy), fleet, 50, BalanceRequest(num_prompt_tokens=100))
    assert set(picked.values()) == {10}


@pytest.mark.parametrize("policy", POLICIES)
def test_no_replica_starves(policy: str) -> None:
    """Prompts that differ from their first block on, answers that end at once."""
    fleet = replicas(5)
    chooser = balancer(policy)
    picked: Counter[str] = Counter()
    for number in range(400):
        request = BalanceRequest(num_prompt_tokens=32, digests=(number.to_bytes(4, "big"),))
        picked += shared_out(chooser, fleet, 1, request, float(number))
    assert len(picked) == 5
    assert min(picked.values()) >= 40


def shared_out(
    chooser: Balancer,
    fleet: list[ReplicaView],
    count: int,
    request: BalanceRequest,
    start: float = 0.0,
) -> Counter[str]:
    picked: Counter[str] = Counter()
    for number in range(count):
        chosen = chooser.pick(request, fleet, start)
        picked[chosen.replica_id] += 1
        fleet[fleet.index(chosen)] = changed(chosen, last_used=start + number + 1.0)
    return picked


def stays(chooser: Balancer, request: BalanceRequest, fleet: Sequence[ReplicaView]) -> bool:
    return len({chooser.pick(request, fleet, 0.0).replica_id for _ in range(10)}) == 1


@pytest.mark.parametrize(
    ("policy", "request_"),
    [
        ("consistent_hash", BalanceRequest(num_prompt_tokens=64, digests=(b"a", b"b"))),
        ("session", BalanceRequest(num_prompt_tokens=64, session="mine")),
    ],
)
def test_what_belongs_together_stays_until_a_replica_has_more_than_its_share(
    policy: str, request_: BalanceRequest
) -> None:
    chooser, fleet = balancer(policy), replicas(4, in_flight=4)
    home = chooser.pick(request_, fleet, 0.0)
    assert stays(chooser, request_, fleet)
    without = [view for view in fleet if view is not home]
    next_home = chooser.pick(request_, without, 0.0)
    full = [changed(home, in_flight=40) if view is home else view for view in fleet]
    assert chooser.pick(request_, full, 0.0) is next_home


def test_a_replica_that_leaves_moves_only_its_own_keys() -> None:
    chooser, fleet = balancer("consistent_hash"), replicas(5)
    keys = [bytes([number]) for number in range(100)]
    asked = [BalanceRequest(num_prompt_tokens=64, digests=(key,)) for key in keys]
    before = [chooser.pick(request, fleet, 0.0).replica_id for request in asked]
    after = [chooser.pick(request, fleet[:4], 0.0).replica_id for request in asked]
    assert all(now == then for now, then in zip(after, before, strict=True) if then != "r4")


def test_the_less_loaded_of_two_is_taken() -> None:
    idle, busy = replicas(2)
    busy = changed(busy, queued_prefill_tokens=5000)
    chooser = balancer("two_choices")
    for _ in range(20):
        assert chooser.pick(BalanceRequest(num_prompt_tokens=1), [busy, idle], 0.0) is idle


def test_a_new_replica_gets_less_while_it_is_new() -> None:
    old, new = replicas(2, queued_prefill_tokens=500)
    new = changed(new, weight=0.1)
    for policy in ("cost", "least_loaded", "two_choices"):
        chosen = balancer(policy).pick(BalanceRequest(num_prompt_tokens=10), [new, old], 0.0)
        assert chosen is old, policy
