"""A command on a leash ends with the process that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from stoker.fleet import leash
from tests.support.process_tree import await_end, command

PARENT = """
import os, subprocess, sys
command = [sys.executable, "-m", "stoker.fleet.leash", str(os.getpid()), "/bin/sleep", "300"]
child = subprocess.Popen(command)
print(child.pid, flush=True)
child.wait()
"""


def test_it_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        while command(child).strip() != "/bin/sleep 300":
            assert parent.poll() is None
        parent.send_signal(signal.SIGKILL)
        await_end([child])


def test_it_does_not_begin_when_its_parent_is_gone() -> None:
    late = [sys.executable, "-m", leash.__name__, str(os.getpid() + 1), "/bin/echo", "begun"]
    finished = subprocess.run(late, capture_output=True, text=True, check=True)
    assert finished.stdout == ""
