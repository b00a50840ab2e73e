"""F17: whatever is wrong with a configuration, it is one line within a second, and exit code 2.

Each case is run through `stoker config check` and through `stoker serve`.
"""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stoker.cli import main as entry

CPU_SECONDS = 1.0
DIGEST = "sha256:" + "0" * 64
MODELS = "[[models]]\nname = 'small'\n[[models]]\nname = 'large'\n"
BACKEND = "[[backends]]\nname = 'provider'\nurl = 'https://api.example.com/v1'\n"
ROUTE = "[[routes]]\nname = 'chat'\ntargets = [{ backend = 'provider', model = 'gpt' }]\n"
TENANT = "[[tenants]]\nname = 'alice'\n"
KEY = f"[[keys]]\nid = 'alice-1'\ntenant = 'alice'\ndigest = '{DIGEST}'\n"

UNKNOWN = {
    "section, typo": ("[sever]\nport = 1", "unknown section [sever]", "Did you mean [server]?"),
    "list, singular": ("[[tenant]]\nname = 'a'", "[tenant]", "Did you mean [[tenants]]?"),
    "list, other case": ("[[Models]]\nname = 'a'", "[Models]", "Did you mean [[models]]?"),
    "section, nonsense": ("[zzz]\na = 1", "unknown section [zzz]", "Sections: model, engine"),
    "key without a section": ("port = 1", "[port]", "port is a key of [server]"),
    "key, typo": ("[server]\nprot = 1", "server.prot", "Did you mean server.port?"),
    "key, other case": ("[server]\nPort = 1", "server.Port", "Did you mean server.port?"),
    "key, with a dash": (
        "[server]\ndrain-seconds = 1",
        "unknown key server.drain-seconds",
        "Did you mean server.drain_seconds?",
    ),
    "key, of another section": (
        "[server]\nthreads = 2",
        "unknown key server.threads",
        "threads is a key of [engine]",
    ),
    "key, other unit": (
        "[queue]\nmax_ms = 100",
        "unknown key queue.max_ms",
        "Did you mean queue.max_seconds?",
    ),
    "key, that would move the cursor": (
        '[log]\n"\\u001b[2J" = 1',
        "unknown key log.?[2J",
        "Keys of [log]",
    ),
    "key, nonsense": ("[log]\nqqq = 1", "unknown key log.qqq", "Keys of [log]: level, format"),
    "key in a list": (
        MODELS + "replica = 2",
        "unknown key models[1].replica ",
        "Did you mean models[1].replicas?",
    ),
    "key in a table in a list": (
        MODELS + "autoscale.min = 2",
        "models[1].autoscale.min ",
        "Did you mean models[1].autoscale.minimum?",
    ),
    "key in a target": (
        BACKEND + "[[routes]]\nname = 'chat'\ntargets = [{ backnd = 'provider' }]",
        "routes[0].targets[0].backnd",
        "Did you mean routes[0].targets[0].backend?",
    ),
    "key in a price": (
        BACKEND + "prices.gpt = { inputs = 1 }",
        "backends[0].prices.gpt.inputs",
        "Did you mean backends[0].prices.gpt.input?",
    ),
}

