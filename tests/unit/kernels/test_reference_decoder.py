"""The oracle itself: anchored to another implementation's numbers, and to what attention means."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from stoker.kernels.reference.arithmetic import NATIVE
from stoker.kernels.reference.attention import attention, attention_paged
from stoker.kernels.reference.decoder import ReferenceDecoder
from stoker.kernels.reference.rope import rope, rope_angles
from stoker.model.load import Model, open_model
from stoker.model.spec import RopeSpec, RopeStyle
from tests.support.checkpoints import FOLDER_FAMILIES, write_folder, write_gguf

TOKENS = list(range(20, 60))
LAST_LOGITS = {
    "llama": [-0.71377, -3.99948, 0.65834, -3.28553, -1.05721, -1.03132],
    "mistral": [-1.5335, -3.50303, 1.81184, 0.28456, -0.42634, -1.72775],
    "qwen2": [-0.2361, -0.81721, 2.36412, -1.77189, 2.72647, -1.35605],
    "qwen3": [1.45159, -0.25028, 0.02701, -0.12356, 0.96225, -2.57099],
    "gemma3_text": [-1.04649, 3.74114, -0.3343, 0.61551, 2.45192, -1.49707],
}
"""What transformers 5.23 computes for these checkpoints: the last row's first six logits, found
with benchmarks/transformers_runner.py. Forty tokens are more than their windows of 24."""


def open_family(family: str, folder: Path) -> Model:
    return open_model(write_folder(folder / family, family))


@pytest.mark.parametrize("family", FOLDER_FAMILIES)
def test_equals_transformers(family: str, tmp_path: Path) -> None:
    model = open_family(family, tmp_path)
    logits = ReferenceDecoder(model.spec, model.weights).forward(TOKENS)
    model.close()
    np.testing.assert_allclose(logits[-1, :6], LAST_LOGITS[family], atol=1e-4)


@pytest.mark.parametrize("family", FOLDER_FAMILIES)
def test_a_later_token_changes_nothing_before_it(family: str, tmp_path: Path) -> None:
    model = open_family(family, tmp_path)
    decoder = ReferenceDecoder(model.spec, model.weights)
    whole = decoder.forward(TOKENS)
    np.testing.assert_allclose(decoder.forward(TOKENS[:30]), whole[:30], atol=1e-4)
    last = decoder.forward(TOKENS, first_row=35)
    np.testing.assert_allclose(last, whole[35:], atol=1e-4)
    model.close()


def test_weights_over_the_budget_are_read_again(tmp_path: Path) -> None:
    model = open_family("llama", tmp_path)
    kept = ReferenceDecoder(model.spec, model.weights).forward(TOKENS)
    read_again = ReferenceDecoder(model.spec, model.weights, keep_bytes=0).forward(TOKENS)
    np.testing.assert_array_equal(kept, read_again)
    model.close()


def test_both_soft_caps_bound_what_they_cap(tmp_path: Path) -> None:
    model = open_family("gemma3_text", tmp_path)
    plain = ReferenceDecoder(model.spec, model.weights).forward(TOKENS)
    capped = msgspec.structs.replace(model.spec, final_softcap=2.0)
    logits = ReferenceDecoder(capped, model.weights).forward(TOKENS)
    np.testing.assert_allclose(logits, 2.0 * np.tanh(plain / 2.0), atol=1e-5)
    barely = msgspec.structs.replace(model.spec, attention_softcap=1e6)
    same = ReferenceDecoder(barely, model.weights).forward(TOKENS)
    np.testing.assert_allclose(same, plain, atol=1e-3)
    tight = msgspec.structs.replace(model.spec, attention_softcap=0.1)
    assert np.abs(ReferenceDecoder(tight, model.weights).forward(TOKENS) - plain).max() > 0.01
    model.close()


def test_rounding_applies_where_the_native_core_rounds(tmp_path: Path) -> None:
    """Dense weights meet float activations, so only the half precision cache may show."""
    model = open_model(write_gguf(tmp_path / "model.gguf", "llama"))
    plain = ReferenceDecoder(model.spec, model.weights).forward(TOKENS)
    rounded = ReferenceDecoder(model.spec, model.weights, NATIVE).forward(TOKENS)
    model.close()
    assert 0 < np.abs(plain - rounded).max() < 0.05


def test_pairs_are_halves_in_another_order() -> None:
    generator = np.random.default_rng(3)
    x = generator.normal(size=(5, 2, 16)).astype(np.float32)
    interleaved = np.empty_like(x)
    interleaved[..., 0::2], interleaved[..., 1::2] = x[..., :8], x[..., 8:]
    spec = RopeSpec(
        style=RopeStyle.HALVES, dim=16, inverse_frequencies=tuple(0.5**i for i in range(8))
    )
    cosine, sine = rope_angles(spec, range(5))
    halves = rope(x, cosine, sine, RopeStyle.HALVES)
    pairs = rope(interleaved, cosine, sine, RopeStyle.PAIRS)
    np.testing.assert_array_equal(pairs[..., 0::2], halves[..., :8])
    np.testing.assert_array_equal(pairs[..., 1::2], halves[..., 8:])


@pytest.mark.parametrize("window", [None, 1, 20])
def test_paged_attention_equals_contiguous(window: int | None) -> None:
    generator = np.random.default_rng(4)
    page, pages, kv_heads, dim = 16, 3, 2, 8
    context = 37
    keys, values = generator.normal(size=(2, context, kv_heads, dim)).astype(np.float32)
    queries = generator.normal(size=(5, 4, dim)).astype(np.float32)
    table = np.array([4, 0, 2], dtype=np.int32)
    key_pages = np.full((6, kv_heads, dim, page), np.nan, dtype=np.float32)
    value_pages = np.full((6, kv_heads, page, dim), np.nan, dtype=np.float32)
    for at in range(context):
        block, slot = table[at // page], at % page
        key_pages[block, :, :, slot] = keys[at]
        value_pages[block, :, slot] = values[at]
    assert len(table) == pages
    arguments = {"first_position": context - 5, "scale": 0.3, "window": window}
    wanted = attention(queries, keys, values, **arguments)
    found = attention_paged(queries, key_pages, value_pages, table, **arguments)
    np.testing.assert_array_equal(found, wanted)
