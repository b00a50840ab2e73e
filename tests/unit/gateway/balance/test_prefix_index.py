"""The index says exactly what an engine's cache would find."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.core.ids import BlockId
from stoker.engine.block_log import BlockLog
from stoker.gateway.balance.prefix_index import PrefixIndex
from stoker.kv.block_hash import Scope, keyed_hash, prompt_digests
from stoker.kv.block_pool import BlockPool
from stoker.kv.prefix_cache import PrefixCache

HASH = keyed_hash(b"key")
SIZE = 2
prompts = st.lists(st.integers(0, 1), min_size=1, max_size=7)


class Engine:
    """The engine's own cache and pool, reporting to an index."""

    def __init__(self, name: str, index: PrefixIndex, blocks: int) -> None:
        self.name = name
        self.index = index
        self.log = BlockLog()
        self.cache = PrefixCache(SIZE, HASH, self.log)
        self.pool = BlockPool(blocks, self.cache.forget)
        self.tables: list[list[BlockId]] = []

    def compute(self, tokens: list[int]) -> None:
        chain, packed = self.cache.chain(Scope("t")), array("i", tokens)
        found = self.cache.lookup(chain, packed, len(tokens) // SIZE)
        for block in found:
            self.pool.share(block)
        needed = -(-len(tokens) // SIZE) - len(found)
        if needed > self.pool.num_free:
            self.pool.release(found, self.cache.holds)
            return
        table = found + self.pool.allocate(needed)
        self.cache.register(chain, packed, table, len(found), len(tokens) // SIZE)
        self.tables.append(table)

    def compute_together(self, one: list[int], other: list[int]) -> None:
        """Both are looked up before either is known, as in one step: the second's blocks stay
        unknown where the first had them."""
        both = []
        for tokens in (one, other):
            chain, packed = self.cache.chain(Scope("t")), array("i", tokens)
            self.cache.lookup(chain, packed, 0)
            needed = -(-len(tokens) // SIZE)
            if needed <= self.pool.num_free:
                both.append((chain, packed, self.pool.allocate(needed)))
        for chain, packed, table in both:
            self.cache.register(chain, packed, table, 0, len(packed) // SIZE)
            self.tables.append(table)

    def finish(self, number: int) -> None:
        if self.tables:
            self.pool.release(self.tables.pop(number % len(self.tables)), self.cache.holds)

    def lose(self, number: int) -> None:
        """A beginning, while what follows it is still there."""
        if self.tables:
            self.cache.forget(self.tables[number % len(self.tables)][0])

    def report(self) -> None:
        for event in self.log.take():
            self.index.removed(self.name, event.removed)
            self.index.stored(self.name, event.parent, event.stored)

    def finds(self, tokens: Sequence[int]) -> int:
        packed = array("i", tokens)
        return len(self.cache.lookup(self.cache.chain(Scope("t")), packed, len(tokens)))


steps = st.one_of(
    st.tuples(st.just("compute"), st.integers(0, 2), prompts),
    st.tuples(st.just("together"), st.integers(0, 2), st.tuples(prompts, prompts)),
    st.tuples(st.just("finish"), st.integers(0, 2), st.integers(0, 9)),
    st.tuples(st.just("lose"), st.integers(0, 2), st.integers(0, 9)),
    st.tuples(st.just("restart"), st.integers(0, 2), st.none()),
)


@settings(max_examples=100, derandomize=True, database=None, deadline=None)
@given(script=st.lists(steps, max_size=30))
def test_it_knows_what_each_engine_would_find(script: list) -> None:
    asked = list(itertools.product((0, 1), repeat=6))
    index = PrefixIndex(100)
    engines = [Engine(f"r{number}", index, blocks=7) for number in range(3)]
    for action, which, argument in script:
        engine = engines[which]
        match action:
            case "compute":
                engine.compute(argument)
            case "together":
                engine.compute_together(*argument)
            case "finish":
                engine.finish(argument)
            case "lose":
                engine.lose(argument)
            case "restart":
                index.gone(engine.name)
                engines[which] = engine = Engine(engine.name, index, blocks=7)
        engine.report()
        for tokens in asked:
            depths = index.depths(prompt_digests(HASH, Scope("t"), tokens, SIZE))
            assert depths == {one.name: found for one in engines if (found := one.finds(tokens))}
    for engine in engines:
        index.gone(engine.name)
    assert len(index) == 0


def names(count: int) -> list[bytes]:
    return [number.to_bytes(4, "big") for number in range(count)]


def test_what_follows_a_lost_block_is_lost() -> None:
    index = PrefixIndex(100)
    blocks = names(4)
    index.stored("a", b"", blocks)
    index.stored("b", b"", blocks)
    index.removed("a", [blocks[1]])
    assert index.depths(blocks) == {"a": 1, "b": 4}
    index.stored("a", blocks[0], [blocks[1]])
    assert index.depths(blocks) == {"a": 2, "b": 4}


def test_a_block_after_an_unknown_one_is_not_believed() -> None:
    index = PrefixIndex(100)
    index.stored("a", b"unknown", names(3))
    assert len(index) == 0


def test_nonsense_has_an_answer() -> None:
    """Digests that are no chain: more hold the second block than the first."""
    index = PrefixIndex(100)
    index.stored("a", b"", [b"x", b"y", b"x"])
    index.stored("b", b"", [b"y"])
    assert index.depths([b"x", b"y", b"x", b"x"]) == {"a": 4}
    index.removed("a", [b"x", b"x"])
    assert index.depths([b"y", b"y"]) == {"b": 2}


def test_no_replica_takes_more_than_its_room() -> None:
    index = PrefixIndex(100)
    for number in range(50):
        index.stored("greedy", b"", [b"%d-%d" % (number, block) for block in range(10)])
    index.stored("b", b"", names(10))
    assert len(index) == 110
    assert index.depths(names(10)) == {"b": 10}
    index.gone("greedy")
    assert len(index) == 10


def test_thousands_of_blocks_cost_few_lookups() -> None:
    class Counting(dict[bytes, int]):
        asked = 0

        def get(self, *arguments: object) -> object:  # type: ignore[override]
            Counting.asked += 1
            return super().get(*arguments)  # type: ignore[call-overload]

    index = PrefixIndex(10_000)
    blocks = names(3400)
    for number in range(64):
        index.stored(f"r{number}", b"", blocks[: 53 * number + 1])
    index._holders = Counting(index._holders)
    depths = index.depths(blocks)
    assert depths == {f"r{number}": 53 * number + 1 for number in range(64)}
    assert Counting.asked < 64 * 15
