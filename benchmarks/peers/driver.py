"""Our side of a driver: drivers/protocol.py has the other."""

from __future__ import annotations

import json
import time
from typing import Any

from benchmarks.peers.catalog import Peer, Setting
from benchmarks.peers.process import PeerProcess


class RowFailed(Exception):
    """The peer could not do this row; the message goes into the table."""


class Driver:
    """A peer's engine in a process of its own, ready when constructed."""

    def __init__(self, peer: Peer, setting: Setting) -> None:
        log = setting.folder / "log" / f"{peer.name}-engine.log"
        self.process = PeerProcess(peer.driver_command(setting), peer.environment(setting), log)
        try:
            self.label = self._read()["label"]
        except BaseException:
            self.process.end()
            raise
        self.ready_seconds = time.perf_counter() - self.process.started

    def ask(self, operation: str, **fields: object) -> Any:
        pipe = self.process.process.stdin
        assert pipe is not None
        pipe.write(json.dumps({"operation": operation} | fields) + "\n")
        pipe.flush()
        answer = self._read()
        if "error" in answer:
            raise RowFailed(answer["error"])
        return answer["answer"]

    def _read(self) -> Any:
        pipe = self.process.process.stdout
        assert pipe is not None
        line = pipe.readline()
        if not line:
            raise RowFailed(f"ended early; see {self.process.log}")
        return json.loads(line)
