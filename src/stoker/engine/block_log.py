"""What an engine's prefix cache gained and lost since the front was last told."""

from __future__ import annotations

from stoker.engine.interface import BlockEvent
from stoker.kv.block_hash import Digest


class BlockLog:
    """A CacheListener. Taken after every step, it holds no more than one step can change."""

    def __init__(self) -> None:
        self._events: list[BlockEvent] = []
        self._removed: list[Digest] = []
        self._parent = b""
        self._run: list[Digest] = []

    def stored(self, parent: Digest, digest: Digest) -> None:
        if self._run and self._run[-1] != parent:
            self._close()
        if not self._run:
            self._parent = parent
        self._run.append(digest)

    def removed(self, digest: Digest) -> None:
        if self._run:
            self._close()
        self._removed.append(digest)

    def take(self) -> tuple[BlockEvent, ...]:
        """Everything since the last call, in order."""
        if not self._run and not self._removed:
            return ()  # as after most steps: then nothing was closed either
        self._close()
        events, self._events = self._events, []
        return tuple(events)

    def _close(self) -> None:
        self._events.append(BlockEvent(tuple(self._removed), self._parent, tuple(self._run)))
        self._removed, self._parent, self._run = [], b"", []
