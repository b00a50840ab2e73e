"""Block formats against the independent `gguf` package."""

from __future__ import annotations

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import dequantize as independent_dequantize
from gguf.quants import quantize as independent_quantize
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stoker.model.weights.dequantize import dequantize
from stoker.model.weights.interface import BLOCK, TensorInfo, TensorType
from stoker.model.weights.quantize import SLICE_VALUES, quantize
from stoker.model.weights.quantized import stored_type

WRITTEN = [kind for kind in TensorType if kind not in (TensorType.Q5_K, TensorType.Q6_K)]
EXACT = [kind for kind in WRITTEN if kind is not TensorType.Q4_K]
STEPS = {"Q4_0": 8, "Q4_1": 15, "Q5_0": 16, "Q5_1": 31, "Q8_0": 127, "Q4_K": 15}


def sample(rows: int = 32, columns: int = 512) -> np.ndarray:
    values = np.random.default_rng(4).normal(size=(rows, columns)).astype(np.float32)
    values[0] = 0
    values[1] = 1.5
    values[2] = -2
    values[3] = np.abs(values[3])
    values[4] = -np.abs(values[4])
    values[5, 1:] = 0
    values[6] *= 1e-6
    values[7] *= 1e3
    return values


@pytest.mark.parametrize("kind", EXACT)
def test_the_same_bytes_as_the_independent_writer(kind: TensorType) -> None:
    values = sample()
    wanted = independent_quantize(values, GGMLQuantizationType(int(kind)))
    assert quantize(values, kind) == wanted.tobytes()


@pytest.mark.parametrize("kind", WRITTEN)
def test_both_readers_see_the_same_values(kind: TensorType) -> None:
    values = sample()
    data = quantize(values, kind)
    info = TensorInfo("w", kind, values.shape)
    assert len(data) == info.num_bytes
    rows = np.frombuffer(data, dtype=np.uint8).reshape(len(values), -1)
    wanted = independent_dequantize(rows, GGMLQuantizationType(int(kind)))
    assert np.array_equal(dequantize(data, kind, values.shape), wanted)


def test_q4_k_is_closer_than_q4_0_in_the_same_space() -> None:
    values = sample()[8:]

    def error(kind: TensorType) -> float:
        found = dequantize(quantize(values, kind), kind, values.shape)
        return float(np.sqrt(np.mean((found - values) ** 2)))

    assert error(TensorType.Q4_K) < 0.85 * error(TensorType.Q4_0)


@pytest.mark.parametrize("name", STEPS)
@given(data=st.data())
@settings(max_examples=60)
def test_no_value_moves_more_than_a_step(name: str, data: st.DataObject) -> None:
    kind = TensorType[name]
    width = BLOCK[kind][0]
    elements = st.floats(-(2.0**14), 2.0**14, width=32)
    values = data.draw(arrays(np.float32, (2, width), elements=elements))
    found = dequantize(quantize(values, kind), kind, values.shape)
    spread = np.maximum(values.max(axis=1), 0) - np.minimum(values.min(axis=1), 0)
    steps = STEPS[name] if name != "Q4_K" else 6
    # Half a step by rounding, half a step where a symmetric format has one level less, and the
    # rounding of scale and minimum to fp16, whose smallest value is 2^-24.
    allowed = spread / steps + spread / 512 + 256 * 2.0**-24
    assert (np.abs(found - values) <= allowed[:, None]).all()


def test_slices_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    values = sample(64, 512)
    whole = quantize(values, TensorType.Q4_K)
    monkeypatch.setattr("stoker.model.weights.quantize.SLICE_VALUES", 1024)
    assert quantize(values, TensorType.Q4_K) == whole
    assert SLICE_VALUES > 1024


@pytest.mark.parametrize(
    ("name", "source", "shape", "wanted", "stored"),
    [
        ("layers.0.q", "F32", (64, 256), "Q4_K", "Q4_K"),
        ("layers.0.q", "F32", (64, 288), "Q4_K", "Q4_1"),
        ("layers.0.q", "F32", (64, 80), "Q4_K", "F16"),
        ("layers.0.q", "BF16", (64, 80), "Q8_0", "BF16"),
        ("layers.0.q", "Q4_1", (64, 256), "Q8_0", "Q4_1"),
        ("layers.0.q", "Q8_0", (64, 256), "Q4_K", "Q4_K"),
        ("embedding", "F32", (64, 256), "Q4_K", "Q8_0"),
        ("head", "BF16", (64, 256), "Q4_1", "Q8_0"),
        ("embedding", "F32", (64, 256), "F16", "F16"),
        ("final_norm", "F16", (256,), "Q4_1", "F32"),
        ("layers.0.q_bias", "BF16", (256,), "Q8_0", "F32"),
    ],
)
def test_what_each_tensor_becomes(
    name: str, source: str, shape: tuple[int, ...], wanted: str, stored: str
) -> None:
    info = TensorInfo(name, TensorType[source], shape)
    assert stored_type(info, TensorType[wanted]) is TensorType[stored]
