"""Tokens to text: the same whatever the split (I08)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.api.assembler import TextAssembler, TextDelta
from stoker.core.ids import RequestId
from stoker.core.output import Finish, FinishReason, TokenDelta, TokenLogprobs
from stoker.errors import DeadlineExceeded, Draining, InternalError, NumericalError, ReplicaLost
from stoker.text.detokenizer import Detokenizer
from tests.support.text import tiny_text, vocab_size

TOKENIZER = tiny_text().tokenizer
COMMON = sorted(
    {token for text in ("abthe n", "é€") for token in TOKENIZER.encode(text)}
    | {token for letter in "abthen" for token in TOKENIZER.encode(letter)}
)
"""Tokens that the stop strings below are made of, and pieces of characters."""
TOKENS = st.lists(st.sampled_from(COMMON), max_size=40) | st.lists(
    st.integers(0, vocab_size() - 1), max_size=40
)
LENGTH = Finish(FinishReason.LENGTH)


def deltas(tokens: Sequence[int], cuts: Sequence[int], *, logprobs: bool) -> list[TokenDelta]:
    """The tokens cut into deltas, the last of which carries the ending."""
    edges = [0, *sorted(cut % (len(tokens) + 1) for cut in cuts), len(tokens)]
    pieces = [tokens[a:b] for a, b in itertools.pairwise(edges)]
    return [
        TokenDelta(
            RequestId("a"),
            tuple(piece),
            tuple(TokenLogprobs(token, -1.0, 1) for token in piece) if logprobs else (),
            finish=LENGTH if number == len(pieces) - 1 else None,
        )
        for number, piece in enumerate(pieces)
    ]


def run(
    parts: Sequence[TokenDelta], stops: Sequence[str] = (), min_tokens: int = 0
) -> list[TextDelta]:
    assembler = TextAssembler(TOKENIZER, 0, stops, min_tokens)
    produced = []
    for part in parts:
        produced.append(assembler.push(part))
        if produced[-1].finish_reason is not None:
            break
    return produced


def joined(parts: Sequence[TextDelta]) -> tuple[str, tuple[TokenLogprobs, ...], int, str | None]:
    last = parts[-1]
    logprobs = tuple(entry for part in parts for entry in part.logprobs)
    return "".join(part.text for part in parts), logprobs, last.num_tokens, last.finish_reason


@given(
    TOKENS,
    st.lists(st.integers(0, 40), max_size=6),
    st.lists(st.text("abthe n\ufffd", min_size=1, max_size=3), max_size=3),
    st.booleans(),
    st.integers(0, 10),
)
def test_the_split_of_the_tokens_changes_nothing(
    tokens: list[int], cuts: list[int], stops: list[str], logprobs: bool, min_tokens: int
) -> None:
    whole = run(deltas(tokens, [], logprobs=logprobs), stops, min_tokens)
    split = run(deltas(tokens, cuts, logprobs=logprobs), stops, min_tokens)
    assert joined(split) == joined(whole)


@given(TOKENS, st.lists(st.text("abthe n", min_size=1, max_size=3), min_size=1, max_size=3))
def test_no_stop_string_is_ever_shown_and_nothing_before_it_is_lost(
    tokens: list[int], stops: list[str]
) -> None:
    everything = joined(run(deltas(tokens, [], logprobs=False)))[0]
    text, _, _, reason = joined(run(deltas(tokens, range(len(tokens)), logprobs=True), stops))
    assert not any(stop in text for stop in stops)
    assert everything.startswith(text)
    assert (reason == "stop") == any(stop in everything for stop in stops)
    if reason == "length":
        assert text == everything


@given(TOKENS, st.lists(st.text("abthe n", min_size=1, max_size=3), max_size=2))
def test_log_probabilities_follow_their_text(tokens: list[int], stops: list[str]) -> None:
    """Never of a token whose text is still withheld, and in the end of every token that shows."""
    parts = run(deltas(tokens, range(len(tokens)), logprobs=True), stops)
    shown = [entry.token_id for part in parts for entry in part.logprobs]
    assert shown == tokens[: len(shown)]
    for end in range(len(parts)):
        text, logprobs, _, reason = joined(parts[: end + 1])
        spelled = Detokenizer(TOKENIZER).push(entry.token_id for entry in logprobs)
        if reason is None:
            assert text.startswith(spelled)
        elif reason == "length":
            assert shown == tokens
        else:
            assert spelled.startswith(text)


def test_nothing_of_a_character_is_shown_before_all_of_it() -> None:
    tokens = TOKENIZER.encode("né")
    parts = run(deltas(tokens, range(len(tokens)), logprobs=False))
    assert [part.text for part in parts if part.text] == ["n", "é"]


def test_stop_strings_count_only_after_min_tokens() -> None:
    tokens = TOKENIZER.encode("ababab")
    assert joined(run(deltas(tokens, [], logprobs=False), ["b"], min_tokens=3))[0] == "aba"


@pytest.mark.parametrize(
    ("finish", "error"),
    [
        (Finish(FinishReason.DEADLINE), DeadlineExceeded),
        (Finish(FinishReason.CANCELLED), Draining),
        (Finish(FinishReason.ERROR, error_code="replica_lost"), ReplicaLost),
        (Finish(FinishReason.ERROR, error_code="numerical_error"), NumericalError),
        (Finish(FinishReason.ERROR, error_code="draining"), Draining),
        (Finish(FinishReason.ERROR, error_code="a secret"), InternalError),
        (Finish(FinishReason.ERROR), InternalError),
    ],
    ids=str,
)
def test_a_failed_ending_raises(finish: Finish, error: type[Exception]) -> None:
    with pytest.raises(error):
        TextAssembler(TOKENIZER, 0).push(TokenDelta(RequestId("a"), finish=finish))
