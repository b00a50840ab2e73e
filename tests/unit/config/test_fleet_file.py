"""Lists in the file: what they become, what is advised, and that no secret is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from stoker.config import served
from stoker.config.explain import explain, explain_key
from stoker.config.load import LoadedConfig, load
from stoker.config.setting import Setting
from stoker.config.summary import summary
from stoker.errors import ConfigError

DIGEST = "sha256:" + "ab" * 32
FLEET = f"""
[server]
api_key = "canary-server"
[store]
url = "postgresql://bob:canary-store@db/stoker?password=canary-query"
[[models]]
name = "Small"
[models.autoscale]
minimum = 0
maximum = 3
[[backends]]
name = "provider"
url = "http://provider.example/v1"
api_key = "canary-backend"
prices.gpt = {{ input = 3, output = 12 }}
[[routes]]
name = "chat"
targets = [{{ model = "small" }}, {{ backend = "Provider", model = "gpt" }}]
[[tenants]]
name = "alice"
budget = 10
[[keys]]
id = "a1"
tenant = "Alice"
digest = "{DIGEST}"
expires = 2030-01-01
"""
AS_YAML = f"""
server: {{api_key: canary-server}}
store: {{url: "postgresql://bob:canary-store@db/stoker?password=canary-query"}}
models:
  - name: Small
    autoscale: {{minimum: 0, maximum: 3}}
backends:
  - name: provider
    url: http://provider.example/v1
    api_key: canary-backend
    prices: {{gpt: {{input: 3, output: 12}}}}
routes:
  - name: chat
    targets:
      - model: small
      - backend: Provider
        model: gpt
tenants:
  - {{name: alice, budget: 10}}
keys:
  - id: a1
    tenant: Alice
    digest: {DIGEST}
    expires: 2030-01-01
