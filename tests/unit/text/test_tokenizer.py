"""Encoding and decoding: nothing is lost, half characters are refused, time is linear."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.errors import InvalidRequest
from stoker.text import pieces
from stoker.text.pieces import MAX_PIECE, Cutter
from stoker.text.tokenizer import Tokenizer
from tests.support.text import tiny_text
from tests.support.vocabularies import text_of

TEXTS = [
    "",
    " ",
    "  leading and trailing  ",
    "Ünïcödé, русский, Ελληνικά, עברית, العربية, हिन्दी, বাংলা, ไทย, 中文, 日本語, 한국어",
    "👩‍👩‍👧‍👦 🏳️‍🌈 🇳🇴 👍🏽 e\u0301 \u200d\u200c\ufeff",
    "tab\tnewline\nreturn\r\n\r\n\r\n",
    "0 01 012 1234567890 3.14 ½ ² Ⅷ",
    "\u2028\u2029\u00a0\u3000\u202e",
    "\U0010ffff \U000e0001 \ufffd \ufffe",
    "a" * 5000,
    "¡" * 3000,
    "<|im_end|> <s> </s> <0x0A> Ġ Ċ",
]
VOCABULARIES = ["llama-spm", "llama-bpe"]
"""One of SentencePiece's kind, with byte fallback, and one at the level of bytes."""


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", VOCABULARIES)
def test_text_of_any_script_comes_back(name: str, text: str) -> None:
    tokenizer = text_of(name).tokenizer
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("name", VOCABULARIES)
@settings(max_examples=100)
@given(text=st.text(max_size=60))
def test_any_text_comes_back(name: str, text: str) -> None:
    tokenizer = text_of(name).tokenizer
    spelled = text.replace("\u2581", " ") if name == "llama-spm" else text
    assert tokenizer.decode(tokenizer.encode(text)) == spelled


@pytest.mark.parametrize("text", ["\ud83d", "a\udc00b", "\ud83d\ud83d", "ok \udfff"])
def test_half_a_character_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="half a character"):
        tiny_text().tokenizer.encode(text)


def test_the_begin_token_comes_first_where_the_model_was_trained_so() -> None:
    tokenizer = text_of("llama-spm").tokenizer
    assert tokenizer.bos_token_id == 1
    assert tokenizer.encode("Hi", add_bos=True) == [1, *tokenizer.encode("Hi")]
    assert tokenizer.encode("", add_bos=True) == [1]
    untrained = text_of("gpt-2").tokenizer
    assert untrained.encode("Hi", add_bos=True) == untrained.encode("Hi")


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("llama-bpe", {"<|end_of_text|>", "<|eot_id|>"}),
        ("llama-spm", {"</s>"}),
        ("phi-3", {"<|endoftext|>", "<|end|>", "</s>"}),
        ("qwen2", {"<|endoftext|>", "<|im_end|>"}),
        ("deepseek-coder", {"<｜end▁of▁sentence｜>"}),
    ],
)
def test_tokens_that_end_an_answer_are_known(name: str, ends: set[str]) -> None:
    tokenizer = text_of(name).tokenizer
    assert {tokenizer.vocabulary.tokens[i] for i in tokenizer.eos_token_ids} >= ends


def test_control_tokens_are_hidden_unless_asked_for() -> None:
    tokenizer = tiny_text().tokenizer
    end = tokenizer.vocabulary.tokens.index("<|im_end|>")
    ids = [*tokenizer.encode("Hi"), end]
    assert tokenizer.decode(ids) == "Hi"
    assert tokenizer.decode(ids, skip_control=False) == "Hi<|im_end|>"
    assert end in tokenizer.special_ids
    assert tokenizer.token_bytes(end) == b"<|im_end|>"


def test_a_token_for_people_is_its_text_or_its_bytes() -> None:
    tokenizer = tiny_text().tokenizer
    assert [tokenizer.token_text(i) for i in tokenizer.encode("a¡")] == [
        "a",
        "bytes:\\xc2",
        "bytes:\\xa1",
    ]


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from(["word", "Wörter", " ", "\n", "1984", "don't", "слово", "語", "."]),
        max_size=40,
    ).map("".join)
)
def test_cutting_long_text_does_not_change_its_tokens(text: str) -> None:
    for name in VOCABULARIES:
        tokenizer = text_of(name).tokenizer
        whole = tokenizer.encode(text)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pieces, "PIECE", 3)
            assert tokenizer.encode(text) == whole


def test_no_piece_is_long_and_together_they_are_the_text() -> None:
    cutter = Cutter([b"a", b" b"])
    for text in ["", "a" * 100_000, "word " * 20_000, "one\n" * 20_000, " " * 50_000]:
        parts = list(cutter.pieces(text))
        assert "".join(parts) == text
        assert max(map(len, parts)) <= MAX_PIECE


def test_words_are_not_cut_apart_where_a_token_spans_two_of_them() -> None:
    spanning = Cutter([b"a", b"of the"])
    assert [len(part) for part in spanning.pieces("of the " * 3000)] == [
        MAX_PIECE,
        21000 - MAX_PIECE,
    ]


def seconds(tokenizer: Tokenizer, unit: str, length: int) -> float:
    text = (unit * length)[:length]
    started = time.process_time()
    tokenizer.encode(text)
    return time.process_time() - started


@pytest.mark.parametrize("unit", ["a", " ", "\n", "\u0301", "\ufffd", "👩\u200d", "1", "<|", "'s "])
@pytest.mark.parametrize("name", VOCABULARIES)
def test_time_is_linear(name: str, unit: str) -> None:
    """S29. The best of three, so that a busy machine does not matter."""
    tokenizer = text_of(name).tokenizer
    once = min(seconds(tokenizer, unit, 60_000) for _ in range(3))
    twice = min(seconds(tokenizer, unit, 120_000) for _ in range(3))
    assert twice < 2.6 * once + 0.005
