"""One request inside the engine: its tokens, how far they are computed, and its blocks."""

from __future__ import annotations

import enum
import math
from array import array
from collections.abc import Sequence as Items

import msgspec

from stoker.core.ids import BlockId, TokenId
from stoker.core.output import Finish, FinishReason, TokenDelta, TokenLogprobs
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.errors import UnsupportedConstraint
from stoker.kv.prefix_cache import Chain
from stoker.scheduler.guide import Guide
from stoker.scheduler.plan import SequenceSlice
from stoker.scheduler.speculation import Acceptance, Wish, num_drafts

NEVER = -1e30
"""Bias that keeps a token from being drawn without making its logit infinite."""


class SequenceState(enum.Enum):
    WAITING = "waiting"
    RUNNING = "running"
    PREEMPTED = "preempted"
    """Waiting again, ahead of those that never ran; its blocks are gone."""
    FINISHED = "finished"


_LEGAL = {
    SequenceState.WAITING: {SequenceState.RUNNING, SequenceState.FINISHED},
    SequenceState.RUNNING: {SequenceState.PREEMPTED, SequenceState.FINISHED},
    SequenceState.PREEMPTED: {SequenceState.RUNNING, SequenceState.FINISHED},
    SequenceState.FINISHED: set(),
}


class Sequence:
    """Mutable, owned by the scheduler. `num_computed` catches up with `len(tokens)`."""

    def __init__(
        self,
        request: Request,
        arrival: int,
        now: float,
        chain: Chain,
        stops: frozenset[TokenId],
        guide: Guide | None = None,
    ) -> None:
        self.request = request
        self.guide = guide
        """Kept through preemption: it depends on the tokens, not on what is computed."""
        self.arrival = arrival
        self.arrived = now
        self.queued_seconds = 0.0
        self.deadline = math.inf if request.timeout is None else now + request.timeout
        self.tokens = array("i", request.prompt_token_ids + request.output_token_ids)
        """Packed, so that an executor's batch takes any run of them at once."""
        self.stop_token_ids = stops
        self.num_computed = 0
        self.num_scored = 1 if not request.output_token_ids else len(self.tokens)
        """Prompt positions before this one were scored already (the first has no score)."""
        self.num_cached = 0
        self.blocks: list[BlockId] = []
        self.chain = chain
        self.state = SequenceState.WAITING
        self.announced = bool(request.output_token_ids)
        """Whether a first delta, with the number of cached tokens, was sent."""
        self.acceptance = Acceptance()
        self._early = _without(request.sampling, stops)

    @property
    def num_prompt(self) -> int:
        return len(self.request.prompt_token_ids)

    @property
    def num_output(self) -> int:
        return len(self.tokens) - self.num_prompt

    @property
    def num_missing(self) -> int:
        """Tokens still to be computed."""
        return len(self.tokens) - self.num_computed

    @property
    def decoding(self) -> bool:
        """Only its newest token is missing: it waits for one token, not for its prompt."""
        return self.num_missing == 1 and self.num_computed > 0

    @property
    def sampling(self) -> SamplingParams:
        sampling = self.request.sampling
        return self._early if self.num_output < sampling.min_tokens else sampling

    @property
    def scores_prompt(self) -> bool:
        return (
            self.request.sampling.prompt_logprobs is not None and self.num_scored < self.num_prompt
        )

    def num_drafts(self, share: float, row: float) -> int:
        """How many guesses pay, at its `share` of a step's seconds and a `row`'s. None while the
        sampling parameters are to change, and never more than it may still have tokens."""
        sampling = self.request.sampling
        if self.num_output < sampling.min_tokens:
            return 0
        left = sampling.max_tokens - self.num_output - 1
        return min(num_drafts(self.acceptance.rate, share, row), left)

    def wish(self, count: int) -> Wish:
        return Wish(
            request_id=self.request.request_id,
            tokens=self.tokens,
            count=count,
            block_table=self.blocks,
            left=self.request.sampling.max_tokens - self.num_output,
            num_prompt_tokens=self.num_prompt,
            sampling=self.sampling,
        )

    def slice(self, count: int, num_blocks: int, drafts: tuple[TokenId, ...]) -> SequenceSlice:
        """Its share of a step that computes `count` more tokens, and guesses behind them."""
        end = self.num_computed + count
        return SequenceSlice(
            request_id=self.request.request_id,
            tokens=self.tokens,
            start=self.num_computed,
            count=count,
            block_table=self.blocks[:num_blocks],
            num_prompt_tokens=self.num_prompt,
            sampling=self.sampling,
            samples=end == len(self.tokens),
            score_from=self.num_scored,
            guide=self.guide,
            drafts=drafts,
            pooling=self.request.pooling,
            second_part=self.request.second_part,
            adapter=self.request.adapter,
        )

    def extend(self, drawn: Items[TokenId]) -> tuple[int, Finish | None]:
        """Takes what was drawn up to its end, if that is among it. Returns how many it kept, which
        a stop token is not one of, and the ending."""
        limits = self.request.sampling
        for number, token in enumerate(drawn):
            if self.num_output >= limits.min_tokens and token in self.stop_token_ids:
                return number, Finish(FinishReason.STOP, stop_token_id=token)
            self.tokens.append(token)
            finish = self._guided(token)
            if finish is None and self.num_output >= limits.max_tokens:
                finish = Finish(FinishReason.LENGTH)
            if finish is not None:
                return number + 1, finish
        return len(drawn), None

    def _guided(self, token: TokenId) -> Finish | None:
        """The ending, if its constraint brings one about. Where nothing may follow, the end token
        need not be computed."""
        if self.guide is None:
            return None
        self.guide.advance(token)
        if self.guide.failed:
            return Finish(FinishReason.ERROR, error_code=UnsupportedConstraint.code)
        return Finish(FinishReason.STOP) if self.guide.complete else None

    def move_to(self, state: SequenceState) -> None:
        """Raises AssertionError for a change that is not in the table (invariant I04)."""
        assert state in _LEGAL[self.state], f"{self.state} → {state} is not legal"
        self.state = state

    def delta(
        self,
        token_ids: tuple[TokenId, ...] = (),
        logprobs: tuple[TokenLogprobs, ...] = (),
        prompt_logprobs: tuple[TokenLogprobs, ...] = (),
        finish: Finish | None = None,
        pooled: bytes = b"",
    ) -> TokenDelta:
        """What there is to deliver. The first delta also says how the prompt fared."""
        first, self.announced = not self.announced, True
        return TokenDelta(
            self.request.request_id,
            token_ids,
            logprobs,
            prompt_logprobs,
            num_cached_tokens=self.num_cached if first else 0,
            queued_seconds=self.queued_seconds if first else 0.0,
            pooled=pooled,
            finish=finish,
        )


def _without(sampling: SamplingParams, stops: frozenset[TokenId]) -> SamplingParams:
    """The parameters while `min_tokens` forbids an end."""
    if not sampling.min_tokens:
        return sampling
    bias = dict(sampling.logit_bias) | dict.fromkeys(stops, NEVER)
    return msgspec.structs.replace(sampling, logit_bias=bias)
