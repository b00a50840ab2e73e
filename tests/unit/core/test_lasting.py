"""A process that has started does not look through what it made; what comes later goes as ever."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc, weakref
from stoker.core.lasting import keep_what_was_made

class Node: pass

made = [Node() for _ in range(50_000)]
keep_what_was_made()
looked_through = len(gc.get_objects())
later = Node()
later.itself = later
gone = weakref.ref(later)
del later
filler = [[] for _ in range(200_000)]  # enough of them for a collection by itself
print(looked_through, gone() is None)
"""


def test_what_a_start_made_is_not_looked_through_and_later_cycles_go() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    looked_through, gone = done.stdout.split()
    assert int(looked_through) < 1000
    assert gone == "True"
