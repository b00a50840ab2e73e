"""Every architecture against what transformers computes for a small random checkpoint of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stoker.executor.native import NativeExecutor, NativeOptions
from stoker.kernels.decoder import available_kernels
from stoker.kernels.reference.decoder import ReferenceDecoder
from stoker.model.load import Model, open_model
from tests.support.architectures import NAMES, Golden, golden
from tests.support.gguf_architectures import write_gguf

ROUNDED_CACHE = 4e-3
"""Of the largest logit: keys and values are kept in half precision, which transformers does not."""


def native(model: Model, kernels: str = "auto") -> NativeExecutor:
    options = NativeOptions(threads=2, kv_bytes=1 << 22, max_context=128, kernels=kernels)
    executor = NativeExecutor(model, options)
    executor.load()
    return executor


def agree(logits: np.ndarray, wanted: Golden) -> None:
    apart = np.abs(logits[wanted.rows] - wanted.logits).max()
    assert apart < ROUNDED_CACHE * np.abs(wanted.logits).max()


@pytest.mark.parametrize("name", NAMES)
def test_logits_equal_those_of_transformers(name: str, tmp_path: Path) -> None:
    """The definition to 1e-3, and the native core but for its half precision cache."""
    wanted = golden(name)
    model = open_model(wanted.write_folder(tmp_path))
    reference = ReferenceDecoder(model.spec, model.weights).forward(wanted.tokens)
    np.testing.assert_allclose(reference[wanted.rows], wanted.logits, atol=1e-3)
    executor = native(model)
    agree(executor.forward_logits(wanted.tokens), wanted)
    executor.close()


@pytest.mark.parametrize("name", NAMES)
def test_greedy_tokens_equal_those_of_transformers(name: str, tmp_path: Path) -> None:
    wanted = golden(name)
    executor = native(open_model(wanted.write_folder(tmp_path)))
    tokens = list(wanted.tokens)
    for _ in wanted.greedy:
        tokens.append(int(executor.forward_logits(tokens)[-1].argmax()))
    executor.close()
    assert tokens[len(wanted.tokens) :] == wanted.greedy


@pytest.mark.parametrize("kernels", available_kernels())
@pytest.mark.parametrize("name", ["gpt_oss", "qwen2_moe", "gpt_neox"])
def test_every_instruction_set_agrees(name: str, kernels: str, tmp_path: Path) -> None:
    wanted = golden(name)
    executor = native(open_model(wanted.write_folder(tmp_path)), kernels)
    agree(executor.forward_logits(wanted.tokens), wanted)
    executor.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_gguf_file_computes_the_same(name: str, tmp_path: Path) -> None:
    wanted = golden(name)
    model = open_model(write_gguf(tmp_path / "model.gguf", name, wanted))
    reference = ReferenceDecoder(model.spec, model.weights).forward(wanted.tokens)
    np.testing.assert_allclose(reference[wanted.rows], wanted.logits, atol=1e-3)
    executor = native(model)
    agree(executor.forward_logits(wanted.tokens), wanted)
    executor.close()


@pytest.mark.skipif(len(available_kernels()) < 3, reason="one vector set only")
@pytest.mark.parametrize("name", NAMES)
def test_vector_sets_agree_bit_for_bit(name: str, tmp_path: Path) -> None:
    wanted = golden(name)
    model = open_model(wanted.write_folder(tmp_path))
    both = [native(model, kernels) for kernels in ("avx2", "avx512_vnni")]
    logits = [executor.forward_logits(wanted.tokens) for executor in both]
    model.close()
    assert np.array_equal(*logits)
