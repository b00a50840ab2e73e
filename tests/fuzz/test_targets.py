"""Every fuzz target for a moment, with fixed damage to its seeds. `make fuzz` looks for longer."""

from __future__ import annotations

import importlib
import random

import pytest

TARGETS = {"gguf": 150, "kernels": 1500, "decoder": 300, "sampler": 4000}
"""Inputs for about two seconds each."""


def damaged(seed: bytes, generator: random.Random) -> bytes:
    data = bytearray(seed)
    for _ in range(generator.choice((1, 2, 4, 16))):
        at = generator.randrange(len(data))
        match generator.randrange(4):
            case 0:
                data[at] ^= 1 << generator.randrange(8)
            case 1:
                data[at] = generator.choice((0, 1, 127, 128, 250, 255))
            case 2:
                data[at : at + 8] = generator.randbytes(8)
            case _:
                data = data[: max(at, 1)]
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_input_ends_well(name: str) -> None:
    target = importlib.import_module(f"tests.fuzz.{name}_target")
    seeds = target.seeds()
    generator = random.Random(1)
    for seed in seeds:
        target.run(seed)
    for _ in range(TARGETS[name]):
        target.run(damaged(generator.choice(seeds), generator))
