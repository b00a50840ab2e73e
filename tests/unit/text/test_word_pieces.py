"""WordPiece vocabularies, and what stands around a text and around a pair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stoker.errors import UnsupportedModel
from stoker.text.frame import Frame
from stoker.text.load import TextModel, load_text
from tests.support.encoders import VOCABULARY
from tests.support.text import tiny_text


def bert(tmp_path: Path, **config: Any) -> TextModel:
    metadata = {"vocab.txt": "\n".join(VOCABULARY) + "\n", "tokenizer_config.json": config}
    return load_text(Path("bert"), metadata, tmp_path)


def spelled(text: TextModel, *words: str) -> list[int]:
    return [VOCABULARY.index(word) for word in words]


def test_words_are_split_from_the_left_into_the_longest_pieces(tmp_path: Path) -> None:
    text = bert(tmp_path)
    encode = text.tokenizer.encode
    assert encode("The C\u00e1t sat.") == spelled(text, "the", "cat", "sat", ".")
    assert encode("sating  the\tdogs") == spelled(text, "sat", "##ing", "the", "dog", "##s")
    assert encode("\u4e2d\U0001f525") == spelled(text, "[UNK]", "[UNK]")


def test_case_and_accents_are_kept_where_the_model_wants_them(tmp_path: Path) -> None:
    text = bert(tmp_path, do_lower_case=False)
    assert text.tokenizer.encode("the The") == spelled(text, "the", "[UNK]")


def test_text_that_spells_a_control_token_is_text(tmp_path: Path) -> None:
    text = bert(tmp_path)
    wanted = spelled(text, "[", "s", "##e", "##p", "]")
    assert text.tokenizer.encode("[SEP]") == wanted


def test_tokens_stand_for_words_with_spaces_between(tmp_path: Path) -> None:
    tokenizer = bert(tmp_path).tokenizer
    assert tokenizer.decode(tokenizer.encode("the sating dog")) == "the sating dog"


def test_a_text_and_a_pair_are_framed(tmp_path: Path) -> None:
    frame = bert(tmp_path).frame
    begin, end = VOCABULARY.index("[CLS]"), VOCABULARY.index("[SEP]")
    assert frame.one((7, 8)) == (begin, 7, 8, end)
    assert frame.pair((7, 8), (9,)) == ((begin, 7, 8, end, 9, end), 4)


def test_a_template_says_the_same() -> None:
    from stoker.text.frame import frame_of

    special = [{"SpecialToken": {"id": name, "type_id": 0}} for name in ("[CLS]", "[SEP]")]
    a, b = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    template = {
        "type": "TemplateProcessing",
        "single": [special[0], a, special[1]],
        "pair": [special[0], a, special[1], b, special[1]],
        "special_tokens": {"[CLS]": {"ids": [101]}, "[SEP]": {"ids": [102]}},
    }
    metadata = {
        "tokenizer.json": {"post_processor": {"type": "Sequence", "processors": [template]}}
    }
    vocabulary = tiny_text().tokenizer.vocabulary
    found = frame_of(metadata, vocabulary)
    assert (found.between, found.after) == ((102,), (102,))


def test_a_model_without_a_template_is_framed_as_its_prompts_are() -> None:
    assert tiny_text().frame == Frame()


def test_a_list_of_words_that_is_no_berts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="CLS"):
        load_text(Path("bert"), {"vocab.txt": "a\nb\n"}, tmp_path)
