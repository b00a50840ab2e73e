"""The kernels of encoders against their twins, and what the pooling step refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.kernels import _native
from stoker.kernels.decoder import Decoder, available_kernels, load_decoder
from stoker.kernels.reference.attention import attention
from stoker.model.load import open_model
from tests.support.architectures import golden
from tests.support.encoders import golden_encoder


@pytest.mark.parametrize("kernels", available_kernels())
@settings(max_examples=25, derandomize=True)
@given(data=st.data())
def test_attention_that_is_not_causal_equals_its_twin(kernels: str, data: st.DataObject) -> None:
    """Whatever part of the queries a task has, and in however many pieces."""
    context = data.draw(st.integers(1, 600), "context")
    positions = data.draw(st.integers(1, min(8, context)), "positions")
    first = data.draw(st.integers(0, context - positions), "first")
    heads = data.draw(st.integers(1, 4), "heads")
    pieces = data.draw(st.integers(0, 3), "pieces")
    generator = np.random.default_rng(data.draw(st.integers(0, 99), "seed"))
    queries = generator.normal(size=(positions, heads, 32)).astype(np.float32)
    keys, values = generator.normal(size=(2, context, 32)).astype(np.float16).astype(np.float32)
    table = generator.permutation(-(-context // 16)).astype(np.int32)
    ours = _native.attention(
        kernels, queries, keys, values, table, first, 0, 0.0, pieces, causal=False
    )
    wanted = attention(
        queries, keys[:, None], values[:, None], first_position=first, scale=1.0, causal=False
    )
    assert np.abs(ours - wanted).max() < 2e-5 * max(1.0, np.abs(wanted).max())


def arguments(**changes: Any) -> dict[str, Any]:
    """Of a sound step with one run of three tokens."""
    lists = {
        "tokens": [1, 2, 3],
        "runs": [[0, 3, 0]],
        "block_tables": [0],
        "second_parts": [-1],
        "poolings": [3],
    } | changes
    return {name: np.array(value, dtype=np.int32) for name, value in lists.items()}


def loaded(folder: Path) -> Decoder:
    model = open_model(folder)
    decoder = load_decoder(model.spec, model.weights, threads=1)
    model.close()
    decoder.allocate_kv(2)
    return decoder


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"poolings": [5]}, "pooling is unknown"),
        ({"poolings": [-1]}, "pooling is unknown"),
        ({"poolings": [4]}, "no labels"),
        ({"poolings": []}, "for each run"),
        ({"second_parts": [0, 0]}, "for each run"),
        ({"second_parts": [-2]}, "second part"),
        ({"runs": [[1, 3, 0]]}, "whole sequences"),
        ({"runs": [[0, 2, 0]]}, "every token"),
        ({"tokens": [1, 2, 96]}, "vocabulary"),
        ({"block_tables": [2]}, "outside the pool"),
    ],
    ids=str,
)
def test_an_encoder_refuses(changes: dict[str, Any], why: str, tmp_path: Path) -> None:
    decoder = loaded(golden_encoder("bert").write_folder(tmp_path))
    assert np.isfinite(decoder.pool_step(**arguments())).all()
    with pytest.raises(ValueError, match=why):
        decoder.pool_step(**arguments(**changes))


def test_a_model_without_parts_refuses_pairs(tmp_path: Path) -> None:
    decoder = loaded(golden("gpt2").write_folder(tmp_path))
    with pytest.raises(ValueError, match="knows no parts"):
        decoder.pool_step(**arguments(second_parts=[1]))
