"""What a person configuring the server sees: the value that wins, or one clear refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

from stoker.config.exposure import is_loopback
from stoker.config.load import LoadedConfig, load
from stoker.config.schema import Config
from stoker.config.setting import Setting, fields
from stoker.errors import ConfigError


def from_toml(tmp_path: Path, text: str, **environ: str) -> LoadedConfig:
    path = tmp_path / "stoker.toml"
    path.write_text(text)
    return load(path=path, environ=environ)


def test_nothing_set_gives_the_defaults() -> None:
    loaded = load(environ={})
    assert loaded.config == Config()
    assert loaded.sources == {}


ACCEPTED: list[tuple[str, str, object]] = [
    ("[model]\nname = 'a/b'", "model.name", "a/b"),
    ("[model]\nquantize = 'q8_0'", "model.quantize", "q8_0"),
    ("[engine]\nthreads = 2", "engine.threads", 2),
    ("[engine]\nkernels = 'avx2'", "engine.kernels", "avx2"),
    ("[engine]\nprefix_cache = false", "engine.prefix_cache", False),
    ("[engine]\ninter_token_target_ms = 50", "engine.inter_token_target_ms", 50.0),
    ("[engine]\nmax_restarts = 0", "engine.max_restarts", 0),
    ("[server]\nport = 0", "server.port", 0),
    ("[server]\nport = 65535", "server.port", 65535),
    ("[server]\nhost = '::1'", "server.host", "::1"),
    ("[server]\nallowed_hosts = ['a.example', 'b']", "server.allowed_hosts", ("a.example", "b")),
    ("[server]\ndrain_seconds = 0", "server.drain_seconds", 0.0),
    ("[limits]\nstops = 0", "limits.stops", 0),
    ("[log]\nlevel = 'debug'", "log.level", "debug"),
    ("server.port = 9", "server.port", 9),
    ("", "server.port", 8000),
]


@pytest.mark.parametrize(("text", "key", "value"), ACCEPTED)
def test_file_sets_a_key(tmp_path: Path, text: str, key: str, value: object) -> None:
    section, name = key.split(".")
    loaded = from_toml(tmp_path, text)
    assert getattr(getattr(loaded.config, section), name) == value


REFUSED: list[tuple[str, str, str]] = [
    ("[server]\nport = '8000'", "server.port must be a whole number", "from 0 to 65535"),
    ("[server]\nport = 70000", "server.port must be", "70000"),
    ("[server]\nport = -1", "server.port must be", "-1"),
    ("[server]\nport = 80.5", "server.port must be a whole number", "80.5"),
    ("[server]\nport = true", "server.port must be a whole number", "True"),
    ("[server]\nhost = 1", "server.host must be text", "1"),
    ("[server]\nallowed_hosts = 'a'", "must be a list of text", "'a'"),
    ("[server]\nallowed_hosts = [1]", "must be a list of text", "[1]"),
    ("[server]\ndrain_seconds = '30s'", "of at least 0 of seconds", "Write 30; the unit"),
    ("[server]\ndrain_seconds = nan", "server.drain_seconds must be", "nan"),
    ("[server]\ndrain_seconds = inf", "server.drain_seconds must be", "inf"),
    ("[engine]\nkv_cache_mib = '2GiB'", "engine.kv_cache_mib must be a whole number", "of MiB"),
    ("[engine]\nthreads = -1", "engine.threads must be", "from 0 to 1024, not -1"),
    ("[engine]\nkernels = 'sse'", "must be one of auto, avx512_vnni, avx2, portable", "'sse'"),
    ("[engine]\nprefix_cache = 'yes'", "must be true or false", "'yes'"),
    ("[engine]\nprefix_cache = 1", "must be true or false", "1"),
    ("[engine]\ninter_token_target_ms = 0", "a number above 0 of milliseconds", "not 0"),
    ("[engine]\nmax_running = 0", "of at least 1", "0"),
    ("[engine]\nmax_running = 100\nmax_step_tokens = 10", "engine.max_step_tokens", "10 < 100"),
    ("[engine]\nthread = 2", "unknown key engine.thread", "Did you mean engine.threads?"),
    ("[engine]\nzzzzzz = 2", "unknown key engine.zzzzzz", "Keys of [engine]: threads, kernels"),
    ("[server.tls]\ncert = 'x'", "unknown key server.tls", "Keys of [server]: host, port"),
    ("[sever]\nport = 1", "unknown section [sever]", "Did you mean [server]?"),
    ("[zzzz]\nport = 1", "unknown section [zzzz]", "Sections: model, engine"),
    ("port = 1", "unknown section [port]", "port is a key of [server]"),
    ("server = 8000", "server must be a table", "Write [server] on a line"),
    ("[model]\nquantize = 'int8'", "must be one of q8_0, q4_1, q4_k", "'int8'"),
    ("[model]\nname = ['a']", "model.name must be text", "['a']"),
    ("[limits]\nbody_bytes = '2 MiB'", "of bytes", "Write 2097152;"),
    ("[limits]\nn = 0", "limits.n must be a whole number of at least 1", "0"),
    ("[log]\nlevel = 'verbose'", "one of debug, info, warning, error", "'verbose'"),
    ("[log]\nformat = 'xml'", "one of text, json", "'xml'"),
    ("[server]\nhost = '0.0.0.0'", "listening on 0.0.0.0 needs an API key", "Set STOKER_API_KEY"),
    ("[server]\nhost = 'example.org'", "needs an API key", "127.0.0.1"),
    ("[server]\napi_key = ' '", "server.api_key is empty", ""),
    ("[server\nport = 1", "is not valid TOML", "line 1"),
    ("[log]\nlevel = 'info'\nlevel = 'debug'", "is not valid TOML", "Cannot overwrite"),
]


@pytest.mark.parametrize(("text", "says", "helps"), REFUSED)
def test_wrong_file_is_refused_in_plain_words(
    tmp_path: Path, text: str, says: str, helps: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        from_toml(tmp_path, text)
    assert says in caught.value.message
    assert helps in f"{caught.value.message} {caught.value.hint}"
    assert "\n" not in caught.value.message


ENVIRONMENT: list[tuple[str, str, str, object]] = [
    ("STOKER_HOST", "localhost", "server.host", "localhost"),
    ("STOKER_PORT", "8100", "server.port", 8100),
    ("STOKER_API_KEY", "12345", "server.api_key", "12345"),
    ("STOKER_CACHE", "/data", "model.cache", "/data"),
    ("STOKER_LOG_LEVEL", "error", "log.level", "error"),
    ("STOKER_PORT", "", "server.port", 8000),
]


@pytest.mark.parametrize(("variable", "text", "key", "value"), ENVIRONMENT)
def test_environment_sets_a_key(variable: str, text: str, key: str, value: object) -> None:
    section, name = key.split(".")
    loaded = load(environ={variable: text})
    assert getattr(getattr(loaded.config, section), name) == value


@pytest.mark.parametrize("text", ["http", "80 80", "8000.5", "tcp://10.0.0.1:8000", "99999"])
def test_wrong_variable_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match="environment STOKER_PORT") as caught:
        load(environ={"STOKER_PORT": text})
    assert repr(text) in caught.value.message


def test_later_sources_win_and_are_remembered(tmp_path: Path) -> None:
    path = tmp_path / "stoker.toml"
    path.write_text("[server]\nport = 1\nhost = '127.0.0.2'\n[log]\nlevel = 'error'")
    loaded = load(
        [Setting("server.port", 3, "flag --port")],
        environ={"STOKER_CONFIG": str(path), "STOKER_PORT": "2", "STOKER_LOG_LEVEL": "debug"},
    )
    assert (loaded.config.server.port, loaded.config.log.level) == (3, "debug")
    assert loaded.sources == {
        "server.port": "flag --port",
        "server.host": f"file {path}",
        "log.level": "environment STOKER_LOG_LEVEL",
    }


def test_file_named_by_flag_wins_over_the_variable(tmp_path: Path) -> None:
    (tmp_path / "flag.toml").write_text("[server]\nport = 1")
    loaded = load(path=tmp_path / "flag.toml", environ={"STOKER_CONFIG": "/nowhere"})
    assert loaded.config.server.port == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "No such file"), (b"\xff\xfe", "not UTF-8"), (b"#" * 1024 * 1024 + b"##", "over")],
)
def test_unreadable_file_is_named(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "stoker.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=says) as caught:
        load(path=path, environ={})
    assert str(path) in caught.value.message


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        load(path=tmp_path, environ={})


def test_a_wrong_key_value_is_never_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        from_toml(tmp_path, "[server]\napi_key = 987654321")
    assert "987654321" not in f"{caught.value.message}{caught.value.hint}"


def test_public_address_is_allowed_with_a_key() -> None:
    loaded = load(environ={"STOKER_HOST": "0.0.0.0", "STOKER_API_KEY": "k"})
    assert loaded.config.server.host == "0.0.0.0"


def test_a_replica_on_a_public_address_needs_tickets_and_no_key(tmp_path: Path) -> None:
    (tmp_path / "ticket.key").write_text("k" * 40)
    text = '[server]\nhost = "0.0.0.0"\nreplica = true\n[edge]\nticket_key_file = "ticket.key"'
    assert from_toml(tmp_path, text).config.server.replica


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_every_default_passes_its_own_rule() -> None:
    defaults = Config()
    settings = [
        Setting(key, value, "default")
        for key in fields()
        if (value := getattr(getattr(defaults, key.split(".")[0]), key.split(".")[1])) is not None
    ]
    assert load(settings, environ={}).config == defaults
