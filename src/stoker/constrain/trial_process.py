"""Tries constraints out: `python -m stoker.constrain.trial_process`, started by trial.py.

What a constraint does to the library that compiles it, it does here: a crash, a hang or all memory
taken ends this process and nothing else. It reads a token table, then constraints, and answers each
with what is wrong with it, or nothing. It ends when its input does.
"""

from __future__ import annotations

import math
import os
import random
import resource
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from stoker.constrain.compiler import Compiler
from stoker.constrain.matcher import Matcher
from stoker.constrain.token_table import TokenTable
from stoker.core.constraint import Constraint
from stoker.errors import UnsupportedConstraint

Ids = NDArray[np.signedinteger[Any]]
Choose = Callable[[Ids], Any]
LENGTH = struct.Struct("<I")
MEMORY = 256 << 20
"""Bytes a constraint may take besides what the vocabulary does."""
PROCESSOR_SECONDS = 1
"""Rounded up to whole seconds of this process, as the system counts them."""
STEPS = 32
"""Tokens of an answer that are tried: limits are met where there is most to choose from."""
WALK_SECONDS = 0.4
"""Processor time for all of them. Steps that others are in wait for as long as a token takes, which
the library's own limits do not bound in every case."""


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    table = msgspec.msgpack.decode(_read(source), type=TokenTable)
    compiler = Compiler(table, kept=0)  # what one takes is no burden on the next
    resource.setrlimit(resource.RLIMIT_AS, (_size() + MEMORY, resource.RLIM_INFINITY))
    decoder = msgspec.msgpack.Decoder(Constraint)
    while message := _read(source):
        reason = verdict(compiler, decoder.decode(message), table).encode(errors="replace")
        sink.write(LENGTH.pack(len(reason)) + reason)
        sink.flush()


def verdict(compiler: Compiler, constraint: Constraint, table: TokenTable) -> str:
    """What is wrong with it; empty: nothing was found."""
    _allow_seconds(PROCESSOR_SECONDS)
    try:
        matcher = compiler.matcher(constraint)
    except UnsupportedConstraint as error:
        return error.message
    except MemoryError:
        return "it takes too much memory"
    lengths = np.frombuffer(table.lengths, np.uint16)
    draw = random.Random(0)  # noqa: S311 - the same each time
    walks = (
        lambda allowed: allowed[np.argmax(lengths[allowed])],
        lambda allowed: allowed[draw.randrange(allowed.size)],
    )
    ends = np.array(table.ends)
    started = time.process_time()
    sound = all(_walks(matcher.copy(), choose, ends) for choose in walks)
    quick = time.process_time() - started < WALK_SECONDS
    return "" if sound and quick else "it is too complex to be enforced"


def _walks(matcher: Matcher, choose: Choose, ends: Ids) -> bool:
    """Whether an answer can be begun, which is not ended before it has to be."""
    for _ in range(STEPS):
        bits = np.unpackbits(np.frombuffer(matcher.masks()[0], np.uint8), bitorder="little")
        allowed = np.flatnonzero(bits)
        if not allowed.size:
            return False
        going_on = allowed[~np.isin(allowed, ends)]
        if not going_on.size:
            return True
        matcher.advance(int(choose(going_on)))
        if matcher.failed:
            return False
        if matcher.complete:
            return True
    return True


def _allow_seconds(seconds: int) -> None:
    """From now; after them the system ends the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = math.ceil(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


def _size() -> int:
    pages = Path("/proc/self/statm").read_text().split()[0]
    return int(pages) * resource.getpagesize()


def _read(source: BinaryIO) -> bytes:
    """The next message; empty when there is no more."""
    head = source.read(LENGTH.size)
    return source.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else b""


if __name__ == "__main__":
    os.nice(10)  # streams go first
    serve(sys.stdin.buffer, sys.stdout.buffer)
