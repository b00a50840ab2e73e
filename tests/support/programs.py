"""Real servers for tests: Debian's own, in a folder and on a port of their own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stoker.bench.server import free_port

START_SECONDS = 60.0


def program(name: str, package: str) -> str:
    """Its path. It is installed when it is missing; a test that needs it fails rather than being
    skipped."""
    found = _find(name)
    if found is None:
        for command in (["update"], ["install", "-y", "--no-install-recommends", package]):
            subprocess.run(["apt-get", "-qq", *command], check=False, timeout=600)
        found = _find(name)
    if found is None:
        raise FileNotFoundError(f"tests need {name}: apt-get install {package}")
    return found


def _find(name: str) -> str | None:
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(debian[-1]) if debian else None)


@contextmanager
def running(
    command: Sequence[str], folder: Path, ready: str, user: str | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Once it has written `ready`. Ended with the block, if it still runs."""
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, cwd=folder, user=user
        )
    try:
        until = time.monotonic() + START_SECONDS
        while ready not in log.read_text(errors="replace"):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command[0]} did not start: {log.read_text()[-2000:]}")
            time.sleep(0.01)
        yield process
    finally:
        process.send_signal(signal.SIGINT)  # ends without waiting for clients
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Redis:
    """It runs inside `started`, and keeps its data between two of these."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()

    @contextmanager
    def started(self) -> Iterator[str]:
        command = [
            program("redis-server", "redis-server"), "--port", str(self._port),
            "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "no",
            "--dir", str(self._folder),
        ]  # fmt: skip
        with running(command, self._folder, "Ready to accept connections"):
            yield f"redis://127.0.0.1:{self._port}"


@contextmanager
def redis() -> Iterator[Redis]:
    with tempfile.TemporaryDirectory(prefix="stoker-redis-") as folder:
        yield Redis(Path(folder))


class Postgresql:
    """A cluster; it runs inside `started`, and keeps its data between two of these."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._user = "postgres" if os.geteuid() == 0 else None
        self.url = f"postgresql://stoker@127.0.0.1:{self._port}/postgres"
        if self._user is not None:  # it refuses to run as root
            account = pwd.getpwnam(self._user)
            os.chown(folder, account.pw_uid, account.pw_gid)
        subprocess.run(
            [
                program("initdb", "postgresql"), "--pgdata", str(folder / "data"),
                "--auth", "trust", "--username", "stoker", "--no-sync", "--no-locale",
                "--encoding", "utf8",
            ],
            check=True, capture_output=True, user=self._user, cwd=folder,
        )  # fmt: skip

    @contextmanager
    def started(self) -> Iterator[str]:
        command = [
            program("postgres", "postgresql"), "-D", str(self._folder / "data"),
            "-p", str(self._port), "-h", "127.0.0.1", "-k", "", "-F",
        ]  # fmt: skip
        with running(command, self._folder, "ready to accept connections", self._user):
            yield self.url


@contextmanager
def postgresql() -> Iterator[Postgresql]:
    with tempfile.TemporaryDirectory(prefix="stoker-postgresql-") as folder:
        program("initdb", "postgresql")  # brings the user
        yield Postgresql(Path(folder))
