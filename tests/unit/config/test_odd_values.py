"""Whatever stands in a file, it is read or it is one printable line, and no other error."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.config.file import settings as read_settings
from stoker.config.load import apply, load
from stoker.config.reference import keys
from stoker.config.setting import Setting, lists
from stoker.errors import ConfigError

CANARY = "canary\x1b[2J\n"
ODD: list[object] = [
    None, True, -1, 0, 1, 10**30, 0.5, float("nan"), float("-inf"), "", "a", CANARY, "1s", "\ud800",
    [], [[]], [None], {}, {"a": 1}, {CANARY: {}}, {CANARY: 1}, [{}], [{CANARY: 1}],
    datetime.date(2030, 1, 1),
]  # fmt: skip


def at(place: str, value: object) -> object:
    """The value below the rest of a key's name: 'a[].b.c' → [{'b': {'c': value}}]."""
    if not place:
        return value
    head = re.match(r"(\[\]|\.\w+)", place)
    assert head
    inner = at(place[head.end() :], value)
    return [inner] if head[1] == "[]" else {head[1][1:]: inner}


@pytest.mark.parametrize("key", [key.name for key in keys()])
def test_an_odd_value_is_read_or_refused_in_one_line(key: str) -> None:
    name = re.match(r"\w+", key)
    assert name
    for value in ODD:
        whole = at(key[name.end() :], value)
        if name[0] in lists():
            settings = [Setting(name[0], whole, "test")]
        else:
            assert isinstance(whole, dict)
            settings = [Setting(f"{name[0]}.{inner}", v, "test") for inner, v in whole.items()]
        try:
            apply(settings)
        except ConfigError as error:
            assert f"{error.message} {error.hint}".isprintable(), (key, value)


TEXT = st.text(
    st.sampled_from(" \n\t=[]{}:-#'\"&*!|>?,.\x00\x1b\u2028é0123456789abmodelservrnut_"),
    max_size=60,
)


@settings(max_examples=300)
@given(TEXT, st.sampled_from(["stoker.toml", "stoker.yaml"]))
def test_any_text_is_read_or_refused(tmp_path: Path, text: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode())
    try:
        for setting in read_settings(path):
            apply([setting])
        load(path=path, environ={})
    except ConfigError as error:
        assert str(path) in error.message or error.param
