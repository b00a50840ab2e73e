"""No file descriptor is left: connections wait, nothing spins, and it recovers (F19)."""

from __future__ import annotations

import os
import resource
import socket
import time
import urllib.request
from pathlib import Path

import pytest

from tests.support.serving_process import ServingProcess, serving_process

SPARE = 6


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def healthy(serving: ServingProcess, timeout: float = 10) -> bool:
    try:
        with urllib.request.urlopen(f"{serving.url}/health/ready", timeout=timeout) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@pytest.mark.fault("F19")
def test_without_descriptors_it_neither_spins_nor_dies_and_serves_again_with_some() -> None:
    with serving_process() as serving:
        pid = serving.process.pid
        assert healthy(serving)
        used = len(os.listdir(f"/proc/{pid}/fd"))
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + SPARE, before[1]))
        waiting = [socket.create_connection(("127.0.0.1", serving.port)) for _ in range(4 * SPARE)]
        assert not healthy(serving, timeout=0.5)
        busy, began = cpu_seconds(pid), time.monotonic()
        assert not healthy(serving, timeout=1.5)
        assert cpu_seconds(pid) - busy < 0.5 * (time.monotonic() - began)
        for connection in waiting:
            connection.close()
        assert any(healthy(serving, timeout=2) for _ in range(10))
        assert "Traceback" not in serving.said()