WRONG = {
    "text for a number": ("[server]\nport = '80'", "server.port must be a whole number", "0 to"),
    "number out of range": ("[server]\nport = 70000", "from 0 to 65535, not 70000", ""),
    "fraction for a whole number": (MODELS + "replicas = 1.5", "models[1].replicas must be", "1.5"),
    "none where one is needed": (MODELS + "replicas = 0", "of at least 1, not 0", ""),
    "yes for true": (BACKEND + "private = 'yes'", "backends[0].private must be true or", "'yes'"),
    "number for a name": (TENANT + "models = [1]", "tenants[0].models must be a list of", "[1]"),
    "name with blanks": ("[[models]]\nname = 'a b'", "models[0].name must be a name", "'a b'"),
    "empty name": ("[[models]]\nname = ''", "models[0].name must be a name of 1 to 128", "''"),
    "not a number": ("[server]\ndrain_seconds = nan", "must be a number", "not nan"),
    "seconds with their unit": ("[queue]\nmax_seconds = '30s'", "of seconds", "Write 30;"),
    "minutes for seconds": (
        MODELS + "autoscale.idle_seconds = '5m'",
        "models[1].autoscale.idle_seconds",
        "Write 300;",
    ),
    "memory with its unit": ("[engine]\nkv_cache_mib = '2GiB'", "of MiB", "Write 2048;"),
    "a thousand by letter": (TENANT + "tokens_per_minute = '60k'", "a minute", "Write 60000;"),
    "an unknown unit": ("[queue]\nmax_seconds = 'long'", "of seconds", "Write a bare number"),
    "choice, typo": (TENANT + "band = 'interactiv'", "one of", "Did you mean interactive?"),
    "choice, other case": (BACKEND + "dialect = 'vLLM'", "one of", "Did you mean vllm?"),
    "choice, unknown": ("[log]\nformat = 'qq'", "log.format must be one of text, json", "'qq'"),
    "policy with a dash": (
        "[balance]\npolicy = 'round-robin'",
        "balance.policy must be one of",
        "Did you mean round_robin?",
    ),
    "one table for a list": ("[models]\nname = 'a'", "models must be a list", "[[models]]"),
    "a list for one table": ("[[server]]\nport = 1", "server must be a table", "Write [server]"),
    "a list for one model": ("[[model]]\nname = 'a'", "must be", "Did you mean [[models]]?"),
    "text for a table": ("server = 'here'", "server must be a table, not 'here'", "[server]"),
    "text in a list of tables": ("models = ['a']", "models[0] must be a table", "key = value"),
    "one target": (BACKEND + "[[routes]]\nname = 'c'\ntargets = {}", "a list of", "'- '"),
    "one price for all": (BACKEND + "prices = 3", "backends[0].prices must be a table", ""),
    "no name": ("[[models]]\nreplicas = 1", "models[0].name is missing", "models needs name"),
    "no address": ("[[backends]]\nname = 'a'", "backends[0].url is missing", "needs url"),
    "digest cut short": (
        TENANT + KEY.replace(DIGEST, "sha256:00"),
        "keys[0].digest must be 'sha256:' and 64 hexadecimal digits",
        "",
    ),
    "no date": (TENANT + KEY + "expires = 'soon'", "keys[0].expires is no ISO date", "2030-12-31"),
}

