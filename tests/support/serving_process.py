"""`stoker serve` in a process of its own, with the fake executor in the model's place.

Run as a program it takes FakeOptions as JSON, then the command line. Everything else is the real
thing: flags, engine processes, pool, signals, exit code.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from stoker.cli import main, served_model
from stoker.cli.placing import make_placer
from stoker.config.fleet_schema import ModelEntry
from stoker.config.schema import Config
from stoker.core.clock import SystemClock
from stoker.engine.adapter_shelf import AdapterShelf
from stoker.engine.frames import EngineSettings
from stoker.executor.fake import FakeOptions
from stoker.fleet.interface import ReplicaSpec
from stoker.gateway.balancing import Balancing
from stoker.gateway.pool import ReplicaPool
from stoker.text.load import TextModel
from tests.support.server import MODEL
from tests.support.text import tiny_text, vocab_size

WAIT_SECONDS = 30.0
SLOW = {"step_seconds": 0.005, "num_blocks": 2048, "max_context": 2048}


class FakeServedModel:
    """In the place of ServedModel."""

    options: FakeOptions

    def __init__(self, entry: ModelEntry, config: Config) -> None:
        self.entry = entry
        engine = EngineSettings(executor="fake", fake=self.options)
        spec = ReplicaSpec(model=entry.name, source="", engine=engine)
        self.adapters = AdapterShelf()
        placer = make_placer(entry, spec, config, lambda done, total: None, self.adapters)
        self.backend = ReplicaPool(placer, Balancing(config.balance), SystemClock())

    async def start(self) -> None:
        await self.backend.start(self.entry.replicas)

    async def text(self) -> TextModel:
        return tiny_text()

    async def close(self) -> None:
        await self.backend.close()


class ServingProcess:
    def __init__(self, process: subprocess.Popen[str], log: IO[str]) -> None:
        self.process = process
        self.url = ""
        self._log = log

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def announced(self) -> None:
        """Waits until it says where it serves."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"served at (\S+) ", line)
        assert found, f"{line!r} {self.said()}"
        self.url = found[1]

    def said(self) -> str:
        """On its standard error so far."""
        self._log.seek(0)
        return self._log.read()

    def send(self, which: signal.Signals) -> None:
        self.process.send_signal(which)

    def ended(self, within: float = WAIT_SECONDS) -> int:
        """The exit code."""
        return self.process.wait(within)

    def stopped(self) -> None:
        """Waits until a stop signal has taken effect."""
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def engines(self) -> list[int]:
        pid = self.process.pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def serving_process(
    *arguments: str, announced: bool = True, **options: Any
) -> Iterator[ServingProcess]:
    """`announced`: once it serves. Killed at the end if it still runs, and its engines with it."""
    chosen = json.dumps(SLOW | options)
    command = [sys.executable, "-m", __name__, chosen, "serve", MODEL, "--port", "0", *arguments]
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        running = ServingProcess(process, log)
        try:
            if announced:
                running.announced()
            yield running
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()


@contextmanager
def replica_process(key_file: Path, port: int = 0, **options: Any) -> Iterator[ServingProcess]:
    """`stoker serve --replica`."""
    arguments = ["--replica", "--ticket-key-file", str(key_file), "--port", str(port)]
    with serving_process(*arguments, **options) as running:
        yield running


if __name__ == "__main__":
    FakeServedModel.options = FakeOptions(vocab_size=vocab_size(), **json.loads(sys.argv[1]))
    served_model.ServedModel = FakeServedModel  # type: ignore[assignment,misc]
    sys.exit(main.run(sys.argv[2:]))
