"""`stoker quantize`: what is written computes what the source computes, and others can read it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader

from stoker.cli.main import run
from stoker.errors import ConfigError, ModelFileError, UnsupportedModel
from stoker.kernels.reference.decoder import ReferenceDecoder
from stoker.model.convert import convert
from stoker.model.gguf_tokenizer import splitting_rule
from stoker.model.load import open_model
from stoker.text.load import load_text
from stoker.text.pretokenizers import recipe, split_steps
from tests.support.checkpoints import FOLDER_FAMILIES, GGUF_FAMILIES, write_folder, write_gguf

TOKENS = list(range(40, 80))


def silent(_done: int, _total: int) -> None:
    return


def logits(path: Path) -> np.ndarray:
    model = open_model(path)
    try:
        return ReferenceDecoder(model.spec, model.weights).forward(TOKENS)
    finally:
        model.close()


def apart(ours: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(ours - wanted).mean() / np.abs(wanted).mean())


def converted(source: Path, kind: str) -> Path:
    target = source.parent / f"out-{kind}.gguf"
    convert(source, target, kind, silent)
    return target


@pytest.mark.parametrize("family", FOLDER_FAMILIES)
def test_a_folder_computes_the_same_as_gguf(family: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / family, family)
    wanted = logits(folder)
    assert apart(logits(converted(folder, "f32")), wanted) < 1e-5
    assert apart(logits(converted(folder, "q8_0")), wanted) < 0.1


@pytest.mark.parametrize("family", GGUF_FAMILIES)
def test_a_gguf_file_keeps_its_meaning_and_metadata(family: str, tmp_path: Path) -> None:
    source = write_gguf(tmp_path / "m.gguf", family)
    target = converted(source, "q8_0")
    assert apart(logits(target), logits(source)) < 0.1
    before, after = open_model(source), open_model(target)
    assert dict(before.metadata).items() <= dict(after.metadata).items()
    assert before.spec == after.spec
    before.close()
    after.close()


SCALINGS: dict[str, dict[str, Any]] = {
    "linear": {"rope_type": "linear", "factor": 4.0},
    "llama3": {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 64},
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64},
    "yarn, own factor": {"rope_type": "yarn", "factor": 4.0, "attention_factor": 0.7},
}


@pytest.mark.parametrize("kind", SCALINGS)
def test_rope_scaling_survives(kind: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", rope_scaling=SCALINGS[kind], rope_theta=500.0)
    target = converted(folder, "f32")
    assert apart(logits(target), logits(folder)) < 1e-4
    again = tmp_path / "again.gguf"
    convert(target, again, "f32", silent)
    assert np.array_equal(logits(again), logits(target))


def test_whether_anything_became_smaller_is_told(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m")
    target = tmp_path / "q8.gguf"
    assert convert(folder, target, "q8_0", silent)
    assert not convert(target, tmp_path / "again.gguf", "q8_0", silent)


def test_other_readers_agree_on_every_tensor(tmp_path: Path) -> None:
    path = converted(write_folder(tmp_path / "m", "qwen2"), "q8_0")
    model = open_model(path)
    reader = GGUFReader(path)
    assert reader.fields["general.architecture"].contents() == "qwen2"
    assert reader.fields["qwen2.attention.head_count_kv"].contents() == 2
    assert reader.fields["general.file_type"].contents() == 7
    assert len(reader.tensors) == len(list(model.weights.names()))
    types = {tensor.name: tensor.tensor_type for tensor in reader.tensors}
    assert types["blk.0.attn_q.weight"] is GGMLQuantizationType.Q8_0
    assert types["blk.0.attn_q.bias"] is GGMLQuantizationType.F32
    norm = next(t for t in reader.tensors if t.name == "output_norm.weight")
    assert norm.data.tobytes() == bytes(model.weights.read("final_norm"))
    model.close()


@pytest.mark.parametrize("kind", ["q4_k", "q4_1", "q4_0", "q5_1", "q8_0", "f16"])
def test_each_format_is_smaller_and_close(kind: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m")
    target = converted(folder, kind)
    assert target.stat().st_size < (folder / "model.safetensors").stat().st_size
    assert apart(logits(target), logits(folder)) < {"f16": 0.01, "q8_0": 0.1}.get(kind, 0.8)


def test_text_is_encoded_alike(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m")
    encoded, ends = [], []
    for path in (folder, converted(folder, "q8_0")):
        model = open_model(path)
        text = load_text(path, model.metadata, tmp_path / "cache")
        ids = text.tokenizer.encode("the thing in the pan 12 é <|im_end|>", add_bos=True)
        encoded.append((ids, text.chat_template is not None))
        ends.append(text.tokenizer.eos_token_ids)
        model.close()
    assert encoded[0] == encoded[1]
    assert ends[0] <= ends[1]


@pytest.mark.parametrize("name", ["llama-bpe", "qwen2"])
def test_splitting_rules_have_the_name_we_read_them_by(name: str) -> None:
    assert splitting_rule({"type": "Sequence", "pretokenizers": split_steps(recipe(name))}) == name


def test_splitting_rules_without_a_pattern() -> None:
    words = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    assert splitting_rule(words) == "gpt-2"
    assert splitting_rule({"type": "Sequence", "pretokenizers": [digits, words]}) == "smollm"


def test_a_tokenizer_gguf_has_no_name_for_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m")
    text = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(text.replace('"ByteLevel"', '"Metaspace"'))
    with pytest.raises(UnsupportedModel, match="splits text"):
        converted(folder, "q8_0")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UnsupportedModel, match="incomplete"):
        converted(folder, "q8_0")
    assert not list(tmp_path.glob("out*"))


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    source = write_gguf(tmp_path / "m.gguf")
    target = tmp_path / "out.gguf"
    target.write_bytes(b"old")

    def interrupted(done: int, total: int) -> None:
        if done > total // 2:
            os.truncate(source, 5000)

    with pytest.raises(ModelFileError, match="ends inside"):
        convert(source, target, "q8_0", interrupted)
    assert target.read_bytes() == b"old"
    assert {file.name for file in tmp_path.iterdir()} == {"m.gguf", "out.gguf"}


def test_a_weight_that_is_not_a_number_is_refused(tmp_path: Path) -> None:
    source = write_gguf(tmp_path / "m.gguf")
    data = bytearray(source.read_bytes())
    data[-4:] = np.float32(np.nan).tobytes()
    source.write_bytes(data)
    with pytest.raises(ModelFileError, match="Q8_0 cannot"):
        converted(source, "q8_0")


def test_source_and_target_are_not_the_same(tmp_path: Path) -> None:
    source = write_gguf(tmp_path / "m.gguf")
    with pytest.raises(ConfigError, match="same file"):
        convert(source, source, "q8_0", silent)
    with pytest.raises(ConfigError, match="q3") as caught:
        convert(source, tmp_path / "o.gguf", "q3", silent)
    assert "q4_k" in caught.value.hint


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_gguf(tmp_path / "m.gguf")
    target = tmp_path / "out.gguf"
    assert run(["quantize", str(source), str(target), "--type", "q4_1"]) == 0
    assert "out.gguf" in capsys.readouterr().out
    open_model(target).close()
    assert run(["quantize", str(source), str(tmp_path / "none" / "out.gguf")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_weights_are_quantised_while_loading(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m")
    model = open_model(folder).quantized("q8_0")
    try:
        loaded = ReferenceDecoder(model.spec, model.weights).forward(TOKENS)
    finally:
        model.close()
    # llama rows are permuted in the file; blocks run along rows, so the values are the same.
    assert apart(loaded, logits(converted(folder, "q8_0"))) < 1e-5
    with pytest.raises(ConfigError, match="q9"):
        open_model(folder).quantized("q9")
