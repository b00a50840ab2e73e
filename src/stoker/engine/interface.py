"""The handle to an engine that everything above it uses, wherever the engine runs."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from stoker.core.abilities import DECODER, Abilities
from stoker.core.ids import RequestId
from stoker.core.output import TokenDelta
from stoker.core.request import Request


class EngineState(enum.Enum):
    LOADING = "loading"
    READY = "ready"
    STUCK = "stuck"
    """A step has run far longer than steps do; a restart is under way."""
    RESTARTING = "restarting"
    SLEEPING = "sleeping"
    """Only the weights are in memory. The next request wakes it, within a second or so."""
    DRAINING = "draining"
    STOPPED = "stopped"


class EngineInfo(msgspec.Struct, frozen=True):
    """What a loaded engine can do. Constant between restarts."""

    max_context: int
    """Most tokens of one sequence: the model's limit or the KV pool's, whichever is less."""
    vocab_size: int
    block_size: int
    num_blocks: int
    max_running: int
    weight_bytes: int
    kv_bytes: int
    kernels: str
    """The instruction set the kernels run on, e.g. 'avx512_vnni'."""
    max_requests: int
    """Most that are held at once, running and waiting."""
    abilities: Abilities = DECODER


class EngineLoad(msgspec.Struct, frozen=True):
    """A snapshot for health, metrics and balancing."""

    num_running: int = 0
    num_waiting: int = 0
    waiting_tokens: int = 0
    used_blocks: int = 0
    """Blocks that sequences hold; cached-but-free ones are not counted."""
    cached_blocks: int = 0
    total_blocks: int = 0
    num_steps: int = 0
    num_preemptions: int = 0
    prefix_queried_tokens: int = 0
    prefix_hit_tokens: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    """Of the drafted ones."""
    step_seconds: float = 0.0
    """Total time spent in steps."""
    num_masks: int = 0
    """Tokens drawn under a constraint."""
    mask_seconds: float = 0.0
    """Total time spent on finding what these could be, most of it while steps ran."""
    broken_invariants: int = 0
    """Must read zero."""


class BlockEvent(msgspec.Struct, frozen=True, array_like=True):
    """A change of what an engine has cached: first some blocks went, then some came."""

    removed: tuple[bytes, ...] = ()
    """Digests; see kv/block_hash.py. What came after such a block cannot be found any more."""
    parent: bytes = b""
    """The block that the first of `stored` comes after; empty: it begins a prompt."""
    stored: tuple[bytes, ...] = ()
    """Each comes after the one before it."""


class BlockListener(Protocol):
    """Is told what one engine has cached, by an engine with a `cache_key`."""

    def changed(self, events: Sequence[BlockEvent]) -> None: ...

    def lost(self) -> None:
        """All of it: the engine died, or gave its memory back."""
        ...


@runtime_checkable
class BlockSource(Protocol):
    """A backend that can say what its engine has cached."""

    def listen(self, listener: BlockListener) -> None:
        """From now on `listener` is told. To be called before the first request."""
        ...


class Backend(Protocol):
    """Submit → stream of deltas. Implemented by the client of an engine process, by an engine in
    the same process, and later by remote replicas."""

    @property
    def info(self) -> EngineInfo:
        """Raises Loading before the first load finished."""
        ...

    @property
    def state(self) -> EngineState: ...

    @property
    def load(self) -> EngineLoad: ...

    @property
    def num_restarts(self) -> int:
        """Engines that had to be replaced so far."""
        ...

    def submit(self, request: Request) -> AsyncIterator[TokenDelta]:
        """Streams deltas; the last one carries `finish`, after which iteration ends.

        Closing the iterator early (aclose, or cancellation of the consumer) cancels the request.
        Raises before the first delta: ContextLengthExceeded when it can never fit, Overloaded,
        Loading, NoCapacity, Draining. A stream whose engine dies is resumed on the restarted
        engine without the consumer noticing more than a pause; when that is impossible the last
        delta's finish has reason ERROR and code 'replica_lost'.
        """
        ...

    def cancel(self, request_id: RequestId) -> None:
        """Asks for an early end; the stream still gets its one ending. Unknown ids are ignored."""
        ...

    async def drain(self, grace: float) -> None:
        """Refuses new requests, lets running ones finish for `grace` seconds, cancels the rest."""
        ...

    async def close(self) -> None: ...
