"""A Ray cluster on this machine whose nodes come and go, in a process of its own.

Run as a program it keeps a head without processors, and obeys lines: `add CPUS` starts a node and
answers with its number, `remove NUMBER` kills one. When the input ends, so does the cluster.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.process_tree import await_end, descendants

QUICK = {
    "health_check_initial_delay_ms": 500,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 3,
}
"""A dead node is missed within seconds."""


class RayNodes:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = self._answer()

    def add(self, cpus: int) -> int:
        return int(self._ask(f"add {cpus}"))

    def remove(self, number: int) -> None:
        """As if its machine had lost power."""
        self._ask(f"remove {number}")

    @property
    def pid(self) -> int:
        return self._process.pid

    def _ask(self, text: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        text = self._process.stdout.readline()
        assert text.startswith("= "), text
        return text[2:].strip()


@contextmanager
def ray_cluster() -> Iterator[RayNodes]:
    """Nothing of it is left afterwards, on the disk or running."""
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_enable_open_telemetry": "0"}
    with (
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder,
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            [sys.executable, "-m", __name__, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **quiet},
        ) as process,
    ):
        try:
            yield RayNodes(process)
        finally:
            assert process.stdin is not None
            below = descendants(process.pid)
            process.stdin.close()
            process.wait(60)
            await_end(below)


def main(folder: str) -> None:
    from ray.cluster_utils import Cluster

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray prints where it likes
    here: dict[str, Any] = {"temp_dir": folder}
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": QUICK}
    cluster = Cluster(initialize_head=True, head_node_args={**head, **here})
    nodes: list[Any] = []
    print("=", cluster.address, file=answers, flush=True)
    for line in sys.stdin:
        verb, number = line.split()
        if verb == "add":
            nodes.append(cluster.add_node(num_cpus=int(number), **here))
            print("=", len(nodes) - 1, file=answers, flush=True)
        else:
            cluster.remove_node(nodes[int(number)], allow_graceful=False)
            print("=", "gone", file=answers, flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
