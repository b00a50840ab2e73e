"""From token deltas to text deltas of one sequence: characters, stop strings, log probabilities.

Whatever the split of the tokens into deltas, the joined text, the log probabilities and the count
are the same (invariant I08): every decision is made token by token.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import msgspec

from stoker.api.errors import error_named
from stoker.core.ids import TokenId
from stoker.core.output import Finish, FinishReason, TokenDelta, TokenLogprobs
from stoker.errors import DeadlineExceeded, Draining, StokerError
from stoker.text.calls.pieces import Piece
from stoker.text.detokenizer import Detokenizer
from stoker.text.stop import StopMatcher
from stoker.text.tokenizer import Tokenizer


class TextDelta(msgspec.Struct, frozen=True):
    """New text of one choice. The last one carries `finish_reason`."""

    index: int
    text: str = ""
    """For people to read: without reasoning and tool calls where those are told apart."""
    parts: tuple[Piece, ...] = ()
    """The text and what else there is, in order, where they are told apart."""
    logprobs: tuple[TokenLogprobs, ...] = ()
    """Of the tokens whose text is now delivered in full."""
    prompt_logprobs: tuple[TokenLogprobs, ...] = ()
    num_tokens: int = 0
    """Output tokens so far, those of a stop string included."""
    num_cached_tokens: int = 0
    finish_reason: str | None = None
    stop: str | None = None
    """The stop string that ended it, if one did."""


class TextAssembler:
    def __init__(
        self,
        tokenizer: Tokenizer,
        index: int,
        stops: Sequence[str] = (),
        min_tokens: int = 0,
        shown: Mapping[TokenId, str] | None = None,
    ) -> None:
        """`shown` are control tokens that become text all the same (text/calls/marks.py)."""
        self._detokenizer = Detokenizer(tokenizer, shown)
        self._matcher = StopMatcher(stops)
        self._has_stops = bool(stops)
        self._index = index
        self._min_tokens = min_tokens
        self._num_tokens = 0
        self._num_cached = 0
        self._produced = 0
        self._delivered = 0
        self._withheld: deque[tuple[int, int, TokenLogprobs]] = deque()
        """(first character, last character, log probability) of tokens not yet delivered."""

    def push(self, delta: TokenDelta) -> TextDelta:
        """Raises the error the engine ended the sequence with, if it did."""
        self._num_cached = max(self._num_cached, delta.num_cached_tokens)
        text, stop = self._take(delta)
        reason: str | None = None
        if stop is None and delta.finish is not None:
            reason = finish_reason(delta.finish)
            tail, stop = self._flush()
            text += tail
        stopped = stop is not None
        reason = "stop" if stopped else reason
        self._delivered += len(text)
        return TextDelta(
            self._index,
            text,
            (),
            self._released(everything=reason is not None and not stopped, cut=stopped),
            delta.prompt_logprobs,
            self._num_tokens,
            self._num_cached,
            reason,
            stop,
        )

    def _take(self, delta: TokenDelta) -> tuple[str, str | None]:
        """Text, and the stop string that cut it."""
        if not self._has_stops and not delta.logprobs:
            self._num_tokens += len(delta.token_ids)
            return self._detokenizer.push(delta.token_ids), None
        pieces = []
        for position, token in enumerate(delta.token_ids):
            piece, stop = self._take_one(token, delta, position)
            pieces.append(piece)
            if stop is not None:
                return "".join(pieces), stop
        return "".join(pieces), None

    def _take_one(self, token: TokenId, delta: TokenDelta, position: int) -> tuple[str, str | None]:
        text = self._detokenizer.push((token,))
        self._num_tokens += 1
        first, self._produced = self._produced, self._produced + len(text)
        if delta.logprobs:
            self._withheld.append((first, self._produced, delta.logprobs[position]))
        if self._num_tokens <= self._min_tokens:
            return text, None
        return self._matcher.push(text)

    def _flush(self) -> tuple[str, str | None]:
        text, stop = self._matcher.push(self._detokenizer.flush())
        return text + self._matcher.flush(), stop

    def _released(self, *, everything: bool, cut: bool) -> tuple[TokenLogprobs, ...]:
        """Log probabilities follow their text: none is shown of a token that a stop removed."""
        if not self._withheld:
            return ()
        ready = []
        while self._withheld:
            first, last, logprob = self._withheld[0]
            shown = last <= self._delivered or everything or (cut and first < self._delivered)
            if not shown:
                break
            ready.append(logprob)
            self._withheld.popleft()
        return tuple(ready)


def finish_reason(finish: Finish) -> str:
    """The OpenAI word for an ending. Raises the error for an ending that is a failure."""
    match finish.reason:
        case FinishReason.STOP:
            return "stop"
        case FinishReason.LENGTH:
            return "length"
        case FinishReason.DEADLINE:
            raise DeadlineExceeded("the deadline passed")
        case FinishReason.CANCELLED:
            raise Draining("cancelled at the end of the grace period")
        case FinishReason.ERROR:
            raise _reported(finish)


def _reported(finish: Finish) -> StokerError:
    return error_named(finish.error_code)
