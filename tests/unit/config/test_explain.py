"""`stoker doctor` shows every key, its value and its source, and no secret."""

from __future__ import annotations

from stoker.config.environment import ignored
from stoker.config.explain import explain
from stoker.config.load import load
from stoker.config.setting import Setting, fields, nearest


def test_every_key_has_one_row_in_order() -> None:
    rows = explain(load(environ={}))
    assert [row.key for row in rows] == list(fields())
    assert {row.source for row in rows} == {"default"}


def test_rows_show_value_and_source() -> None:
    flags = [Setting("server.allowed_hosts", ["a", "b"], "flag --allowed-host")]
    rows = {row.key: row for row in explain(load(flags, environ={"STOKER_PORT": "81"}))}
    assert (rows["server.port"].value, rows["server.port"].source) == (
        "81",
        "environment STOKER_PORT",
    )
    assert rows["server.allowed_hosts"].value == "a, b"
    assert rows["engine.prefix_cache"].value == "true"
    assert rows["model.quantize"].value == "not set"


def test_the_key_is_hidden() -> None:
    rows = explain(load(environ={"STOKER_API_KEY": "hunter2"}))
    assert not any("hunter2" in f"{row.value}{row.source}" for row in rows)
    assert {row.key: row.value for row in rows}["server.api_key"] == "set (hidden)"


def test_meaningless_variables_are_listed() -> None:
    assert ignored({"STOKER_PROT": "1", "STOKER_PORT": "1", "PATH": "/"}) == ["STOKER_PROT"]


def test_nearest_gives_up_on_nonsense() -> None:
    assert nearest("prot", ["port", "host"]) == "port"
    assert nearest("qqqq", ["port", "host"]) is None
