"""How the next token is chosen: the frozen parameters of one sequence."""

from __future__ import annotations

import msgspec

GREEDY_TEMPERATURE = 1e-5
"""Temperatures below this are treated as zero: the most likely token, lowest id on a tie."""


class SamplingParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of one sequence. Nothing is checked here: see validation.py for what is allowed.

    Order of application, as in the sampler kernel: penalties and bias on raw logits, then
    temperature, top_k, top_p, min_p, then one draw keyed on (seed, position). Reported log
    probabilities are those of the raw logits, before any of these.
    """

    max_tokens: int = 16
    min_tokens: int = 0
    temperature: float = 1.0
    top_k: int = 0
    """Keep the k most likely tokens; 0 keeps all."""
    top_p: float = 1.0
    min_p: float = 0.0
    """Drop tokens less likely than min_p times the most likely one."""
    repetition_penalty: float = 1.0
    """Over prompt and output (Keskar et al. 2019)."""
    presence_penalty: float = 0.0
    """Over output only, once per distinct token."""
    frequency_penalty: float = 0.0
    """Over output only, per occurrence."""
    logit_bias: dict[int, float] = {}
    seed: int = 0
    """From 0 to 2^64 - 1. The front draws one when the client gives none, so a resumed stream stays
    exact."""
    logprobs: int | None = None
    """Number of most likely alternatives to report; 0 reports the chosen token alone."""
    prompt_logprobs: int | None = None
    """As `logprobs`, for the tokens of the prompt."""
    stop_token_ids: tuple[int, ...] = ()
    stop: str | tuple[str, ...] = ()
    """Strings that end the text and are not part of it. For the text layer: an engine, which knows
    tokens only, is cancelled when one is found."""
    ignore_eos: bool = False

    @property
    def greedy(self) -> bool:
        return self.temperature < GREEDY_TEMPERATURE

    @property
    def stops(self) -> tuple[str, ...]:
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    @property
    def needs_history(self) -> bool:
        """Whether the sampler must see the tokens so far."""
        return (
            self.repetition_penalty != 1.0
            or self.presence_penalty != 0.0
            or self.frequency_penalty != 0.0
        )
