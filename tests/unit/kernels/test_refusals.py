"""Calls that the native core must refuse, each of which once ended the process or read past its
memory. Fuzzing found them (tests/fuzz)."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from stoker.kernels import _native
from stoker.model.spec import DecoderSpec


def layer(frequency: float = 1.0, **changes: Any) -> dict[str, Any]:
    rope = {
        "style": "halves",
        "dim": 2,
        "inverse_frequencies": [frequency],
        "attention_factor": 1.0,
    }
    return {"rope": rope, "window": None, "experts": None, **changes}


def shape(**changes: Any) -> dict[str, Any]:
    sound = DecoderSpec(
        family="test", vocab_size=8, hidden_size=16, feed_forward_size=16, num_heads=2,
        num_kv_heads=1, head_dim=16, layers=(), max_context=64, norm_eps=1e-5,
        attention_scale=1.0, tied_head=True,
    )  # fmt: skip
    return msgspec.to_builtins(sound) | {"layers": [layer()]} | changes


@pytest.mark.parametrize(
    "changes",
    [
        {"num_kv_heads": 0},
        {"num_kv_heads": -1},
        {"hidden_size": (1 << 31) - 16},
        {"num_heads": 1 << 27},
        {"vocab_size": (1 << 31) - 1},
        {"vocab_size": 1 << 40},
        {"layers": [layer(float(i)) for i in range(5)]},
        {"layers": [layer(window=-1)]},
        {"layers": [None]},
    ],
    ids=str,
)
def test_a_shape_that_no_model_has(changes: dict[str, Any]) -> None:
    _native.Decoder(shape(), "auto", 1)
    with pytest.raises(ValueError, match=r"\w"):
        _native.Decoder(shape(**changes), "auto", 1)


def test_a_step_before_the_weights_are_there() -> None:
    decoder = _native.Decoder(shape(), "auto", 1)
    decoder.allocate_kv(1)
    ids = np.zeros(1, dtype=np.int32)
    with pytest.raises(ValueError, match="finish"):
        decoder.forward_logits(ids, np.array([[0, 1, 0]], dtype=np.int32), ids)


def test_a_pool_whose_size_would_wrap() -> None:
    decoder = _native.Decoder(
        shape(num_heads=1 << 16, num_kv_heads=1 << 16, layers=[layer()] * 64), "auto", 1
    )
    with pytest.raises(ValueError, match="room"):
        decoder.allocate_kv((1 << 31) - 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("temperature", -1.0),
        ("top_p", -1.0),
        ("top_p", float("nan")),
        ("min_p", float("nan")),
        ("min_p", 2.0),
    ],
)
def test_numbers_that_leave_nothing_to_draw(name: str, value: float) -> None:
    nothing = np.empty(0, dtype=np.int32)
    arguments: dict[str, Any] = {
        "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0,
        "presence_penalty": 0.0, "frequency_penalty": 0.0, "seed": 1, "position": 0,
        "history": nothing, "num_prompt_tokens": 0, "bias_ids": nothing,
        "bias_values": np.empty(0, dtype=np.float32), "num_logprobs": -1, "target": -1,
        "allowed": np.empty(0, dtype=np.uint32),
    }  # fmt: skip
    logits = np.zeros(100, dtype=np.float32)
    _native.sample_row(logits, **arguments)
    with pytest.raises(ValueError, match=name):
        _native.sample_row(logits, **arguments | {name: value})
