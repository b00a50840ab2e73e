"""Block pool and prefix cache against a plain model (I02, I03, I11)."""

from __future__ import annotations

from array import array

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from stoker.core.ids import BlockId
from stoker.kv.block_hash import Scope, keyed_hash
from stoker.kv.block_pool import BlockPool
from stoker.kv.prefix_cache import PrefixCache


class Machine(RuleBasedStateMachine):
    """Tables of sequences with tiny prompts; every block remembers what was written to it."""

    @initialize(blocks=st.integers(1, 12), size=st.integers(1, 3), constant=st.booleans())
    def start(self, blocks: int, size: int, constant: bool) -> None:
        hash_block = (lambda parent, content: b"same") if constant else keyed_hash(b"key")
        self.cache = PrefixCache(size, hash_block)
        self.pool = BlockPool(blocks, self.cache.forget)
        self.size = size
        self.written: dict[BlockId, tuple[str, tuple[int, ...]]] = {}
        self.tables: list[list[BlockId]] = []

    @rule(tenant=st.sampled_from("ab"), tokens=st.lists(st.integers(0, 1), min_size=1, max_size=9))
    def admit(self, tenant: str, tokens: list[int]) -> None:
        chain = self.cache.chain(Scope(tenant))
        packed = array("i", tokens)
        found = self.cache.lookup(chain, packed, len(tokens) // self.size)
        for index, block in enumerate(found):
            prefix = tuple(tokens[: (index + 1) * self.size])
            assert self.written[block] == (tenant, prefix), "a hit holds other tokens"
        for block in found:
            self.pool.share(block)
        needed = -(-len(tokens) // self.size) - len(found)
        if needed > self.pool.num_free:
            self.pool.release(found, self.cache.holds)
            return
        table = found + self.pool.allocate(needed)
        for index in range(len(found), len(table)):
            self.written[table[index]] = (tenant, tuple(tokens[: (index + 1) * self.size]))
        full = len(tokens) // self.size
        self.cache.register(chain, packed, table, len(found), full)
        self.tables.append(table)

    @rule(index=st.integers(0, 20))
    def finish(self, index: int) -> None:
        if self.tables:
            self.pool.release(self.tables.pop(index % len(self.tables)), self.cache.holds)

    @rule()
    def take_too_many(self) -> None:
        try:
            self.pool.allocate(self.pool.num_free + 1)
        except ValueError:
            return
        raise AssertionError("more blocks than there are")

    @invariant()
    def sound(self) -> None:
        if hasattr(self, "pool"):
            self.pool.check(self.tables)
            self.cache.check()
            assert self.pool.num_free + self.pool.num_used == self.pool.num_blocks


Machine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestBlockPool = Machine.TestCase


def test_a_released_block_is_not_released_again() -> None:
    pool = BlockPool(2, lambda block: None)
    table = pool.allocate(1)
    pool.release(table, lambda block: False)
    try:
        pool.release(table, lambda block: False)
    except ValueError:
        return
    raise AssertionError("a double release went unnoticed")


def test_worthless_blocks_are_reused_before_cached_ones() -> None:
    pool = BlockPool(3, lambda block: None)
    table = pool.allocate(3)
    pool.release(table, lambda block: block == table[0])
    assert pool.allocate(2) == [table[1], table[2]]


def test_a_prefix_outlives_its_tail() -> None:
    pool = BlockPool(3, lambda block: None)
    table = pool.allocate(3)
    pool.release(table, lambda block: True)
    assert pool.allocate(3) == table[::-1]
