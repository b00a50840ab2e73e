"""S31, S04: a safetensors file or folder can be anything. It opens, or it is a ModelFileError."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from stoker.errors import ModelFileError
from stoker.model.load import open_model
from stoker.model.weights.safetensors import SafetensorsFile
from tests.support.checkpoints import write_folder

DATA = bytes(range(48))
GOOD: dict[str, Any] = {
    "a": {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 32]},
    "b": {"dtype": "F16", "shape": [8], "data_offsets": [32, 48]},
}


def encoded(header: object, data: bytes = DATA) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def changed(**entry: Any) -> dict[str, Any]:
    return GOOD | {"a": GOOD["a"] | entry}


def without(key: str) -> dict[str, Any]:
    return GOOD | {"a": {name: value for name, value in GOOD["a"].items() if name != key}}


TEXT = json.dumps(GOOD).encode()
BAD_OFFSETS = [
    *([0, end] for end in (0, 31, 33, 48, 49, 1 << 32, (1 << 63) - 1, 1 << 64, -1)),
    *([begin, begin + 32] for begin in (-1, 1, 16, 17, 47, 1 << 40, 1 << 63, -32)),
    [32, 0], [0], [0, 32, 64], [], "0,32", None, 5, {"0": 1}, [0.0, 32.0], [False, 32], ["0", "32"],
]  # fmt: skip
BAD_SHAPES = [
    [0, 4], [-2, 4], [2, -4], [-2, -4], [2, 5], [4], [2, 2, 2, 1], [], None, "2x4", 8, [2.0, 4.0],
    [True, 8], ["2", "4"], [1 << 31, 4], [1 << 62, 4], [1 << 32, 1 << 32], [[2], [4]], {"2": 4},
]  # fmt: skip
BAD_TYPES = ["I8", "U8", "I64", "F64", "F8_E4M3", "BOOL", "f32", "", None, 0, ["F32"], {"F32": 1}]
BAD_LENGTHS = [0, 1, len(TEXT) - 1, len(TEXT) + 1, len(TEXT) + 48, len(TEXT) + 49]
BAD_LENGTHS += [1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 8, (1 << 64) - 1]
BAD_HEADERS: list[object] = [[], [GOOD], "text", 5, None, True, {"a": []}, {"a": None}, {"a": "b"}]
BAD_NAMES = ["", "a b", "a\nb", "a\0b", "é", "x" * 257, "\x1b[2J"]


def bad_files() -> dict[str, bytes]:
    files = {f"offsets {value}": encoded(changed(data_offsets=value)) for value in BAD_OFFSETS}
    files |= {f"shape {value}": encoded(changed(shape=value)) for value in BAD_SHAPES}
    files |= {f"type {value}": encoded(changed(dtype=value)) for value in BAD_TYPES}
    files |= {f"without {key}": encoded(without(key)) for key in GOOD["a"]}
    files |= {f"header {value!r}": encoded(value) for value in BAD_HEADERS}
    files |= {f"name {name!r}": encoded(GOOD | {name: GOOD["b"]}) for name in BAD_NAMES}
    for length in BAD_LENGTHS:
        files[f"length {length}"] = length.to_bytes(8, "little") + TEXT + DATA
    for cut in (0, 1, 7, 8, 9, 20, 8 + len(TEXT), 8 + len(TEXT) + 1, 8 + len(TEXT) + 47):
        files[f"cut at {cut}"] = encoded(GOOD)[:cut]
    twice = TEXT[:-1] + b"," + TEXT[1:]
    files["a name twice"] = len(twice).to_bytes(8, "little") + twice + DATA
    deep = b'{"a":' * 100_000
    files["deep"] = len(deep).to_bytes(8, "little") + deep + DATA
    files["not UTF-8"] = len(TEXT).to_bytes(8, "little") + b"\xff" * len(TEXT) + DATA
    files["a pickle"] = b"\x80\x02}q\x00." + DATA
    files["a zip"] = b"PK\x03\x04" + DATA
    files["overlap"] = encoded(changed(data_offsets=[8, 40]))
    return files


FILES = bad_files()


def test_there_are_enough_bad_files() -> None:
    assert len(FILES) >= 80


def test_the_undamaged_file_opens(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(encoded(GOOD | {"__metadata__": {"format": "pt"}}))
    file = SafetensorsFile.open(path)
    assert file.tensors["a"].shape == (2, 4)
    assert file.read("a") == DATA[:32]
    assert file.read("b") == DATA[32:]
    file.close()
    with pytest.raises(ModelFileError, match="closed"):
        file.read("a")


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(FILES[name])
    with pytest.raises(ModelFileError) as caught:
        SafetensorsFile.open(path)
    assert caught.value.message.startswith(str(path))
    assert caught.value.message.isprintable()


def test_flipped_bits(tmp_path: Path) -> None:
    generator = random.Random(31)
    path = tmp_path / "m.safetensors"
    for _ in range(1000):
        damaged = bytearray(encoded(GOOD))
        for _ in range(generator.choice((1, 1, 3))):
            damaged[generator.randrange(8 + len(TEXT))] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        try:
            file = SafetensorsFile.open(path)
        except ModelFileError:
            continue
        for name, info in file.tensors.items():
            assert len(file.read(name)) == info.num_bytes
        file.close()


def test_a_file_cut_while_open_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(encoded(GOOD))
    file = SafetensorsFile.open(path)
    os.truncate(path, 8 + len(TEXT) + 40)
    assert file.read("a") == DATA[:32]
    with pytest.raises(ModelFileError, match="'b'"):
        file.read("b")
    file.close()


@pytest.mark.parametrize("suffix", ["bin", "pt", "pth", "ckpt", "pkl", "BIN"])
def test_pickled_weights_are_refused_by_name(suffix: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model")
    pickled = (folder / "model.safetensors").rename(folder / f"pytorch_model.{suffix}")
    for path in (folder, pickled):
        with pytest.raises(ModelFileError, match="pickled") as caught:
            open_model(path)
        assert "safetensors" in caught.value.hint


@pytest.mark.parametrize("beginning", [b"\x80\x02}q\x00.", b"\x80\x04\x95", b"PK\x03\x04rest"])
def test_pickled_weights_are_refused_by_their_first_bytes(beginning: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(beginning + bytes(64))
    with pytest.raises(ModelFileError, match="pickle"):
        open_model(path)


def write_index(folder: Path, table: object) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps(table))


def test_an_index_names_the_shards(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model")
    shard = folder / "model-00001-of-00001.safetensors"
    (folder / "model.safetensors").rename(shard)
    (folder / "consolidated.safetensors").write_bytes(b"another layout of the same weights")
    write_index(folder, {"weight_map": {"model.norm.weight": shard.name}})
    open_model(folder).close()


@pytest.mark.parametrize(
    "table",
    [
        {}, {"weight_map": None}, {"weight_map": []}, {"weight_map": {}}, {"weight_map": {"a": 1}},
        {"weight_map": {"a": "../model.safetensors"}}, {"weight_map": {"a": "/etc/passwd"}},
        {"weight_map": {"a": "sub/model.safetensors"}}, {"weight_map": {"a": "model.bin"}},
        {"weight_map": {"a": ".safetensors"}}, {"weight_map": {"a": "gone.safetensors"}}, [],
    ],
)  # fmt: skip
def test_an_index_is_checked(table: object, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model")
    write_index(folder, table)
    with pytest.raises(ModelFileError):
        open_model(folder)


@pytest.mark.parametrize("place", ["..", "sub", "absolute"])
def test_an_index_stays_inside_its_folder(place: str, tmp_path: Path) -> None:
    """The weights named are sound, and still not taken from anywhere else."""
    folder = write_folder(tmp_path / "model")
    (folder / "sub").mkdir()
    elsewhere = tmp_path if place == "absolute" else folder / place
    (folder / "model.safetensors").rename(elsewhere / "other.safetensors")
    name = str(elsewhere) if place == "absolute" else place
    write_index(folder, {"weight_map": {"a": f"{name}/other.safetensors"}})
    with pytest.raises(ModelFileError, match="files of its folder"):
        open_model(folder)


def test_a_tensor_in_two_shards_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model")
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").unlink()
    for shard in ("a.safetensors", "b.safetensors"):
        (folder / shard).write_bytes(data)
    with pytest.raises(ModelFileError, match="two shards"):
        open_model(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"null", b"[" * 100_000])
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "generation_config.json"])
def test_bad_json_beside_the_weights(name: str, content: bytes, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model")
    (folder / name).write_bytes(content)
    with pytest.raises(ModelFileError, match=name):
        open_model(folder)


def test_an_empty_folder_and_a_lone_file_say_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"config\.json"):
        open_model(tmp_path)
    folder = write_folder(tmp_path / "model")
    with pytest.raises(ModelFileError, match="without a configuration"):
        open_model(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelFileError, match="no weights"):
        open_model(folder)