CONTRADICTORY = {
    "two models of one name": (
        MODELS + "[[models]]\nname = 'Small'",
        "models[2].name is 'Small' again, as models[0].name",
        "upper and lower case",
    ),
    "two tenants of one name": (TENANT * 2, "tenants[1].name is 'alice' again", ""),
    "two routes of one name": (BACKEND + ROUTE * 2, "routes[1].name is 'chat' again", ""),
    "two backends of one name": (BACKEND * 2, "backends[1].name is 'provider' again", ""),
    "two keys of one id": (TENANT + KEY * 2, "keys[1].id is 'alice-1' again", ""),
    "one digest twice": (
        TENANT + KEY + KEY.replace("alice-1", "alice-2"),
        "keys[1].digest is that of keys[0].digest",
        "make another",
    ),
    "target, unknown model": (
        MODELS + "[[routes]]\nname = 'chat'\ntargets = [{ model = 'smal' }]",
        "routes[0].targets[0].model names no model: 'smal'",
        "Did you mean small?",
    ),
    "target, unknown backend": (
        BACKEND + ROUTE.replace("provider", "provder"),
        "routes[0].targets[0].backend names no backend: 'provder'",
        "Did you mean provider?",
    ),
    "target, no backend at all": (ROUTE, "names no backend", "The file has no backend"),
    "target that names nothing": (
        MODELS + "[[routes]]\nname = 'chat'\ntargets = [{}]",
        "routes[0].targets[0] names neither a model nor a backend",
        "Write model = NAME or backend = NAME",
    ),
    "route to itself": (
        "[[routes]]\nname = 'chat'\ntargets = [{ model = 'chat' }]",
        "routes[0].targets[0].model is the route itself",
        "never to routes",
    ),
    "two routes in a circle": (
        "[[routes]]\nname = 'a'\ntargets = [{ model = 'b' }]\n"
        "[[routes]]\nname = 'b'\ntargets = [{ model = 'a' }]",
        "routes[0].targets[0].model is the route 'b'",
        "never to routes",
    ),
    "route without targets": ("[[routes]]\nname = 'a'\ntargets = []", "targets is empty", ""),
    "one target twice": (
        MODELS + "[[routes]]\nname = 'c'\ntargets = [{ model = 'small' }, { model = 'small' }]",
        "routes[0].targets[1] is routes[0].targets[0] again",
        "",
    ),
    "backend that is this server": (
        BACKEND.replace("https://api.example.com", "http://localhost:8000"),
        "backends[0].url is this server itself",
        "round in circles",
    ),
    "key of an unknown tenant": (
        TENANT + KEY.replace("tenant = 'alice'", "tenant = 'alise'"),
        "keys[0].tenant names no tenant: 'alise'",
        "Did you mean alice?",
    ),
    "tenant of an unknown model": (
        MODELS + TENANT + "models = ['smalll']",
        "tenants[0].models[0] names no model or route: 'smalll'",
        "Did you mean small?",
    ),
    "key wider than its tenant": (
        MODELS + TENANT + "models = ['small']\n" + KEY + "models = ['large']",
        "keys[0].models[0] is 'large', which tenant 'alice' may not use",
        "(small)",
    ),
    "minimum over maximum": (
        MODELS + "autoscale = { minimum = 3, maximum = 2 }",
        "models[1].autoscale.minimum is above maximum (3 > 2)",
        "Raise models[1].autoscale.maximum",
    ),
    "more at start than ever": (
        MODELS + "replicas = 4\nautoscale.maximum = 2",
        "models[1].replicas is above autoscale.maximum (4 > 2)",
        "",
    ),
    "remote without addresses": (MODELS + "placer = 'remote'", "models[1].urls is empty", "e.g."),
    "addresses without remote": (
        MODELS + "urls = ['http://a:1']",
        "models[1].urls is set though placer is local",
        "Set placer to remote",
    ),
    "remote without a ticket key": (
        MODELS + "placer = 'remote'\nurls = ['http://a:1']",
        "models[1].placer is remote, which needs edge.ticket_key_file",
        "signed",
    ),
    "ray without its placer": (
        MODELS + "ray = { cpus = 4 }",
        "models[1].ray is set though placer is local",
        "Set placer to ray",
    ),
    "ray by its client's address": (
        MODELS + "placer = 'ray'\nray = { address = 'ray://head:10001' }",
        "models[1].ray.address is not auto or HOST:PORT: 'ray://head:10001'",
        "a node of the cluster",
    ),
    "ray without a processor": (
        MODELS + "placer = 'ray'\nray = { cpus = 0 }",
        "models[1].ray.cpus must be a number above 0",
        "Processors of one replica",
    ),
    "direct without a ticket key": (
        "[edge]\nmode = 'direct'",
        "edge.mode is direct, which needs edge.ticket_key_file",
        "signed",
    ),
    "ticket key that is not there": (
        "[edge]\nmode = 'direct'\nticket_key_file = 'nowhere.key'",
        "edge.ticket_key_file names a file that cannot be read",
        "Write the secret",
    ),
    "key file that is not there": (
        BACKEND + "api_key_file = 'nowhere.key'",
        "backends[0].api_key_file names a file that cannot be read",
        "No such file",
    ),
    "key twice": (
        BACKEND + "api_key = 'sk-canary'\napi_key_file = 'x'",
        "backends[0].api_key_file is set beside api_key",
        "Keep one of the two",
    ),
    "privacy that nothing can keep": (
        BACKEND + ROUTE + TENANT + "privacy = 'local'",
        "tenants[0].privacy is local",
        "private = true",
    ),
    "privacy and a model that leaves": (
        MODELS + BACKEND + ROUTE + TENANT + "privacy = 'local'\nmodels = ['small', 'chat']",
        "tenants[0].models[1] is 'chat', answered only by backends that are not private",
        "Give the route a model of ours",
    ),
    "address without a scheme": (
        BACKEND.replace("https://", ""),
        "backends[0].url is not the address of a server",
        "Write http://api.example.com/v1 or https",
    ),
    "address with the last part": (
        BACKEND.replace("/v1", "/v1/chat/completions"),
        "backends[0].url ends with /chat/completions",
        "Write https://api.example.com/v1",
    ),
    "address with a password": (
        BACKEND.replace("https://", "https://bob:sk-canary@"),
        "backends[0].url has more than host, port and path: 'https://bob:***@api.example.com/v1'",
        "api_key_file",
    ),
    "unknown store": ("[store]\nurl = 'postgres://a/b'", "store.url begins", "postgresql://?"),
    "store without a scheme": ("[store]\nlimits_url = 'a:6379'", "limits_url is no", "redis://"),
    "open to all without a key": ("[server]\nhost = '0.0.0.0'", "needs an API key", "127.0.0.1"),
    "step smaller than its rows": ("[engine]\nmax_step_tokens = 9", "(9 < 64)", "one token"),
    "standing over full": ("[queue]\nmax_seconds = 0.5", "below queue.max_seconds (1 >= 0.5)", ""),
}

