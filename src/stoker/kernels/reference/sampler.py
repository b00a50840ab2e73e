"""The sampler in plain NumPy: every filter as its definition says, over the whole vocabulary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stoker.core.ids import TokenId
from stoker.core.output import TokenLogprobs
from stoker.core.sampling import SamplingParams
from stoker.kernels.reference.arrays import Floats
from stoker.kernels.reference.random import uniform
from stoker.kernels.sampler import DRAW, SampleOutcome

Doubles = NDArray[np.float64]
Order = NDArray[np.int64]


def sample_row(
    logits: Floats,
    sampling: SamplingParams,
    *,
    position: int,
    history: Sequence[TokenId] = (),
    num_prompt_tokens: int = 0,
    target: int = DRAW,
    allowed: NDArray[np.uint32] | None = None,
) -> SampleOutcome:
    """The contract of stoker.kernels.sampler.sample_row."""
    if not sound(logits):
        return SampleOutcome(None)
    wanted = sampling.prompt_logprobs
    token = target
    if target == DRAW:
        wanted = sampling.logprobs
        changed = mask(adjust(logits, sampling, history, num_prompt_tokens), allowed)
        if not sound(changed):
            return SampleOutcome(None)
        token = choose(changed, sampling, uniform(sampling.seed, position))
    return SampleOutcome(token, None if wanted is None else report(logits, token, wanted))


def sound(logits: Floats) -> bool:
    """Minus infinity is a token that cannot be; a row needs one that can."""
    return bool(np.all(logits < np.inf) and np.any(logits > -np.inf))


def adjust(
    logits: Floats, sampling: SamplingParams, history: Sequence[TokenId], num_prompt_tokens: int
) -> Floats:
    """Penalties, then bias. Repetition looks at prompt and output, the others at output only."""
    out = logits.copy()
    if sampling.needs_history:
        produced = Counter(history[num_prompt_tokens:])
        for token in set(history):
            logit = out[token]
            repetition = np.float32(sampling.repetition_penalty)
            logit = logit / repetition if logit > 0 else logit * repetition
            logit -= np.float32(produced[token]) * np.float32(sampling.frequency_penalty)
            logit -= np.float32(sampling.presence_penalty if produced[token] else 0.0)
            out[token] = logit
    for token, value in sampling.logit_bias.items():
        out[token] += np.float32(value)
    return out


def mask(logits: Floats, allowed: NDArray[np.uint32] | None) -> Floats:
    if allowed is None:
        return logits
    bits = np.unpackbits(allowed.view(np.uint8), bitorder="little")[: len(logits)]
    return np.where(bits == 1, logits, np.float32(-np.inf))


def choose(logits: Floats, sampling: SamplingParams, u: float) -> TokenId:
    """The token whose share of the kept probability, in order of id, holds the number u."""
    if sampling.greedy:
        return int(np.argmax(logits))
    kept = keep(logits, sampling)
    weights = np.zeros(len(logits))
    weights[kept] = weigh(logits, sampling)[kept]
    sums = np.cumsum(weights)
    return int(np.searchsorted(sums, u * sums[-1], side="right"))


def keep(logits: Floats, sampling: SamplingParams) -> Order:
    """Ids that survive top_k, top_p and min_p, the heaviest first."""
    order: Order = np.argsort(-logits, kind="stable")
    order = order[: sampling.top_k or None]
    weights = weigh(logits, sampling)[order]
    if sampling.top_p < 1.0:
        before = np.cumsum(weights) - weights
        inside = before < float(np.float32(sampling.top_p)) * weights.sum()
        inside[0] = True
        order = order[inside]
    return order[weights[: len(order)] >= float(np.float32(sampling.min_p))]


def weigh(logits: Floats, sampling: SamplingParams) -> Doubles:
    """Probabilities times the same factor for all: 1 for the most likely."""
    wide = logits.astype(np.float64)
    weights: Doubles = np.exp((wide - wide.max()) / np.float32(sampling.temperature))
    return weights


def report(raw: Floats, token: TokenId, num_alternatives: int) -> TokenLogprobs:
    """What the raw logits say of the token and of the most likely ones."""
    wide = raw.astype(np.float64)
    logprobs = wide - wide.max() - np.log(np.exp(wide - wide.max()).sum())
    order = np.argsort(-raw, kind="stable")[:num_alternatives]
    top = tuple((int(other), float(logprobs[other])) for other in order if raw[other] > -np.inf)
    rank = 1 + int(np.count_nonzero(raw > raw[token]))
    return TokenLogprobs(token, float(logprobs[token]), rank, top)
