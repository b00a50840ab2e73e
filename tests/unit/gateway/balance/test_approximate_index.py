"""Guesses from what was dispatched, within bounds."""

from __future__ import annotations

import sys
import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.gateway.balance.approximate_index import ENTRY_BYTES, ApproximateIndex, milestones


def digests(prompt: int, count: int) -> list[bytes]:
    return [prompt.to_bytes(8, "big") + block.to_bytes(8, "big") for block in range(count)]


@settings(max_examples=100, derandomize=True, database=None)
@given(sent=st.integers(0, 4000), asked=st.integers(0, 4000))
def test_it_is_at_most_a_sixteenth_short_and_never_too_long(sent: int, asked: int) -> None:
    index = ApproximateIndex()
    index.sent("a", digests(1, sent))
    depth = index.depths(digests(1, asked)).get("a", 0)
    true = min(sent, asked)
    assert depth <= true
    assert depth >= true - max(1, true // 16) or true <= 16 == depth


def test_a_short_prompt_is_known_to_the_block() -> None:
    index = ApproximateIndex()
    for count in range(17):
        index.sent(f"r{count}", digests(count, count))
        assert index.depths(digests(count, 17)) == ({f"r{count}": count} if count else {})


def test_several_replicas_and_one_that_leaves() -> None:
    index = ApproximateIndex()
    index.sent("a", digests(1, 10))
    index.sent("b", digests(1, 4))
    assert index.depths(digests(1, 20)) == {"a": 10, "b": 4}
    index.gone("a")
    assert index.depths(digests(1, 20)) == {"b": 4}
    index.sent("c", digests(1, 2))  # it gets the place of the one that left, not what that knew
    assert index.depths(digests(1, 20)) == {"b": 4, "c": 2}


def test_what_was_sent_longest_ago_is_forgotten_first() -> None:
    index = ApproximateIndex(max_bytes=20 * ENTRY_BYTES)
    for prompt in range(3):
        index.sent("a", digests(prompt, 10))
    assert index.depths(digests(0, 10)) == {}
    assert index.depths(digests(1, 10)) == {"a": 10}
    assert index.depths(digests(2, 10)) == {"a": 10}


def test_it_stays_within_its_bytes() -> None:
    limit = 1 << 20
    index = ApproximateIndex(max_bytes=limit)
    tracemalloc.start()
    try:
        for prompt in range(400):
            index.sent(f"r{prompt % 100}", digests(prompt, 100))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(index) == limit // ENTRY_BYTES
    assert used < 1.1 * limit


def test_a_long_prompt_leaves_few_marks() -> None:
    assert len(milestones(3400)) < 150
    assert milestones(3) == [0, 1, 2]
    assert sys.getsizeof(milestones(3400)) < 2000