"""


def fleet(tmp_path: Path, text: str = FLEET, name: str = "stoker.toml") -> LoadedConfig:
    path = tmp_path / name
    path.write_text(text)
    path.chmod(0o600)
    return load(path=path, environ={})


def test_entries_are_typed_and_in_order(tmp_path: Path) -> None:
    config = fleet(tmp_path).config
    assert config.models[0].autoscale
    assert config.models[0].autoscale.maximum == 3
    assert [target.model for target in config.routes[0].targets] == ["Small", "gpt"]
    assert config.backends[0].prices["gpt"].output == 12.0
    assert config.keys[0].expires == "2030-01-01"


def test_a_name_is_spelled_as_its_entry_is(tmp_path: Path) -> None:
    text = FLEET.replace('name = "alice"', 'name = "alice"\nmodels = ["CHAT"]')
    config = fleet(tmp_path, text).config
    assert config.routes[0].targets[0].model == "Small"
    assert config.routes[0].targets[1].backend == "provider"
    assert config.tenants[0].models == ("chat",)
    assert config.keys[0].tenant == "alice"


@pytest.mark.parametrize("name", ["stoker.yaml", "stoker.yml", "STOKER.YAML"])
def test_yaml_says_the_same(tmp_path: Path, name: str) -> None:
    assert fleet(tmp_path, AS_YAML, name).config == fleet(tmp_path).config


def test_without_a_list_the_one_model_is_served() -> None:
    flags = [Setting("model.name", "a.gguf", "flag"), Setting("model.served_name", "a", "flag")]
    (model,) = served.models(load(flags, environ={}).config)
    assert (model.name, model.source) == ("a", "a.gguf")


def test_a_list_may_come_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "stoker.toml"
    path.write_text("[[models]]\nname = 'c'\n")
    listed = Setting("models", [{"name": "a"}, {"name": "b"}], "argument MODEL")
    config = load([listed], path=path, environ={}).config
    assert [model.name for model in served.models(config)] == ["a", "b"]


def test_clients_may_ask_for_routes_and_models_each_once(tmp_path: Path) -> None:
    text = FLEET.replace('name = "chat"', 'name = "small"')
    assert served.names(fleet(tmp_path, text).config) == ["small"]
    assert served.names(fleet(tmp_path).config) == ["chat", "Small"]


def test_no_secret_is_shown(tmp_path: Path) -> None:
    loaded = fleet(tmp_path)
    rows = [f"{row.key}{row.value}{row.source}" for row in explain(loaded)]
    shown = " ".join([*rows, *summary(loaded.config), *loaded.warnings])
    assert "canary" not in shown
    assert DIGEST not in shown
    assert "postgresql://bob:***@db/stoker?***" in shown


def test_each_entry_is_explained_with_its_source(tmp_path: Path) -> None:
    loaded = fleet(tmp_path)
    rows = {row.key: row for row in explain(loaded)}
    assert rows["models[0].autoscale.maximum"].value == "3"
    assert rows["models[0].autoscale.maximum"].source.startswith("file ")
    assert rows["models[0].autoscale.idle_seconds"].source == "default"
    assert rows["models[0].autoscale.idle_seconds"].unit == "seconds"
    assert rows["backends[0].prices.gpt.input"].value == "3.0"


@pytest.mark.parametrize(
    ("wanted", "keys"),
    [
        ("server.port", ["server.port"]),
        ("log", ["log.level", "log.format"]),
        ("models[0].replicas", ["models[0].replicas"]),
        ("models[].replicas", ["models[0].replicas"]),
        ("models.replicas", ["models[0].replicas"]),
        ("utilisation", ["models[0].autoscale.utilisation"]),
        ("backends.prices.gpt.output", ["backends[0].prices.gpt.output"]),
    ],
)
def test_a_key_may_be_named_in_short(tmp_path: Path, wanted: str, keys: list[str]) -> None:
    assert [row.key for row in explain_key(fleet(tmp_path), wanted)] == keys


def test_a_key_of_an_empty_list_shows_its_default() -> None:
    (row,) = explain_key(load(environ={}), "models.replicas")
    assert (row.key, row.value) == ("models[].replicas", "1")


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("server.prot", "server.port"),
        ("utilization", "utilisation"),
        ("zzz", "lists all keys"),
    ],
)
def test_an_unknown_key_has_a_nearest_name(wanted: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        explain_key(load(environ={}), wanted)
    assert hint in caught.value.hint


ADVICE = [
    ("", "backends[0].url: its key is sent without encryption"),
    ("prices.gpt = { input = 3, output = 12 }", "has no price for 'gpt'"),
    (', { backend = "Provider", model = "gpt" }', "backends[0] 'provider' is the target of no"),
    ('tenant = "Alice"', "tenants[0] 'alice' has no key in this file"),
]


@pytest.mark.parametrize(("removed", "says"), ADVICE)
def test_what_is_probably_not_meant_is_advised(tmp_path: Path, removed: str, says: str) -> None:
    text = FLEET.replace(removed, "")
    if "Alice" in removed:
        text = FLEET.replace('"Alice"', '"bob"') + '[[tenants]]\nname = "bob"\n'
    assert any(says in line for line in fleet(tmp_path, text).warnings)


def test_replicas_that_use_more_than_they_ask_ray_for_are_pointed_out(tmp_path: Path) -> None:
    text = '[engine]\nthreads = 8\n[[models]]\nname = "m"\nplacer = "ray"\nray.cpus = 4\n'
    assert any("ray.cpus is 4 though" in line for line in fleet(tmp_path, text).warnings)
    assert not fleet(tmp_path, text.replace("cpus = 4", "cpus = 8")).warnings


def test_a_section_that_a_list_replaces_is_pointed_out(tmp_path: Path) -> None:
    loaded = fleet(tmp_path, "[model]\nname = 'a'\n[[models]]\nname = 'b'\n")
    assert loaded.warnings == ("model.name does nothing beside [[models]]",)


def test_secrets_that_everybody_can_read_are_pointed_out(tmp_path: Path) -> None:
    loaded = fleet(tmp_path)
    assert not any("can read" in line for line in loaded.warnings)
    assert loaded.path
    loaded.path.chmod(0o644)
    (warning,) = [
        line for line in load(path=loaded.path, environ={}).warnings if "can read" in line
    ]
    assert "server.api_key and backends[0].api_key and store.url" in warning
    assert "chmod 600" in warning


def test_a_secret_in_a_file_of_its_own_is_read_beside_the_configuration(tmp_path: Path) -> None:
    secret = tmp_path / "provider.key"
    secret.write_text("canary-file\n")
    secret.chmod(0o644)
    text = FLEET.replace('api_key = "canary-backend"', 'api_key_file = "provider.key"')
    loaded = fleet(tmp_path, text)
    assert loaded.config.backends[0].api_key == "canary-file"
    assert any(str(secret) in line and "chmod 600" in line for line in loaded.warnings)
    assert not any("canary" in row.value for row in explain(loaded))


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe", b"x" * 65537])
def test_a_file_that_holds_no_secret_is_refused_unseen(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "provider.key").write_bytes(content)
    text = FLEET.replace('api_key = "canary-backend"', 'api_key_file = "provider.key"')
    with pytest.raises(ConfigError, match=r"backends\[0\]\.api_key_file names a file that is"):
        fleet(tmp_path, text)


def test_clients_with_keys_may_come_from_anywhere(tmp_path: Path) -> None:
    text = FLEET.replace('api_key = "canary-server"', 'host = "0.0.0.0"')
    assert fleet(tmp_path, text).config.server.host == "0.0.0.0"


@pytest.mark.parametrize("spell", [repr, str, "{!r}".format], ids=["repr", "str", "format"])
def test_a_configuration_that_is_printed_hides_its_secrets(tmp_path: Path, spell) -> None:
    printed = spell(fleet(tmp_path).config)
    assert "canary" not in printed
    assert "name=Small" in printed
