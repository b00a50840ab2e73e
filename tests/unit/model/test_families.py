"""Every family, from GGUF and from a folder, against the NumPy decoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType

from stoker.errors import ModelFileError, SetupError, UnsupportedModel
from stoker.executor.native import NativeExecutor, NativeOptions
from stoker.kernels.reference.arithmetic import NATIVE, Arithmetic, through_half
from stoker.kernels.reference.decoder import ReferenceDecoder
from stoker.model.load import Model, open_model
from tests.support.checkpoints import (
    FOLDER_FAMILIES,
    GGUF_FAMILIES,
    folder_config,
    write_folder,
    write_gguf,
)

TOKENS = [int(t) for t in np.random.default_rng(5).integers(0, 250, 70)]
HALF_CACHE = Arithmetic(keys_values=through_half)
QUANTISED = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]


def both(model: Model, arithmetic: Arithmetic) -> tuple[np.ndarray, np.ndarray]:
    executor = NativeExecutor(model, NativeOptions(threads=2, kv_bytes=1 << 23, max_context=256))
    executor.load()
    ours = executor.forward_logits(TOKENS)
    wanted = ReferenceDecoder(model.spec, model.weights, arithmetic).forward(TOKENS)
    executor.close()
    return ours, wanted


@pytest.mark.parametrize("family", GGUF_FAMILIES)
def test_gguf_family_equals_the_twin(family: str, tmp_path: Path) -> None:
    window = 24 if family == "gemma3" else None
    model = open_model(write_gguf(tmp_path / "model.gguf", family, window=window))
    ours, wanted = both(model, HALF_CACHE)
    assert np.abs(ours - wanted).max() < 2e-3 * np.abs(wanted).max()


@pytest.mark.parametrize("family", FOLDER_FAMILIES)
def test_folder_family_equals_the_twin(family: str, tmp_path: Path) -> None:
    ours, wanted = both(open_model(write_folder(tmp_path / family, family)), HALF_CACHE)
    assert np.abs(ours - wanted).max() < 2e-3 * np.abs(wanted).max()


@pytest.mark.parametrize("kind", QUANTISED)
def test_quantised_weights_equal_the_twin(kind: str, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "model.gguf", "llama", GGMLQuantizationType[kind])
    ours, wanted = both(open_model(path), NATIVE)
    # An activation on the edge between two int8 values may fall either way.
    assert np.abs(ours - wanted).max() < 0.1 * np.abs(wanted).max()
    assert np.abs(ours - wanted).mean() < 0.005 * np.abs(wanted).max()


def test_a_window_changes_the_answer_only_beyond_it(tmp_path: Path) -> None:
    narrow = both(open_model(write_gguf(tmp_path / "a.gguf", window=24)), HALF_CACHE)[0]
    wide = both(open_model(write_gguf(tmp_path / "b.gguf")), HALF_CACHE)[0]
    assert np.array_equal(narrow[:24], wide[:24])
    assert not np.allclose(narrow[24:], wide[24:], atol=1e-3)


SCALINGS = {
    "linear": {"rope_type": "linear", "factor": 4.0},
    "llama3": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 128,
    },
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128},
}


@pytest.mark.parametrize("kind", SCALINGS)
def test_rope_scaling_is_honoured(kind: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / kind, "llama", rope_scaling=SCALINGS[kind])
    model = open_model(folder)
    plain = open_model(write_folder(tmp_path / "plain", "llama"))
    assert model.spec.layers[0].rope != plain.spec.layers[0].rope
    ours, wanted = both(model, HALF_CACHE)
    assert np.abs(ours - wanted).max() < 2e-3 * np.abs(wanted).max()
    plain.close()


def test_llama3_scaling_by_its_definition() -> None:
    """Wavelengths over low_freq_factor'th of the original context are stretched in full, those
    under high_freq_factor'th are kept."""
    from stoker.model.families.rope import frequencies, llama3
    from stoker.model.fields import Fields

    plain = frequencies(500_000.0, 128)
    scaling = Fields("test", {"factor": 8.0, "original_max_position_embeddings": 8192})
    scaled = llama3(plain, scaling)
    for before, after in zip(plain, scaled, strict=True):
        wavelength = 2 * np.pi / before
        if wavelength < 8192 / 4:
            assert after == pytest.approx(before)
        elif wavelength > 8192:
            assert after == pytest.approx(before / 8)
        else:
            assert before / 8 <= after <= before


def test_an_unknown_architecture_is_named_with_the_nearest(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model", "llama", model_type="qwen4")
    with pytest.raises(UnsupportedModel, match="'qwen4'") as caught:
        open_model(folder)
    assert "qwen" in caught.value.hint


BAD_CONFIGS = {
    "no hidden size": {"hidden_size": None},
    "text for a number": {"hidden_size": "64"},
    "true for a number": {"num_attention_heads": True},
    "negative": {"num_hidden_layers": -3},
    "too many layers": {"num_hidden_layers": 100_000},
    "other shape": {"hidden_size": 128},
    "unknown scaling": {"rope_scaling": {"rope_type": "magic"}},
    "scaling is no table": {"rope_scaling": "linear"},
    "zero epsilon": {"rms_norm_eps": 0},
}


@pytest.mark.parametrize("name", BAD_CONFIGS)
def test_a_bad_config_is_one_line(name: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model", "llama", **BAD_CONFIGS[name])  # type: ignore[arg-type]
    with pytest.raises(SetupError) as caught:
        open_model(folder)
    assert "\n" not in str(caught.value)


def test_code_in_a_folder_never_runs(tmp_path: Path) -> None:
    """S03."""
    marker = tmp_path / "ran"
    trap = f"open({str(marker)!r}, 'w').close()"
    folder = write_folder(
        tmp_path / "model",
        "llama",
        auto_map={"AutoModel": "modeling.Model"},
        trust_remote_code=True,
    )
    for name in ("modeling.py", "__init__.py", "conftest.py", "setup.py", "evil.pth"):
        (folder / name).write_text(trap)
    open_model(folder).close()
    assert not marker.exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.ckpt", "model.pkl"])
def test_pickled_weights_are_refused(name: str, tmp_path: Path) -> None:
    """S04."""
    folder = write_folder(tmp_path / "model", "llama")
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(ModelFileError, match="pickled"):
        open_model(folder)


def test_folder_config_is_what_the_family_reads() -> None:
    assert {folder_config(family)["model_type"] for family in FOLDER_FAMILIES} == set(
        FOLDER_FAMILIES
    )
