"""A front names a prompt's blocks as the engine does."""

from __future__ import annotations

from array import array

from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.kv.block_hash import Scope, keyed_hash, prompt_digests
from stoker.kv.prefix_cache import PrefixCache

HASH = keyed_hash(b"key")


@settings(max_examples=50, derandomize=True, database=None)
@given(
    tokens=st.lists(st.integers(0, 2**31 - 1), max_size=20),
    size=st.integers(1, 5),
    tenant=st.sampled_from(["", "a", "ü"]),
)
def test_front_and_engine_come_to_the_same_names(tokens: list[int], size: int, tenant: str) -> None:
    cache = PrefixCache(size, HASH)
    chain = cache.chain(Scope(tenant))
    cache.lookup(chain, array("i", tokens), 0)
    assert prompt_digests(HASH, Scope(tenant), tokens, size) == tuple(chain.digests)


def test_names_differ_by_tenant_and_key() -> None:
    tokens = range(8)
    known = prompt_digests(HASH, Scope("a"), tokens, 4)
    assert not set(known) & set(prompt_digests(HASH, Scope("b"), tokens, 4))
    assert not set(known) & set(prompt_digests(keyed_hash(b"other"), Scope("a"), tokens, 4))


def test_a_block_is_named_by_all_before_it() -> None:
    one, other = (
        prompt_digests(HASH, Scope(""), [1, 2, 3, 4], 2),
        prompt_digests(HASH, Scope(""), [9, 2, 3, 4], 2),
    )
    assert one[1] != other[1]
