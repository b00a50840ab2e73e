"""An answer in the form of text-generation-inference: one object, or an event for each token."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from stoker.api.answer import Collected
from stoker.api.assembler import TextDelta
from stoker.api.openai.usage import Usage
from stoker.api.plan import Plan
from stoker.api.sse import event
from stoker.api.tgi.generated_tokens import end_token, generated, likeliest, prefill
from stoker.api.tgi.schema import (
    Generated,
    GeneratedDetails,
    GeneratedEvent,
    GeneratedToken,
    Parameters,
    StreamDetails,
)
from stoker.api.token_pieces import TokenPieces
from stoker.core.output import TokenLogprobs


class GeneratedShape:
    def __init__(self, plan: Plan, asked: Parameters, before: str, *, in_list: bool) -> None:
        """`before` is what the whole text begins with: the prompt, where that is wanted."""
        self._plan = plan
        self._tokenizer = plan.tokenizer
        self._asked = asked
        self._before = before
        self._in_list = in_list
        self._pieces = TokenPieces(plan.tokenizer)
        self._collected = Collected()
        self._index = 0
        self._last: GeneratedEvent | None = None

    # --- streamed ---------------------------------------------------------------------------

    def opening(self, usage: Usage) -> bytes:
        return b""

    def events(self, batch: Sequence[TextDelta]) -> bytes:
        return b"".join(event(one) for delta in batch for one in self._tokens(delta))

    def closing(self, usage: Usage) -> bytes:
        last = self._last or self._event(end_token(self._tokenizer), UNSET)
        rest = self._pieces.rest()
        one = self._collected
        details = StreamDetails(
            _reason(one), usage.completion_tokens, self._seed, usage.prompt_tokens
        )
        return event(
            replace(
                last,
                token=replace(last.token, text=last.token.text + rest),
                generated_text=self._before + one.text,
                details=details if self._asked.details else None,
            )
        )

    def _tokens(self, delta: TextDelta) -> list[GeneratedEvent]:
        """The last one of an answer is kept for its end."""
        self._collected.add(delta)
        self._pieces.deliver(delta.text)
        tokens = generated(self._tokenizer, self._pieces, delta.logprobs)
        made = [
            self._event(token, self._likeliest(entry))
            for token, entry in zip(tokens, delta.logprobs, strict=True)
        ]
        if delta.finish_reason is not None and made:
            self._last = made.pop()
        return made

    def _event(
        self, token: GeneratedToken, top: list[GeneratedToken] | UnsetType
    ) -> GeneratedEvent:
        self._index += 1
        return GeneratedEvent(index=self._index, token=token, top_tokens=top)

    # --- whole ------------------------------------------------------------------------------

    def whole(self, collected: Sequence[Collected], usage: Usage) -> bytes:
        (one,) = collected
        details = self._details(one, usage) if self._asked.details else None
        answer = Generated(self._before + one.text, details)
        return msgspec.json.encode([answer] if self._in_list else answer)

    def _details(self, one: Collected, usage: Usage) -> GeneratedDetails:
        self._pieces.deliver(one.text)
        (prompt,) = self._plan.prompts
        wanted = self._asked.top_n_tokens
        return GeneratedDetails(
            finish_reason=_reason(one),
            generated_tokens=usage.completion_tokens,
            seed=self._seed,
            prefill=prefill(self._tokenizer, prompt.token_ids, one.prompt_logprobs),
            tokens=self._with_rest(list(generated(self._tokenizer, self._pieces, one.logprobs))),
            top_tokens=[likeliest(self._tokenizer, each) for each in one.logprobs]
            if wanted
            else UNSET,
        )

    def _with_rest(self, tokens: list[GeneratedToken]) -> list[GeneratedToken]:
        """The last one has what belongs to none."""
        *before, last = tokens or [end_token(self._tokenizer)]
        return [*before, replace(last, text=last.text + self._pieces.rest())]

    def _likeliest(self, entry: TokenLogprobs) -> list[GeneratedToken] | UnsetType:
        return likeliest(self._tokenizer, entry) if self._asked.top_n_tokens else UNSET

    @property
    def _seed(self) -> int | None:
        sampling = self._plan.job.choices[0].request.sampling
        return None if sampling.greedy else sampling.seed


def _reason(one: Collected) -> str:
    if one.finish_reason == "length":
        return "length"
    return "eos_token" if one.stop is None else "stop_sequence"
