"""The names of full blocks: a keyed hash of everything a block's content depends on - who may
share it (the tenant), what computed it (the adapter), the block before it, and its own tokens. With
the same key, an engine and the front that chooses between engines come to the same names."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

from stoker.core.adapter import BASE
from stoker.core.ids import TokenId

Digest = bytes
DIGEST_BYTES = 16
Hash = Callable[[Digest, bytes], Digest]
"""(parent digest, block content) → digest."""


def keyed_hash(key: bytes) -> Hash:
    """Unpredictable without `key`: nobody can make a prompt that collides with another's."""

    def digest(parent: Digest, content: bytes) -> Digest:
        return blake2b(parent + content, digest_size=DIGEST_BYTES, key=key).digest()

    return digest


class Scope(NamedTuple):
    """Whose blocks they are: two scopes never share one."""

    tenant: str
    adapter: str = BASE

    def root(self, hash_block: Hash) -> Digest:
        """What stands for the block before the first ones."""
        tenant = hash_block(b"tenant", self.tenant.encode())
        if self.adapter == BASE:
            return tenant
        return hash_block(tenant, hash_block(b"adapter", self.adapter.encode()))


def following(
    hash_block: Hash, parent: Digest, content: bytes, block_bytes: int
) -> Iterator[Digest]:
    """Digests of the whole blocks of `content`, which comes after the block `parent`."""
    for end in range(block_bytes, len(content) + 1, block_bytes):
        parent = hash_block(parent, content[end - block_bytes : end])
        yield parent


def prompt_digests(
    hash_block: Hash, scope: Scope, tokens: Sequence[TokenId], block_size: int
) -> tuple[Digest, ...]:
    """Of a prompt's full blocks, as an engine with the same key knows them. Takes about 0.8 µs
    a block."""
    packed = array("i", tokens)
    root = scope.root(hash_block)
    return tuple(following(hash_block, root, packed.tobytes(), block_size * packed.itemsize))
