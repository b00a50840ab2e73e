"""Experts see rows of many sequences at once: what one gets must not depend on the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stoker.executor.native import NativeExecutor, NativeOptions
from stoker.kernels.decoder import available_kernels
from stoker.model.load import open_model
from tests.support.architectures import golden

LENGTHS = (1, 70, 3, 17, 40)


@pytest.mark.parametrize("kernels", available_kernels())
@pytest.mark.parametrize("name", ["mixtral", "qwen2_moe", "gpt_oss"])
def test_a_sequence_alone_equals_it_in_a_crowd(name: str, kernels: str, tmp_path: Path) -> None:
    """Bit for bit, on one thread and on two, whole and in pieces."""
    model = open_model(golden(name).write_folder(tmp_path))
    generator = np.random.default_rng(3)
    sequences = [generator.integers(0, 96, length).tolist() for length in LENGTHS]
    logits = []
    for threads in (1, 2):
        options = NativeOptions(threads=threads, kv_bytes=1 << 22, max_context=128, kernels=kernels)
        executor = NativeExecutor(model, options)
        executor.load()
        logits.append([executor.forward_logits(tokens) for tokens in sequences])
        logits.append(together(executor, sequences))
        logits.append([in_pieces(executor, tokens) for tokens in sequences])
    model.close()
    for others in logits[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(logits[0], others, strict=True))


def together(executor: NativeExecutor, sequences: list[list[int]]) -> list[np.ndarray]:
    runs, tables, first_block = [], [], 0
    for tokens in sequences:
        pages = -(-len(tokens) // 16)
        runs.append([0, len(tokens), len(tables)])
        tables += range(first_block, first_block + pages)
        first_block += pages
    found = executor.decoder.forward_logits(
        np.array([token for tokens in sequences for token in tokens], dtype=np.int32),
        np.array(runs, dtype=np.int32),
        np.array(tables, dtype=np.int32),
    )
    return np.split(found, np.cumsum([len(tokens) for tokens in sequences])[:-1])


def in_pieces(executor: NativeExecutor, tokens: list[int]) -> np.ndarray:
    table = np.arange(-(-len(tokens) // 16), dtype=np.int32)
    pieces = [
        executor.decoder.forward_logits(
            np.array(tokens[at : at + 13], dtype=np.int32),
            np.array([[at, len(tokens[at : at + 13]), 0]], dtype=np.int32),
            table,
        )
        for at in range(0, len(tokens), 13)
    ]
    return np.concatenate(pieces)
