"""A folder of Gemma 3 with parts for pictures is served as the text model inside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from stoker.errors import ModelFileError, UnsupportedModel
from stoker.kernels.reference.decoder import ReferenceDecoder
from stoker.model.convert import convert
from stoker.model.fields import Fields
from stoker.model.load import open_model
from stoker.model.multimodal import text_config
from stoker.model.registry import find_family
from tests.support.checkpoints import write_folder

TOKENS = list(range(40, 80))
PICTURES: dict[str, np.ndarray] = {
    "vision_tower.embeddings.patch_embedding.weight": np.zeros((4, 3, 2, 2), dtype=np.float32),
    "vision_tower.embeddings.position_ids": np.arange(4, dtype=np.int64),
    "multi_modal_projector.mm_soft_emb_norm.weight": np.ones(4, dtype=np.float32),
}
WRITERS: dict[str, Callable[[str], str]] = {
    "older": lambda name: f"language_model.{name}",
    "newer": lambda name: f"model.language_{name}",
}


def nested(folder: Path, writer: str, **more: np.ndarray) -> Path:
    """A folder of the text model turned into one that holds it among other parts."""
    config = json.loads((folder / "config.json").read_text())
    outer = {"model_type": "gemma3", "text_config": config, "vision_config": {"hidden_size": 4}}
    (folder / "config.json").write_text(json.dumps(outer | {"eos_token_id": [1, 106]}))
    tensors = load_file(folder / "model.safetensors")
    pictures = {("model." if writer == "newer" else "") + n: t for n, t in PICTURES.items()}
    renamed = {WRITERS[writer](name): tensor for name, tensor in tensors.items()}
    save_file(renamed | pictures | more, folder / "model.safetensors")
    return folder


def logits(path: Path) -> np.ndarray:
    model = open_model(path)
    try:
        return ReferenceDecoder(model.spec, model.weights).forward(TOKENS)
    finally:
        model.close()


@pytest.mark.parametrize("writer", WRITERS)
def test_it_computes_what_the_text_model_does(writer: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", "gemma3_text")
    wanted = logits(folder)
    assert np.array_equal(logits(nested(folder, writer)), wanted)


def test_scaled_positions_survive_being_written_as_gguf(tmp_path: Path) -> None:
    scaling = {"rope_type": "linear", "factor": 8.0}
    folder = nested(write_folder(tmp_path / "m", "gemma3_text", rope_scaling=scaling), "older")
    target = tmp_path / "out.gguf"
    convert(folder, target, "f32", lambda done, total: None)
    assert np.abs(logits(target) - logits(folder)).max() < 1e-4
    model = open_model(target)
    assert model.metadata["general.architecture"] == "gemma3"
    assert not [name for name in model.weights.names() if "vision" in name]
    model.close()


def test_a_tensor_under_both_names_is_refused(tmp_path: Path) -> None:
    norm = np.ones(64, dtype=np.float32)
    folder = write_folder(tmp_path / "m", "gemma3_text")
    nested(folder, "older", **{"model.norm.weight": norm})
    with pytest.raises(ModelFileError, match="are the same one"):
        open_model(folder)


def test_a_part_of_the_text_model_we_do_not_know_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", "gemma3_text")
    nested(folder, "older", **{"language_model.model.extra.weight": np.ones(4, dtype=np.float32)})
    with pytest.raises(ModelFileError, match="extra"):
        open_model(folder)


def test_other_models_with_pictures_are_still_refused(tmp_path: Path) -> None:
    folder = nested(write_folder(tmp_path / "m", "gemma3_text"), "older")
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"gemma3"', '"llava"'))
    with pytest.raises(UnsupportedModel, match="llava"):
        open_model(folder)


def test_a_published_config_leaves_out_the_defaults() -> None:
    """As the 4B model's, whose file states these six values alone."""
    stated = {
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "model_type": "gemma3_text",
        "num_hidden_layers": 34,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        "sliding_window": 1024,
    }
    config = Fields("config.json", {"model_type": "gemma3", "text_config": stated})
    spec = find_family("gemma3").from_config(text_config(config))
    assert (spec.num_heads, spec.num_kv_heads, spec.head_dim) == (8, 4, 256)
    assert (spec.vocab_size, spec.max_context, spec.tied_head) == (262_208, 131_072, True)
    assert spec.attention_scale == 256**-0.5
    assert [i for i, layer in enumerate(spec.layers) if layer.window is None] == [5, 11, 17, 23, 29]
    assert spec.layers[5].rope.inverse_frequencies[0] == pytest.approx(1 / 8)
    assert spec.layers[0].rope.inverse_frequencies[0] == 1
