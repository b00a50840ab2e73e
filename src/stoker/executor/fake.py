"""An executor without a model: exact, fast, and unforgiving. For tests, clients and the simulator.

Tokens are a hash of everything so far, so they depend on the sequence and its seed alone. Keys and
values are simulated: each block slot remembers which prefix was written there, and a step that
reads a slot holding anything else raises, which is how a scheduler's mistake shows.
"""

from __future__ import annotations

import os
import signal
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from stoker.core.abilities import Abilities
from stoker.core.adapter import BASE, AdapterSource
from stoker.core.ids import BlockId, TokenId
from stoker.core.output import TokenLogprobs
from stoker.core.pooling import Pooling
from stoker.errors import UnsupportedConstraint
from stoker.executor.interface import (
    MemoryPlan,
    SliceResult,
    StepHandle,
    StepResult,
    num_drawn,
)
from stoker.model.adapter_files import check_unchanged
from stoker.scheduler.plan import SequenceSlice, StepPlan

FAKE = Abilities(hidden_size=8)
NOTHING = -1
"""What is drawn where no token is allowed."""
Cost = Callable[[StepPlan], float]
"""Simulated seconds of a step."""


def linear_cost(fixed: float = 0.002, per_token: float = 0.00005) -> Cost:
    return lambda plan: fixed + per_token * plan.num_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeOptions:
    num_blocks: int = 256
    block_size: int = 16
    max_context: int = 4096
    vocab_size: int = 1000
    max_step_tokens: int = 2048
    max_step_sequences: int = 64
    abilities: Abilities = FAKE
    load_seconds: float = 0.0
    step_seconds: float = 0.0
    """Real time each step takes, for tests that need a stream to be under way."""
    token_seconds: float = 0.0
    """Real time each token of a step takes besides."""
    deadly_token: TokenId | None = None
    """Computing it ends the process, as a defect of native code would."""


