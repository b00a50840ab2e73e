"""One process of a peer, with its children: started, paused while others are measured, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

STOP_SECONDS = 15.0
IDLE_SHARE = 0.03
IDLE_WINDOW = 0.2
IDLE_DEADLINE = 30.0


class PeerProcess:
    """Its messages go to `log`. Paused processes keep their memory and take no processor."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self.started = time.perf_counter()
        with log.open("wb") as messages:
            self.process = subprocess.Popen(
                command,
                env=dict(os.environ) | dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=messages,
                text=True,
                start_new_session=True,
            )

    def pause(self) -> None:
        self.settle()
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def settle(self) -> None:
        """Waits until it computes nothing: an abandoned request may go on for a while."""
        deadline = time.monotonic() + IDLE_DEADLINE
        while time.monotonic() < deadline:
            before = self._processor_seconds()
            time.sleep(IDLE_WINDOW)
            if self._processor_seconds() - before < IDLE_SHARE * IDLE_WINDOW + 0.01:
                return

    def memory_mib(self) -> float:
        """Resident memory of all its processes; pages they share are counted once."""
        return sum(_proportional_kib(one) for one in self._tree()) / 1024

    def end(self) -> None:
        tree = self._tree()
        self.resume()
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        for one in tree:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _signal(self, number: signal.Signals) -> None:
        for one in self._tree():
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, number)

    def _tree(self) -> list[int]:
        """Its own id first, then those of all descendants."""
        found = [self.process.pid] if self.process.poll() is None else []
        for one in found:
            for listing in Path(f"/proc/{one}/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    found += [int(child) for child in listing.read_text().split()]
        return found

    def _processor_seconds(self) -> float:
        ticks = 0
        for one in self._tree():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def _proportional_kib(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
