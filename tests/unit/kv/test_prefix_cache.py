"""What may be found, by whom, and what a lookup costs. Exactness under random use is shown by
tests/stateful/test_block_pool.py."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import pytest

from stoker.core.ids import BlockId
from stoker.kv.block_hash import Digest, Scope, keyed_hash
from stoker.kv.prefix_cache import PrefixCache

SIZE = 4


class CountingHash:
    def __init__(self) -> None:
        self.calls = 0
        self._hash = keyed_hash(b"key")

    def __call__(self, parent: Digest, content: bytes) -> Digest:
        self.calls += 1
        return self._hash(parent, content)


def cache(hash_block: CountingHash | None = None) -> PrefixCache:
    return PrefixCache(SIZE, hash_block or keyed_hash(b"key"))


def blocks(*numbers: int) -> list[BlockId]:
    return [BlockId(number) for number in numbers]


def record(
    into: PrefixCache, tokens: Iterable[int], table: list[BlockId], tenant: str = "a"
) -> None:
    packed = array("i", tokens)
    into.register(into.chain(Scope(tenant)), packed, table, 0, len(packed) // SIZE)


def found(within: PrefixCache, tokens: Iterable[int], tenant: str = "a") -> list[BlockId]:
    packed = array("i", tokens)
    return within.lookup(within.chain(Scope(tenant)), packed, len(packed))


def test_a_block_that_is_not_full_is_never_found() -> None:
    known = cache()
    record(known, range(SIZE + 3), blocks(0, 1))
    assert found(known, range(2 * SIZE)) == blocks(0)
    assert found(known, range(SIZE - 1)) == []


def test_only_the_same_beginning_counts() -> None:
    """The second block holds the same tokens, but its keys and values depend on those before."""
    known = cache()
    record(known, [*range(SIZE), *range(SIZE)], blocks(0, 1))
    for position in range(2 * SIZE):
        tokens = [*range(SIZE), *range(SIZE)]
        tokens[position] = 9
        assert found(known, tokens) == blocks(0)[: position // SIZE]


@pytest.mark.parametrize("hash_block", [keyed_hash(b"key"), lambda parent, content: b"same"])
def test_neither_another_tenant_nor_a_collision_hits(hash_block: CountingHash) -> None:
    known = PrefixCache(SIZE, hash_block)
    record(known, range(SIZE), blocks(0), tenant="a")
    assert found(known, range(SIZE), tenant="b") == []
    assert found(known, range(1, SIZE + 1), tenant="a") == []
    assert found(known, range(SIZE), tenant="a") == blocks(0)


def test_the_same_content_is_kept_once() -> None:
    known = cache()
    record(known, range(2 * SIZE), blocks(0, 1))
    record(known, range(3 * SIZE), blocks(2, 3, 4))
    assert found(known, range(3 * SIZE)) == blocks(0, 1, 4)
    assert len(known) == 3


def test_what_follows_a_block_that_is_gone_is_not_found_even_when_it_comes_back() -> None:
    known = cache()
    record(known, range(3 * SIZE), blocks(0, 1, 2))
    known.forget(BlockId(1))
    assert found(known, range(3 * SIZE)) == blocks(0)
    record(known, range(2 * SIZE), blocks(0, 5))
    assert found(known, range(3 * SIZE)) == blocks(0, 5)


def test_a_sequence_whose_beginning_is_gone_records_nothing_more() -> None:
    known = cache()
    chain, tokens = known.chain(Scope("a")), array("i", range(3 * SIZE))
    known.register(chain, tokens, blocks(0, 1, 2), 0, 2)
    known.forget(BlockId(1))
    known.register(chain, tokens, blocks(0, 1, 2), 2, 3)
    assert len(known) == 1
    record(known, tokens, blocks(3, 4, 5))
    known.register(chain, tokens, blocks(0, 1, 2), 2, 3)
    assert found(known, tokens) == blocks(0, 4, 5)


def test_a_new_block_costs_one_hash_at_any_length() -> None:
    counting = CountingHash()
    known = cache(counting)
    chain, tokens = known.chain(Scope("a")), array("i")
    table = blocks(*range(100))
    for index in range(100):
        tokens.extend(range(SIZE))
        before = counting.calls
        known.register(chain, tokens, table, index, index + 1)
        assert counting.calls == before + 1
    known.lookup(chain, tokens, 100)
    assert counting.calls == 101  # and one for the tenant


def test_the_hash_cannot_be_foreseen_without_its_key() -> None:
    assert keyed_hash(b"one")(b"parent", b"content") != keyed_hash(b"two")(b"parent", b"content")
