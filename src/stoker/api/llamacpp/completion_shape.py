"""An answer in llama.cpp's form: an object for each text, or events that say where they belong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from stoker.api.answer import Collected
from stoker.api.assembler import TextDelta
from stoker.api.llamacpp.completion_schema import (
    LlamaCppCompletion,
    LlamaCppPart,
    Probability,
    Timings,
    TokenProbability,
    settings,
)
from stoker.api.llamacpp.schema import LlamaCppRequest
from stoker.api.openai.token_text import finite, token_text
from stoker.api.openai.usage import Usage
from stoker.api.plan import Plan
from stoker.api.sse import event
from stoker.core.ids import TokenId
from stoker.core.output import TokenLogprobs


class LlamaCppShape:
    def __init__(self, body: LlamaCppRequest, plan: Plan, *, in_list: bool) -> None:
        self._body = body
        self._plan = plan
        self._in_list = in_list
        self._so_far = [Collected() for _ in plan.job.choices]

    # --- streamed ---------------------------------------------------------------------------

    def opening(self, usage: Usage) -> bytes:
        return b""

    def events(self, batch: Sequence[TextDelta]) -> bytes:
        return b"".join(self._event(delta) for delta in batch)

    def closing(self, usage: Usage) -> bytes:
        return b""

    def _event(self, delta: TextDelta) -> bytes:
        so_far = self._so_far[delta.index]
        so_far.add(delta)
        if delta.finish_reason is not None:
            return event(self._last(delta.index, so_far, delta.text, delta.logprobs))
        if not (delta.text or delta.logprobs):
            return b""
        part = LlamaCppPart(
            index=delta.index,
            content=delta.text,
            tokens=self._tokens(delta.logprobs),
            tokens_predicted=delta.num_tokens,
            tokens_evaluated=len(self._plan.prompts[delta.index].token_ids),
            completion_probabilities=self._probabilities(delta.logprobs),
        )
        return event(part)

    # --- whole ------------------------------------------------------------------------------

    def whole(self, collected: Sequence[Collected], usage: Usage) -> bytes:
        answers = [
            self._last(index, one, one.text, one.logprobs) for index, one in enumerate(collected)
        ]
        return msgspec.json.encode(answers if self._in_list else answers[0])

    def _last(
        self, index: int, one: Collected, content: str, entries: Sequence[TokenLogprobs]
    ) -> LlamaCppCompletion:
        prompt, choice = self._plan.prompts[index], self._plan.job.choices[index]
        num_prompt = len(prompt.token_ids)
        return LlamaCppCompletion(
            index=index,
            content=content,
            tokens=self._tokens(entries),
            model=self._plan.service.name,
            prompt=prompt.text,
            generation_settings=settings(
                choice.request.sampling, choice.stops, stream=bool(self._body.stream)
            ),
            stop_type=_stop_type(one),
            stopping_word=one.stop or "",
            has_new_line="\n" in one.text,
            tokens_predicted=one.num_tokens,
            tokens_evaluated=num_prompt,
            tokens_cached=num_prompt + one.num_tokens,
            timings=self._timings(num_prompt, one),
            completion_probabilities=self._probabilities(entries),
        )

    def _timings(self, num_prompt: int, one: Collected) -> Timings:
        prompt_ms = 1000 * self._plan.timing.prompt
        answer_ms = 1000 * self._plan.timing.answer
        computed = num_prompt - one.num_cached_tokens
        later = max(0, one.num_tokens - 1)  # the time is that from the first token to the last
        return Timings(
            cache_n=one.num_cached_tokens,
            prompt_n=computed,
            prompt_ms=prompt_ms,
            prompt_per_token_ms=prompt_ms / max(1, computed),
            prompt_per_second=_per_second(computed, prompt_ms),
            predicted_n=one.num_tokens,
            predicted_ms=answer_ms,
            predicted_per_token_ms=answer_ms / max(1, later),
            predicted_per_second=_per_second(later, answer_ms),
        )

    # --- tokens -----------------------------------------------------------------------------

    def _tokens(self, entries: Sequence[TokenLogprobs]) -> list[TokenId]:
        return [entry.token_id for entry in entries] if self._body.return_tokens else []

    def _probabilities(
        self, entries: Sequence[TokenLogprobs]
    ) -> list[TokenProbability] | UnsetType:
        return [self._one(entry) for entry in entries] if self._body.n_probs else UNSET

    def _one(self, entry: TokenLogprobs) -> TokenProbability:
        own = self._probability(entry.token_id, entry.logprob)
        return TokenProbability(
            id=own.id,
            token=own.token,
            bytes=own.bytes,
            logprob=own.logprob,
            top_logprobs=[self._probability(token, logprob) for token, logprob in entry.top],
        )

    def _probability(self, token: TokenId, logprob: float) -> Probability:
        tokenizer = self._plan.tokenizer
        raw = list(tokenizer.token_bytes(token))
        return Probability(token, token_text(tokenizer, token), raw, finite(logprob))


def _stop_type(one: Collected) -> Literal["eos", "limit", "word"]:
    if one.stop is not None:
        return "word"
    return "limit" if one.finish_reason == "length" else "eos"


def _per_second(tokens: int, milliseconds: float) -> float:
    return 1000 * tokens / milliseconds if milliseconds > 0 else 0.0
