"""What runs on a Ray node: an actor that keeps `stoker serve --replica` as its child process.

Plain strings and numbers go in and out. Requests and tokens do not come this way: fronts talk to
the child over HTTP.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO

import ray

ANNOUNCED = re.compile(r"served at (http://\S+)")
"""On the child's standard output, once it takes requests."""
DRAIN_SECONDS = 1.0
"""The front has drained it already, or its streams go on elsewhere."""


class ReplicaActor:
    """Made on the main thread of its process, whose end is then the child's. Its methods wait, so
    it needs three threads."""

    def __init__(self, program: Sequence[str], settings: str, key: str) -> None:
        files = {"--config": _in_memory(settings), "--ticket-key-file": _in_memory(key)}
        self._url = ""
        self._last_words = ""
        self._announced = threading.Event()
        self._process = subprocess.Popen(
            _command(program, files),
            pass_fds=tuple(files.values()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        for descriptor in files.values():
            os.close(descriptor)
        self._readers = [
            threading.Thread(target=self._read, args=read, daemon=True)
            for read in (
                (self._process.stdout, self._said),
                (self._process.stderr, self._complained),
            )
        ]
        for reader in self._readers:
            reader.start()

    def url(self) -> str:
        """Where it serves, once it does. Empty: it ended before."""
        self._announced.wait()
        return self._url

    def ended(self) -> tuple[int, str]:
        """Its exit code and the last line it wrote to standard error, once it ended."""
        code = self._process.wait()
        for reader in self._readers:
            reader.join()
        return code, self._last_words

    def stop(self, seconds: float) -> None:
        """Ends it, by force if it takes longer."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _read(self, stream: IO[str], heard: Callable[[str], None]) -> None:
        with stream:
            for text in stream:
                heard(text)
        self._announced.set()

    def _said(self, text: str) -> None:
        found = ANNOUNCED.search(text)
        if found and not self._announced.is_set():
            self._url = found[1]
            self._announced.set()

    def _complained(self, text: str) -> None:
        """Goes on to the actor's log, too."""
        sys.stderr.write(text)
        self._last_words = text.strip() or self._last_words


def _in_memory(text: str) -> int:
    """A file that only processes which are given its descriptor can read, and that ends with them:
    the key is on no disk."""
    descriptor = os.memfd_create("stoker")
    os.fchmod(descriptor, 0o600)
    os.write(descriptor, text.encode())
    return descriptor


def _command(program: Sequence[str], files: Mapping[str, int]) -> list[str]:
    """Flags win over what the node's environment says."""
    python = [sys.executable, "-m", "stoker.fleet.leash", str(os.getpid()), sys.executable]
    given = [
        text for flag, descriptor in files.items() for text in (flag, f"/proc/self/fd/{descriptor}")
    ]
    host: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    address = ["--host", host, "--port", "0", "--replica", "--drain-seconds", str(DRAIN_SECONDS)]
    return [*python, *program, *given, *address]
