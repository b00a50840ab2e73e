"""A stream of tokens becomes text: never half a character, the same for any split."""

from __future__ import annotations

import itertools
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.text.detokenizer import Detokenizer
from tests.support.text import tiny_text, vocab_size

TOKENIZER = tiny_text().tokenizer
tokens = st.lists(st.integers(0, vocab_size() - 1), max_size=40)


def streamed(pieces: list[list[int]]) -> list[str]:
    detokenizer = Detokenizer(TOKENIZER)
    return [*(detokenizer.push(piece) for piece in pieces), detokenizer.flush()]


def split(ids: list[int], cuts: list[int]) -> list[list[int]]:
    edges = [0, *sorted(cut % (len(ids) + 1) for cut in cuts), len(ids)]
    return [ids[start:end] for start, end in itertools.pairwise(edges)]


@settings(max_examples=300)
@given(tokens, st.lists(st.integers(0, 1000), max_size=10))
def test_any_split_gives_the_same_text(ids: list[int], cuts: list[int]) -> None:
    assert "".join(streamed(split(ids, cuts))) == TOKENIZER.decode(ids)


@settings(max_examples=200)
@given(st.text(max_size=30))
def test_text_comes_back_whole_and_never_as_half_characters(text: str) -> None:
    ids = TOKENIZER.encode(text)
    pieces = streamed([[i] for i in ids])
    assert "".join(pieces) == text
    assert pieces[-1] == ""
    if "\ufffd" not in text:
        assert not any("\ufffd" in piece for piece in pieces)


def test_a_character_appears_with_its_last_byte() -> None:
    assert streamed([[i] for i in TOKENIZER.encode("é👍")]) == ["", "é", "", "", "", "👍", ""]


def test_a_cut_off_character_becomes_one_replacement_character_at_the_end() -> None:
    assert streamed([TOKENIZER.encode("a👍")[:-1]]) == ["a", "\ufffd"]


def test_bytes_that_are_no_character_do_not_swallow_what_follows() -> None:
    start_of_four = TOKENIZER.encode("👍")[:1]
    assert "".join(streamed([start_of_four, TOKENIZER.encode("ok")])) == "\ufffdok"


def test_control_tokens_add_no_text() -> None:
    end = TOKENIZER.vocabulary.tokens.index("<|im_end|>")
    assert streamed([[*TOKENIZER.encode("a"), end], TOKENIZER.encode("b")]) == ["a", "b", ""]


def test_position_counts_delivered_characters() -> None:
    detokenizer = Detokenizer(TOKENIZER)
    offsets = []
    for i in TOKENIZER.encode("a👍b"):
        offsets.append(detokenizer.position)
        detokenizer.push([i])
    assert offsets == [0, 1, 1, 1, 1, 2]


def seconds(length: int) -> float:
    """Every token is a first byte with nothing after it: all replacement characters."""
    ids = TOKENIZER.encode("👍")[:1] * length
    detokenizer = Detokenizer(TOKENIZER)
    started = time.process_time()
    for i in ids:
        detokenizer.push([i])
    return time.process_time() - started


def test_time_is_linear_in_replacement_characters() -> None:
    once = min(seconds(20_000) for _ in range(3))
    twice = min(seconds(40_000) for _ in range(3))
    assert twice < 2.6 * once
