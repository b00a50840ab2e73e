"""Runs a command that ends when the process that started it does, however that ends.

    python -m stoker.fleet.leash PARENT_PID COMMAND ...

The kernel kills it when the parent's thread ends; the wish outlives exec (prctl(2)). A signal that
could be ignored would leave a hung process with the memory that its successor needs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> int:
    """Only returns when the parent is gone already. For Linux."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() == parent:
        os.execv(command[0], command)  # noqa: S606 - the command of whoever started this process
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
