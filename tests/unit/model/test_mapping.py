"""Details of metadata that change what a model computes, field by field."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stoker.errors import ModelFileError, UnsupportedModel
from stoker.executor.native import NativeExecutor, NativeOptions
from stoker.kernels.reference.decoder import ReferenceDecoder
from stoker.model.convert import convert
from stoker.model.families.rope import Yarn, frequencies
from stoker.model.load import open_model
from stoker.model.registry import find_family
from stoker.model.spec import Activation, DecoderSpec, RopeStyle
from stoker.model.weights.interface import TensorType
from stoker.model.weights.quantize import quantize
from stoker.model.weights.safetensors import SafetensorsFile
from tests.support.checkpoints import HEAD_DIM, HIDDEN, write_folder, write_gguf


def folder_spec(folder: Path, family: str, **config: Any) -> DecoderSpec:
    model = open_model(write_folder(folder, family, **config))
    model.close()
    return model.spec


@pytest.mark.parametrize(
    ("family", "style"),
    [("llama", RopeStyle.PAIRS), ("qwen2", RopeStyle.HALVES), ("gemma3", RopeStyle.HALVES)],
)
def test_gguf_rotates_what_its_family_does(family: str, style: RopeStyle, tmp_path: Path) -> None:
    model = open_model(write_gguf(tmp_path / "m.gguf", family))
    assert model.spec.family == family
    assert model.spec.layers[0].rope.style is style
    model.close()


def test_gemma_from_a_folder(tmp_path: Path) -> None:
    spec = folder_spec(tmp_path / "m", "gemma3_text", query_pre_attn_scalar=100)
    assert spec.norm_offset == 1.0
    assert spec.attention_scale == pytest.approx(0.1)
    assert spec.embedding_scale == pytest.approx(HIDDEN**0.5)
    assert spec.activation is Activation.GELU_TANH
    assert spec.qk_norm
    assert spec.post_norms
    assert spec.tied_head
    assert [layer.window for layer in spec.layers] == [24, 24, 24]


LAYERS = ["sliding_attention", "full_attention", "sliding_attention"]


@pytest.mark.parametrize(
    "config",
    [
        {
            "layer_types": LAYERS,
            "rope_theta": 1e6,
            "rope_scaling": {"rope_type": "linear", "factor": 8},
        },
        {
            "layer_types": LAYERS,
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                "sliding_attention": {"rope_type": "default", "rope_theta": 10_000},
            },
        },
    ],
    ids=["older", "newer"],
)
def test_gemma_scales_only_the_layers_that_see_everything(
    config: dict[str, Any], tmp_path: Path
) -> None:
    spec = folder_spec(tmp_path / "m", "gemma3_text", **config)
    assert [layer.window for layer in spec.layers] == [24, None, 24]
    everywhere = [f / 8 for f in frequencies(1e6, HEAD_DIM)]
    assert list(spec.layers[1].rope.inverse_frequencies) == pytest.approx(everywhere)
    nearby = frequencies(1e4, HEAD_DIM)
    assert list(spec.layers[0].rope.inverse_frequencies) == pytest.approx(nearby)


def test_what_gguf_cannot_say_is_not_written(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", "gemma3_text", layer_types=LAYERS)
    with pytest.raises(UnsupportedModel, match="window"):
        convert(folder, tmp_path / "m.gguf", "q8_0", lambda done, total: None)


def test_rope_base_where_newer_configs_put_it(tmp_path: Path) -> None:
    newer = {"rope_type": "default", "rope_theta": 777.0}
    spec = folder_spec(tmp_path / "m", "llama", rope_parameters=newer)
    wanted = frequencies(777.0, HEAD_DIM)
    assert list(spec.layers[0].rope.inverse_frequencies) == pytest.approx(wanted)


def test_yarn_keeps_fast_dimensions_and_stretches_slow_ones() -> None:
    yarn = Yarn(factor=4.0, original=4096, fast=32.0, slow=1.0, attention_factor=None)
    plain = frequencies(10_000.0, 128)
    scaled, factor = yarn.apply(plain, 10_000.0)
    assert scaled[0] == plain[0]
    assert scaled[-1] == pytest.approx(plain[-1] / 4)
    assert all(before / 4 <= after <= before for before, after in zip(plain, scaled, strict=True))
    assert factor == pytest.approx(0.1 * math.log(4) + 1)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"rope_theta": 1.0}, "rope_theta"),
        ({"rope_theta": float("nan")}, "rope_theta"),
        ({"rope_theta": float("inf")}, "rope_theta"),
        ({"rope_scaling": {"type": "linear", "factor": 0}}, "factor"),
        ({"rope_scaling": {"type": "linear"}}, "factor"),
        ({"rope_scaling": {"type": "line\nar", "factor": 2}}, "type"),
        (
            {
                "rope_scaling": {
                    "type": "llama3",
                    "factor": 8,
                    "low_freq_factor": 4,
                    "high_freq_factor": 4,
                }
            },
            "high_freq_factor",
        ),
        ({"tie_word_embeddings": "false"}, "tie_word_embeddings"),
        ({"head_dim": 1 << 20}, "head_dim"),
        ({"num_attention_heads": 3}, "multiple"),
        ({"model_type": "x" * 1000}, "model_type"),
    ],
)
def test_a_value_out_of_range_is_named(config: dict[str, Any], named: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=named):
        folder_spec(tmp_path / "m", "llama", **config)


@pytest.mark.parametrize("family", ["qwen2", "qwen3"])
def test_a_window_of_some_layers_only_is_refused(family: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="use_sliding_window"):
        folder_spec(tmp_path / "m", family, use_sliding_window=True)


def test_the_nearest_architecture_is_named() -> None:
    for name, nearest in (("phi4", "phi3"), ("olmo3", "olmo2"), ("llama4", "llama")):
        with pytest.raises(UnsupportedModel, match=name) as caught:
            find_family(name)
        assert nearest in caught.value.hint


def retyped(folder: Path, kind: TensorType) -> None:
    """Rewrites a folder's weights in a 16-bit type."""
    path = folder / "model.safetensors"
    file = SafetensorsFile.open(path)
    header, data = {}, b""
    for name, info in file.tensors.items():
        values = np.frombuffer(file.read(name), dtype=np.float32)
        piece = quantize(values, kind)
        offsets = [len(data), len(data) + len(piece)]
        header[name] = {"dtype": kind.name, "shape": list(info.shape), "data_offsets": offsets}
        data += piece
    file.close()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


@pytest.mark.parametrize("kind", [TensorType.BF16, TensorType.F16])
@pytest.mark.parametrize("family", ["llama", "gemma3_text"])
def test_folders_of_sixteen_bits(kind: TensorType, family: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", family)
    retyped(folder, kind)
    tokens = list(range(20, 60))
    model = open_model(folder)
    executor = NativeExecutor(model, NativeOptions(threads=1, kv_bytes=1 << 23, max_context=64))
    executor.load()
    ours = executor.forward_logits(tokens)
    wanted = ReferenceDecoder(model.spec, model.weights).forward(tokens)
    executor.close()
    assert np.abs(ours - wanted).max() < 5e-3 * np.abs(wanted).max()
