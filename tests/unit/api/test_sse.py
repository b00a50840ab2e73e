"""Event streams that any client can split."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from stoker.api.sse import event, json_text


class Chunk(msgspec.Struct):
    text: str


LINE_BREAKS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


@given(st.text(LINE_BREAKS + 'a"é') | st.text(st.characters(exclude_categories=["Cs"])))
def test_an_event_is_two_lines_however_one_splits(text: str) -> None:
    written = event(Chunk(text)).decode()
    assert written.endswith("\n\n")
    (line,) = written[:-2].splitlines()
    assert json.loads(line.removeprefix("data: ")) == {"text": text}
    assert json.loads(json_text(text)) == text
    assert len(json_text(text).decode().splitlines()) == 1
