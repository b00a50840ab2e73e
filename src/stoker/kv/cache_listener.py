"""Who is told what a prefix cache gains and loses."""

from __future__ import annotations

from typing import Protocol

from stoker.kv.block_hash import Digest


class CacheListener(Protocol):
    def stored(self, parent: Digest, digest: Digest) -> None:
        """A block can be found now. `parent` is empty for a prompt's first one."""
        ...

    def removed(self, digest: Digest) -> None:
        """It cannot be found any more, and neither can those after it."""
        ...


class Unheard:
    """Where nobody listens."""

    def stored(self, parent: Digest, digest: Digest) -> None: ...

    def removed(self, digest: Digest) -> None: ...
