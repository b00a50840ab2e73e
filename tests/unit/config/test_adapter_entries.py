"""Adapters in the configuration: their form, and names that stand once."""

from __future__ import annotations

from pathlib import Path

import pytest

from stoker.config import served
from stoker.config.adapter_entries import adapter_entries
from stoker.config.load import load
from stoker.config.setting import Setting
from stoker.errors import ConfigError


def models(text: str) -> str:
    return f'[[models]]\nname = "one"\n{text}\n[[models]]\nname = "two"\nadapters = ["law=/l"]\n'


def loaded(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "stoker.toml"
    path.write_text(text)
    return served.names(load(path=path, environ={}).config)


def test_clients_may_ask_for_them(tmp_path: Path) -> None:
    names = loaded(tmp_path, models('adapters = ["poet=/a/b=c"]'))
    assert names == ["one", "two", "poet", "law"]


@pytest.mark.parametrize("entry", ["poet", "poet=", "=/a", "Law=/a", "two=/a", "ONE=/a"])
def test_one_without_a_name_of_its_own_is_refused(entry: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="adapters"):
        loaded(tmp_path, models(f'adapters = ["{entry}"]'))


def test_a_key_may_be_kept_to_an_adapter(tmp_path: Path) -> None:
    tenant = '[[tenants]]\nname = "t"\nmodels = ["LAW"]\n'
    assert "law" in loaded(tmp_path, models("") + tenant)
    with pytest.raises(ConfigError, match="lax"):
        loaded(tmp_path, models("") + tenant.replace("LAW", "lax"))


def test_the_flag_may_stand_often() -> None:
    given = Setting("model.adapters", ("a=/x", "b=/y"), "flag --lora", textual=True)
    (model,) = served.models(load([given], environ={}).config)
    assert list(adapter_entries(model)) == [("a", "/x"), ("b", "/y")]
