"""What of a new configuration is taken while the server runs, and what is said about the rest."""

from __future__ import annotations

import tomllib

import pytest

from stoker.config.load import apply
from stoker.config.reload import LIVE_KEYS, LIVE_TABLES, Kind, changes, plan
from stoker.config.schema import Config
from stoker.config.setting import Setting, fields, lists, sections

BASE = """
[[models]]
name = "small"
[[models]]
name = "large"
[[backends]]
name = "provider"
url = "https://api.example.com/v1"
api_key = "canary"
[[routes]]
name = "chat"
targets = [{ model = "small" }]
[[tenants]]
name = "alice"
[[keys]]
id = "a1"
tenant = "alice"
digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
"""


def config(text: str) -> Config:
    settings = []
    for name, value in tomllib.loads(text).items():
        if name in lists():
            settings.append(Setting(name, value, "test"))
        else:
            settings += [Setting(f"{name}.{key}", item, "test") for key, item in value.items()]
    return apply(settings)


def told(text: str) -> tuple[list[str], list[str]]:
    """Live and waiting changes from BASE to BASE with another text."""
    reload = plan(config(BASE), config(text))
    return list(map(str, reload.live)), list(map(str, reload.restart))


def with_model(key: str) -> str:
    return BASE.replace('name = "large"', f'name = "large"\n{key}')


LIVE = [
    (BASE + "[queue]\nmax_seconds = 9", "queue.max_seconds"),
    (BASE + "[balance]\npolicy = 'session'", "balance.policy"),
    (BASE + "[log]\nlevel = 'debug'", "log.level"),
    (BASE + "[[tenants]]\nname = 'bob'", "tenants 'bob' added"),
    (BASE.replace('name = "alice"', 'name = "alice"\nbudget = 5'), "tenants 'alice' (budget)"),
    (BASE.replace("sha256:00", "sha256:11"), "keys 'a1' (digest)"),
    (BASE.replace("canary", "other"), "backends 'provider' (api_key)"),
    (BASE.replace('model = "small"', 'model = "large"'), "routes 'chat' (targets)"),
    (with_model("replicas = 3"), "models 'large' (replicas)"),
    (with_model("price.input = 3"), "models 'large' (price)"),
    (with_model("autoscale.maximum = 3"), "models 'large' (autoscale)"),
    (BASE.split("[[keys]]", maxsplit=1)[0], "keys 'a1' removed"),
]
WAITING = [
    (BASE + "[server]\nport = 1", "server.port"),
    (BASE + "[server]\nhost = 'localhost'\nport = 2", "server.host, server.port"),
    (BASE + "[engine]\nthreads = 1", "engine.threads"),
    (BASE + "[store]\nurl = 'sqlite:///a'", "store.url"),
    (BASE + "[limits]\nn = 1", "limits.n"),
    (BASE + "[log]\nformat = 'json'", "log.format"),
    (BASE + "[[models]]\nname = 'third'", "models 'third' added"),
    (with_model("source = 'a.gguf'"), "models 'large' (source)"),
    (BASE.replace('[[models]]\nname = "large"\n', ""), "models 'large' removed"),
]


@pytest.mark.parametrize(("text", "says"), LIVE)
def test_this_changes_while_the_server_runs(text: str, says: str) -> None:
    assert told(text) == ([says], [])
    assert plan(config(BASE), config(text)).config == config(text)


@pytest.mark.parametrize(("text", "says"), WAITING)
def test_this_waits_for_a_restart(text: str, says: str) -> None:
    assert told(text) == ([], [says])
    assert plan(config(BASE), config(text)).config == config(BASE)


def test_one_entry_may_change_in_both_ways() -> None:
    reload = plan(config(BASE), config(with_model("replicas = 2\nquantize = 'q8_0'")))
    assert told(with_model("replicas = 2\nquantize = 'q8_0'")) == (
        ["models 'large' (replicas)"],
        ["models 'large' (quantize)"],
    )
    assert reload.config == config(with_model("replicas = 2"))
    assert [change.name for change in reload.of("models")] == ["large"]
    assert reload.of("tenants") == ()


def test_what_leads_to_something_that_waits_waits_with_it() -> None:
    text = BASE + "[[models]]\nname = 'third'\n[[routes]]\nname = 'new'\n"
    text += "targets = [{ model = 'third' }]\n[[tenants]]\nname = 'bob'\n"
    reload = plan(config(BASE), config(text))
    assert reload.config == config(BASE)
    assert reload.live == ()
    assert {str(change) for change in reload.restart} == {
        "models 'third' added",
        "routes 'new' added",
        "tenants 'bob' added",
    }


def test_neither_order_nor_case_is_a_change() -> None:
    swapped = BASE.replace('"small"', '"x"').replace('"large"', '"small"').replace('"x"', '"large"')
    swapped = swapped.replace('targets = [{ model = "large" }]', 'targets = [{ model = "small" }]')
    assert list(changes(config(BASE), config(swapped))) == []


def test_a_secret_is_named_and_not_told() -> None:
    text = BASE.replace("canary", "sk-canary-2")
    assert "canary" not in str(told(text))
    assert [change.kind for change in changes(config(BASE), config(text))] == [Kind.CHANGED]


def test_what_is_live_exists() -> None:
    tables = {**sections(), **lists()}
    assert tables.keys() >= LIVE_TABLES | LIVE_KEYS.keys()
    for table, keys in LIVE_KEYS.items():
        assert set(tables[table].__struct_fields__) >= keys


def test_every_other_key_waits() -> None:
    """So that a new key is not said to be live by accident."""
    waiting = {key.partition(".")[0] for key in fields()} - LIVE_TABLES
    assert waiting == {"model", "engine", "server", "limits", "log", "store", "batches", "edge"}
