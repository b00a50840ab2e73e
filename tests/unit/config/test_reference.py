"""The page of keys is what the schema says, and every key says what it means."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from stoker.config.environment import CONFIG_FILE, VARIABLES
from stoker.config.load import load
from stoker.config.meaning import purpose
from stoker.config.reference import Key, keys, rewritten, tables
from stoker.config.setting import lists
from stoker.config.yaml_text import parse_yaml

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "configure.md"


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found[1]


@pytest.mark.parametrize("key", keys(), ids=lambda key: key.name)
def test_every_key_says_what_it_means(key: Key) -> None:
    assert key.meaning.endswith((".", "?"))


def test_every_table_says_what_it_is_for() -> None:
    assert all(purpose(kind).endswith(".") for _, kind in tables())


def test_the_page_is_in_step_with_the_schema() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == rewritten(page), "run `make reference`"
    assert page.count("### [") == len(tables())


def test_the_page_names_each_variable() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"`(STOKER_\w+)`", page)) == {CONFIG_FILE, *VARIABLES}


def test_the_file_on_the_page_is_sound(tmp_path: Path) -> None:
    (tmp_path / "provider.key").write_text("canary\n")
    (tmp_path / "provider.key").chmod(0o600)
    path = tmp_path / "stoker.toml"
    path.write_text(block("toml"))
    loaded = load(path=path, environ={})
    assert loaded.warnings == ()
    assert all(getattr(loaded.config, name) for name in lists())
    assert loaded.config.backends[0].api_key == "canary"


def test_the_yaml_on_the_page_says_the_same() -> None:
    routes = parse_yaml(block("yaml"), Path("page"))["routes"]
    assert routes == tomllib.loads(block("toml"))["routes"]
