"""Models named on the command line win over the file's, and keep what it says of them."""

from __future__ import annotations

import pytest

from stoker.config.fleet_schema import ModelEntry, RouteEntry, TargetEntry
from stoker.config.schema import Config, ModelSection
from stoker.config.selection import select
from stoker.errors import ConfigError

FILE = Config(
    model=ModelSection(quantize="q8_0"),
    models=(ModelEntry(name="small", replicas=2), ModelEntry(name="large")),
)


def test_nothing_named_is_what_the_file_has() -> None:
    assert select(FILE, []) == FILE


def test_one_name_without_a_list_is_the_section() -> None:
    assert select(Config(), ["a.gguf"]) == Config()


def test_a_named_entry_keeps_what_the_file_says() -> None:
    assert select(FILE, ["SMALL"]).models == (ModelEntry(name="small", replicas=2),)


def test_others_are_added_once_in_the_order_given() -> None:
    models = select(FILE, ["other", "large", "other"]).models
    assert models == (ModelEntry(name="other", quantize="q8_0"), ModelEntry(name="large"))


def test_one_name_twice_in_other_letters_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"models\[1\]\.name is 'small' again"):
        select(FILE, ["small", "SMALL"])


def test_a_route_to_a_model_left_out_is_refused() -> None:
    route = RouteEntry(name="chat", targets=(TargetEntry(model="large"),))
    with pytest.raises(ConfigError, match=r"routes\[0\]\.targets\[0\]\.model names no model"):
        select(Config(models=FILE.models, routes=(route,)), ["small"])
