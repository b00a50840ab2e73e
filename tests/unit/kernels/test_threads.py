"""The thread pool under a decoder: any number of threads, awake or asleep, gives the same bits.

`make sanitize` runs this under the thread sanitizer, which is what it is mostly for."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from stoker.kernels import _native
from stoker.kernels.decoder import load_decoder
from stoker.model.load import open_model
from tests.support.checkpoints import write_gguf

STEPS = 8
VOCABULARY = 200


def load(path: Path, threads: int) -> _native.Decoder:
    model = open_model(path)
    decoder = load_decoder(model.spec, model.weights, threads=threads)
    model.close()
    decoder.allocate_kv(16)
    return decoder


def step(decoder: _native.Decoder, first: int, count: int) -> list[np.ndarray]:
    """Three sequences of `count` tokens each at positions first.., every row sampled."""
    rows = 3 * count
    runs = np.array([(first, count, 4 * i) for i in range(3)], dtype=np.int32)
    wanted = np.tile(np.array([0, 0, 0, 2, -1], dtype=np.int32), (rows, 1))
    wanted[:, 0] = np.arange(rows)
    history = np.arange(rows, dtype=np.int32) % VOCABULARY
    return list(
        decoder.step(
            (np.arange(rows, dtype=np.int32) * 7 + first) % VOCABULARY,
            runs,
            np.arange(12, dtype=np.int32),
            wanted,
            np.tile(np.array([0.9, 0.9, 0.0, 1.1, 0.1, 0.1], dtype=np.float32), (rows, 1)),
            np.arange(rows, dtype=np.uint64),
            np.full(rows, first, dtype=np.int64),
            history,
            np.arange(rows + 1, dtype=np.int32),
            np.empty(0, dtype=np.int32),
            np.empty(0, dtype=np.float32),
            np.zeros(rows + 1, dtype=np.int32),
            2,
        )
    )


def generate(decoder: _native.Decoder) -> list[np.ndarray]:
    outputs = step(decoder, 0, 20)
    for position in range(20, 20 + STEPS):
        outputs += step(decoder, position, 1)
    return outputs


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("threads") / "model.gguf", "qwen3")


@pytest.fixture(scope="module")
def alone(path: Path) -> list[np.ndarray]:
    return generate(load(path, threads=1))


@pytest.mark.parametrize("threads", [2, 3, 4, 7])
def test_any_number_of_threads_gives_the_same(
    threads: int, path: Path, alone: list[np.ndarray]
) -> None:
    decoder = load(path, threads)
    for _ in range(3):
        for ours, wanted in zip(generate(decoder), alone, strict=True):
            np.testing.assert_array_equal(ours, wanted)


def test_two_decoders_at_once_do_not_meet(path: Path, alone: list[np.ndarray]) -> None:
    results: dict[int, list[np.ndarray]] = {}
    decoders = [load(path, threads=3) for _ in range(2)]

    def work(number: int) -> None:
        results[number] = generate(decoders[number])

    workers = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for number in range(2):
        for ours, wanted in zip(results[number], alone, strict=True):
            np.testing.assert_array_equal(ours, wanted)


def test_pools_end_whether_their_threads_have_worked_or_not(path: Path) -> None:
    model = open_model(path)
    for threads in (2, 4, 8) * 5:
        load_decoder(model.spec, model.weights, threads=threads)
    model.close()