class FakeExecutor:
    def __init__(self, options: FakeOptions, cost: Cost | None = None) -> None:
        self.options = options
        self._cost = cost or linear_cost()
        self._slots: dict[tuple[BlockId, int], bytes] = {}
        self._results: dict[StepHandle, StepResult] = {}
        self._submitted = 0
        self._released = False
        self._adapters = {BASE}

    def load(self) -> MemoryPlan:
        options = self.options
        if options.load_seconds:
            time.sleep(options.load_seconds)
        return MemoryPlan(
            num_blocks=options.num_blocks,
            block_size=options.block_size,
            max_context=options.max_context,
            max_step_tokens=options.max_step_tokens,
            max_step_sequences=options.max_step_sequences,
            weight_bytes=0,
            kv_bytes=0,
            depth=1,
        )

    def submit(self, plan: StepPlan) -> StepHandle:
        seconds = self.options.step_seconds + self.options.token_seconds * plan.num_tokens
        if seconds:
            time.sleep(seconds)
        self._refuse_too_much(plan)
        self._submitted += 1
        handle = StepHandle(self._submitted)
        slices = tuple(self._compute(piece) for piece in plan.slices)
        self._results[handle] = StepResult(slices, self._cost(plan) + seconds)
        return handle

    def collect(self, handle: StepHandle) -> StepResult:
        return self._results.pop(handle)

    def copy_blocks(self, pairs: list[tuple[BlockId, BlockId]]) -> None:
        for source, target in pairs:
            for slot in range(self.options.block_size):
                self._slots[target, slot] = self._slots.get((source, slot), b"")

    def load_adapter(self, source: AdapterSource, most_bytes: int) -> None:
        check_unchanged(source, most_bytes)
        self._adapters.add(source.key)

    def unload_adapter(self, key: str) -> None:
        self._adapters.remove(key)

    def release_kv(self) -> None:
        self._slots.clear()
        self._released = True

    def restore_kv(self) -> None:
        self._released = False

    def close(self) -> None:
        self._slots.clear()

    def _refuse_too_much(self, plan: StepPlan) -> None:
        if self._released:
            raise RuntimeError("a step came between release_kv and restore_kv")
        tokens, sequences = plan.num_tokens, len(plan.slices)
        if tokens > self.options.max_step_tokens or sequences > self.options.max_step_sequences:
            raise RuntimeError(f"{tokens} tokens of {sequences} sequences are too much for a step")

    def _compute(self, piece: SequenceSlice) -> SliceResult:
        tokens = [*piece.tokens[: piece.end], *piece.drafts]
        if piece.adapter not in self._adapters:
            raise RuntimeError(f"adapter '{piece.adapter}' is not loaded")
        state = _start(piece.adapter)
        scores = []
        drawn: list[tuple[TokenId, bytes]] = []
        masks = iter(_masks(piece))
        for position, token in enumerate(tokens):
            self._die_of(token)
            state = _step(state, token)
            self._keep(piece, position, state)
            if position + 1 in piece.scored_positions:
                scores.append(_logprobs(piece.tokens[position + 1], state))
            if piece.samples and position >= piece.end - 1:
                wish = draw(state, piece.sampling.seed, self.options.vocab_size)
                drawn.append((_allowed(wish, next(masks)), state))
        if piece.pooling is not None and piece.samples:
            return SliceResult(pooled=_vector(state, self._width(piece.pooling)))
        if not piece.samples or piece.pooling is not None:
            return SliceResult(prompt_logprobs=tuple(scores))
        taken = drawn[: num_drawn(piece.drafts, [token for token, _ in drawn])]
        if taken[0][0] == NOTHING:
            return SliceResult(error_code=UnsupportedConstraint.code)
        wanted = piece.sampling.logprobs is not None
        return SliceResult(
            tokens=tuple(token for token, _ in taken),
            logprobs=tuple(_logprobs(token, state) for token, state in taken) if wanted else (),
            prompt_logprobs=tuple(scores),
        )

    def _width(self, pooling: Pooling) -> int:
        abilities = self.options.abilities
        return abilities.labels if pooling is Pooling.LABELS else abilities.hidden_size

    def _die_of(self, token: TokenId) -> None:
        if token == self.options.deadly_token:
            os.kill(os.getpid(), signal.SIGKILL)

    def _keep(self, piece: SequenceSlice, position: int, state: bytes) -> None:
        size = self.options.block_size
        slot = (piece.block_table[position // size], position % size)
        if position >= piece.start:
            self._slots[slot] = state
        elif self._slots.get(slot) != state:
            raise RuntimeError(
                f"{piece.request_id}: position {position} holds other keys and values"
            )


def _masks(piece: SequenceSlice) -> Sequence[bytes]:
    if piece.guide is None or not piece.samples:
        return [b""] * (1 + len(piece.drafts))
    return piece.guide.masks(piece.drafts)


def _allowed(wish: TokenId, mask: bytes) -> TokenId:
    """The first token from `wish` on, and then from 0 on, that the mask allows; an empty one
    allows all."""
    if not mask:
        return wish
    bits = int.from_bytes(mask, "little")
    beyond = bits >> wish
    if beyond:
        return wish + (beyond & -beyond).bit_length() - 1
    return (bits & -bits).bit_length() - 1


def expected_tokens(
    prompt: tuple[TokenId, ...],
    seed: int,
    count: int,
    vocab_size: int = 1000,
    adapter: str = BASE,
) -> list[TokenId]:
    """What the executor gives a sequence alone, without stops."""
    state = _start(adapter)
    for token in prompt:
        state = _step(state, token)
    tokens = []
    for _ in range(count):
        tokens.append(draw(state, seed, vocab_size))
        state = _step(state, tokens[-1])
    return tokens


def _start(adapter: str) -> bytes:
    return b"start" if adapter == BASE else blake2b(adapter.encode(), digest_size=8).digest()


def draw(state: bytes, seed: int, vocab_size: int) -> TokenId:
    digest = blake2b(state, digest_size=8, key=seed.to_bytes(8, "little", signed=False)).digest()
    return int.from_bytes(digest, "little") % vocab_size


def _vector(state: bytes, size: int) -> bytes:
    """A hash of all tokens, whatever the pooling."""
    numbers = ((state[i % len(state)] - 127.5) / 128.0 + i for i in range(size))
    return struct.pack(f"<{size}f", *numbers)


def _step(state: bytes, token: TokenId) -> bytes:
    return blake2b(token.to_bytes(4, "little"), digest_size=8, key=state).digest()


def _logprobs(token: TokenId, state: bytes) -> TokenLogprobs:
    return TokenLogprobs(token, -(state[0] + 1) / 64.0, 1 + state[1] % 8)