UNREADABLE = {
    "not TOML": ("[server\nport = 1", "is not valid TOML", "line 1"),
    "YAML in a TOML file": ("server:\n  port: 1", "is not valid TOML", "Name the file .yaml"),
    "one key twice": (
        "[log]\nlevel = 'info'\nlevel = 'info'",
        "is not valid TOML",
        "Cannot overwrite",
    ),
}

YAML = {
    "yaml, typo": ("sever:\n  port: 1", "unknown section [sever]", "Did you mean [server]?"),
    "yaml, key in a list": ("models:\n- nme: a", "models[0].nme", "Did you mean models[0].name?"),
    "yaml, no list": ("models:\n  name: a", "models must be a list of tables", "begin each with"),
    "yaml, no for false": ("engine:\n  prefix_cache: no", "must be true or false", "'no'"),
    "yaml, nothing": ("server:\n  port:", "server.port must be a whole number", "not empty"),
    "yaml, one key twice": ("log:\n  level: info\n  level: info", "stands twice", "line 3"),
    "yaml, tabs": ("log:\n\tlevel: info", "is not valid YAML", "line 2"),
    "yaml, an anchor": ("log: &a\n  level: info", "anchors and aliases are not", "line 1"),
    "yaml, two documents": ("log:\n---\nlog:", "more than one document", ""),
    "yaml, a deep nest": ("log: " + "[" * 40, "nested too deeply", "line 1"),
    "yaml, a tag": ("log: !!python/object:os.system {}", "tags are not taken", "line 1"),
    "yaml, a list of all": ("- server", "no table of sections", ""),
}

CASES = [
    *((name, "stoker.toml", *case)
      for table in (UNKNOWN, WRONG, CONTRADICTORY, UNREADABLE) for name, case in table.items()),
    *((name, "stoker.yaml", *case) for name, case in YAML.items()),
]  # fmt: skip


def test_there_are_as_many_cases_as_promised() -> None:
    assert len(CASES) >= 60


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    from stoker.config.environment import CONFIG_FILE, VARIABLES

    for name in (CONFIG_FILE, *VARIABLES):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.fault("F17")
@pytest.mark.parametrize("command", [["config", "check"], ["serve", "--config"]], ids=" ".join)
@pytest.mark.parametrize(
    ("file", "text", "says", "helps"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_one_line_says_what_and_where(
    command: list[str],
    file: str,
    text: str,
    says: str,
    helps: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / file).write_text(text)
    began = time.process_time()
    assert entry.run([*command, str(tmp_path / file)]) == 2
    assert time.process_time() - began < CPU_SECONDS
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert shown.err.startswith("stoker: ")
    assert says in shown.err
    assert helps.rstrip("?") in shown.err
    assert shown.err.rstrip("\n").isprintable()
    assert "sk-canary" not in shown.err


@pytest.mark.parametrize("command", [["config", "check"], ["serve", "--config"]], ids=" ".join)
def test_a_cold_start_says_so_within_a_second(command: list[str], tmp_path: Path) -> None:
    """Of processor time, so that a busy machine fails nothing."""
    (tmp_path / "stoker.yaml").write_text("models:\n- nme: a")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    finished = subprocess.run(
        [sys.executable, "-m", "stoker", *command, str(tmp_path / "stoker.yaml")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert finished.returncode == 2
    assert "Did you mean models[0].name?"[:-1] in finished.stderr
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < CPU_SECONDS


def test_a_port_in_use_is_said_before_anything_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "stoker.toml").write_text(f"[server]\nport = {port}\n")
        assert entry.run(["serve", "--config", str(tmp_path / "stoker.toml")]) == 2
    shown = capsys.readouterr().err
    assert f"cannot listen on 127.0.0.1:{port}" in shown
    assert "--port" in shown
