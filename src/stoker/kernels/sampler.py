"""The native sampler on one row, for tests and tools. A step samples inside the native core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stoker.core.ids import TokenId
from stoker.core.output import TokenLogprobs
from stoker.core.sampling import SamplingParams
from stoker.kernels import _native

DRAW = -1
"""Target of a row whose token is to be drawn."""


@dataclass(frozen=True, slots=True)
class SampleOutcome:
    token: TokenId | None
    """None when the row held a NaN or plus infinity, or no token was allowed."""
    logprobs: TokenLogprobs | None = None
    """Under the raw logits; present when the parameters ask for log probabilities."""


def sample_row(
    logits: NDArray[np.float32],
    sampling: SamplingParams,
    *,
    position: int,
    history: Sequence[TokenId] = (),
    num_prompt_tokens: int = 0,
    target: int = DRAW,
    allowed: NDArray[np.uint32] | None = None,
) -> SampleOutcome:
    """Draws the token at `position`, or reports on `target` (as a prompt token) when given.

    `allowed` has a bit per token, lowest first. Raises ValueError for an id outside the vocabulary.
    """
    wanted = sampling.logprobs if target == DRAW else sampling.prompt_logprobs
    mask = np.empty(0, dtype=np.uint32) if allowed is None else allowed
    token, logprob, rank, finite, top_ids, top_logprobs = _native.sample_row(
        logits,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        min_p=sampling.min_p,
        repetition_penalty=sampling.repetition_penalty,
        presence_penalty=sampling.presence_penalty,
        frequency_penalty=sampling.frequency_penalty,
        seed=sampling.seed,
        position=position,
        history=np.array(history if sampling.needs_history else (), dtype=np.int32),
        num_prompt_tokens=num_prompt_tokens,
        bias_ids=np.array(list(sampling.logit_bias), dtype=np.int32),
        bias_values=np.array(list(sampling.logit_bias.values()), dtype=np.float32),
        num_logprobs=-1 if wanted is None else wanted,
        target=target,
        allowed=mask,
    )
    if not finite:
        return SampleOutcome(None)
    if wanted is None:
        return SampleOutcome(token)
    found = zip(top_ids.tolist(), top_logprobs.tolist(), strict=True)
    top = tuple((other, value) for other, value in found if other >= 0)
    return SampleOutcome(token, TokenLogprobs(token, logprob, rank, top))
