"""What a pool counts for a replica, and that all of it is given back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.core.ids import RequestId
from stoker.core.output import TokenDelta
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.gateway.replica_account import PoolRates, ReplicaAccount

NAME = RequestId("a")
REQUEST = Request(
    request_id=NAME, prompt_token_ids=tuple(range(100)), sampling=SamplingParams(max_tokens=50)
)


def account() -> ReplicaAccount:
    return ReplicaAccount("r", PoolRates())


def test_what_is_cached_does_not_count() -> None:
    replica = account()
    replica.dispatched(REQUEST, 64, 20, now=5.0)
    view = replica.view(0.0)
    assert (view.queued_prefill_tokens, view.active_decode_tokens) == (36, 20)
    assert (view.in_flight, view.last_used) == (1, 5.0)


def test_a_prompt_counts_until_the_first_token_and_an_answer_as_far_as_it_is_to_come() -> None:
    replica = account()
    entry = replica.dispatched(REQUEST, 0, 3, now=0.0)
    for count, left in ((1, 2), (1, 1), (2, 0), (1, 0)):
        entry.took(REQUEST, TokenDelta(NAME, (1,) * count), now=1.0)
        assert replica.view(0.0).queued_prefill_tokens == 0
        assert replica.view(0.0).active_decode_tokens == left
        assert replica.view(0.0).in_flight == 1
    assert entry.num_output == 5


@settings(max_examples=60, derandomize=True, database=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 200), st.integers(0, 50), st.lists(st.integers(0, 4), max_size=5))
    )
)
def test_all_that_was_counted_is_given_back(sent: list[tuple[int, int, list[int]]]) -> None:
    replica = account()
    entries = []
    for cached, expected, pieces in sent:
        entry = replica.dispatched(REQUEST, cached, expected, now=0.0)
        for number, count in enumerate(pieces):
            entry.took(REQUEST, TokenDelta(NAME, (1,) * count), now=float(number))
        view = replica.view(0.0)
        assert view.queued_prefill_tokens >= 0
        assert view.active_decode_tokens >= 0
        entries.append(entry)
    for entry in entries:
        replica.ended(entry)
    view = replica.view(0.0)
    assert (view.queued_prefill_tokens, view.active_decode_tokens, view.in_flight) == (0, 0, 0)
