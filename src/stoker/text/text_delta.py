"""From tokens to text for programs: whole characters, up to the first stop string."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stoker.core.ids import TokenId
from stoker.core.output import FinishReason, TokenDelta, TokenLogprobs
from stoker.core.sampling import SamplingParams
from stoker.text.detokenizer import Detokenizer
from stoker.text.stop import StopMatcher
from stoker.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class TextDelta:
    """New text of one answer."""

    text: str
    token_ids: tuple[TokenId, ...]
    """Those of a stop string are among them, though its text is not."""
    logprobs: tuple[TokenLogprobs, ...]
    finish_reason: FinishReason | None
    """Set on the last delta."""
    error_code: str | None = None
    num_cached_tokens: int = 0


class TextReader:
    """Reads the deltas of one sequence. Decides token by token, so how the tokens were split into
    deltas changes nothing. The first `min_tokens` tokens end no answer, whatever they spell."""

    def __init__(self, tokenizer: Tokenizer, sampling: SamplingParams) -> None:
        self._detokenizer = Detokenizer(tokenizer)
        self._matcher = StopMatcher(sampling.stops)
        self._exempt = sampling.min_tokens
        self._stopped = False

    def read(self, delta: TokenDelta) -> TextDelta:
        """After one with a finish reason, which a stop string gives too, there must be no other."""
        text, count = self._take(delta.token_ids)
        finish = delta.finish
        if finish is not None and not self._stopped:
            self._exempt = 0
            text += self._matched(self._detokenizer.flush()) + self._matcher.flush()
        reason = None if finish is None else finish.reason
        return TextDelta(
            text,
            delta.token_ids[:count],
            delta.logprobs[:count],
            FinishReason.STOP if self._stopped else reason,
            None if self._stopped or finish is None else finish.error_code,
            delta.num_cached_tokens,
        )

    def _take(self, tokens: Sequence[TokenId]) -> tuple[str, int]:
        """Text, and how many of the tokens are part of the answer."""
        pieces = []
        for count, token in enumerate(tokens, 1):
            pieces.append(self._matched(self._detokenizer.push((token,))))
            if self._stopped:
                return "".join(pieces), count
        return "".join(pieces), len(tokens)

    def _matched(self, text: str) -> str:
        if self._exempt:
            self._exempt -= 1
            return text
        found = self._matcher.push(text)
        self._stopped = found.matched is not None
        return found.text
