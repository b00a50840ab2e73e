"""`stoker serve` as a user runs it: the real command, the real model, signals and all."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.model


class Running:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        line = process.stdout.readline()
        found = re.search(r"is served at (\S+) \(ready in ([\d.]+) s\)", line)
        assert found, f"{line!r} {process.stderr.read()}"
        self.url, self.seconds = found[1], float(found[2])

    def get(self, path: str) -> dict:
        with urllib.request.urlopen(self.url + path, timeout=30) as response:
            return json.load(response)

    def complete(self, **fields: object) -> dict:
        body = {"model": "smollm2:135m", "prompt": "The capital of France is", "temperature": 0}
        request = urllib.request.Request(
            f"{self.url}/v1/completions",
            json.dumps(body | fields).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def children(self) -> list[int]:
        listing = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in listing.split()]


@contextmanager
def serving(*arguments: str) -> Iterator[Running]:
    with subprocess.Popen(
        [sys.executable, "-m", "stoker", "serve", "--port", "0", *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield Running(process)
        finally:
            if process.poll() is None:
                process.kill()


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_and_a_signal_ends_it_cleanly(sent: signal.Signals) -> None:
    with serving() as server:
        assert server.get("/health/ready") == {"status": "ready"}
        answer = server.complete(max_tokens=4)
        assert answer["choices"][0]["text"].startswith(" Paris")
        assert answer["usage"]["completion_tokens"] == 4
        engines = server.children()
        assert len(engines) == 1
        server.process.send_signal(sent)
        assert server.process.wait(30) == 0
        assert all(gone(pid) for pid in engines)
        assert "Traceback" not in server.process.stderr.read()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_model_loads_ends_it_cleanly(sent: signal.Signals) -> None:
    """It listens before the engine is ready, and that is when it is told to stop."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen(
        [sys.executable, "-m", "stoker", "serve", "--port", str(port)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        while process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
        process.send_signal(sent)
        assert process.wait(30) == 0
        assert "stoker:" not in process.stderr.read()


def test_settings_reach_the_server(tmp_path: Path) -> None:
    path = tmp_path / "stoker.toml"
    path.write_text("[model]\nserved_name = 'tiny'\n[engine]\nmax_context = 64\n")
    with serving("--config", str(path)) as server:
        assert server.get("/v1/models")["data"][0]["id"] == "tiny"
        with pytest.raises(urllib.error.HTTPError) as caught:
            server.complete(model="tiny", max_tokens=100)
        with caught.value as refusal:
            assert refusal.code == 400
            assert json.load(refusal)["error"]["code"] == "context_length_exceeded"


def test_a_port_in_use_is_one_line_before_anything_loads() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        finished = subprocess.run(
            [sys.executable, "-m", "stoker", "serve", "--port", str(taken.getsockname()[1])],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert finished.returncode == 2
    assert "Address already in use (Another server is running there" in finished.stderr
    assert len(finished.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--host", "0.0.0.0"], "listening on 0.0.0.0 needs an API key"),
        (["./nowhere.gguf"], "there is no file or folder './nowhere.gguf'"),
        (["--kernels", "avx9"], "engine.kernels must be one of"),
        (["--port", "http"], "server.port must be a whole number from 0 to 65535, not 'http'"),
        (["--kv-cache-mib", "999999999"], "engine.kv_cache_mib: 999999999 MiB is more than"),
    ],
)
def test_a_server_that_cannot_start_says_why_and_exits_2(arguments: list[str], says: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "stoker", "serve", "--port", "0", *arguments],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert finished.returncode == 2, finished.stderr
    assert says in finished.stderr
    assert len(finished.stderr.splitlines()) == 1


def test_a_file_that_is_not_a_model_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + b"\xff" * 64)
    finished = subprocess.run(
        [sys.executable, "-m", "stoker", "serve", "--port", "0", str(path)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert finished.returncode == 2
    assert len(finished.stderr.splitlines()) == 1
    assert finished.stderr.startswith(f"stoker: {path}: ")


def test_run_answers_in_this_process() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "stoker", "run", "smollm2:135m", "The capital of France is",
         "--raw", "--temperature", "0", "--max-tokens", "4"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith(" Paris")
