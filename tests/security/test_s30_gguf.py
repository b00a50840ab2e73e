"""S30: a bad GGUF file gives one line naming the file and the reason, never anything else."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.checkpoints import write_gguf

from stoker.errors import ModelFileError, SetupError
from stoker.model.load import open_model
from stoker.model.weights.gguf import GgufFile

U32_VALUES = (0, 1, 2, 2**31 - 1, 2**31, 2**32 - 1)
U64_VALUES = (0, 1, 2**31, 2**32 + 1, 2**63 - 1, 2**63, 2**64 - 1)


class Header:
    """Writes a GGUF header field by field, with any one of them replaced."""

    def __init__(self) -> None:
        self.fields: list[tuple[str, bytes]] = []

    def add(self, name: str, code: str, value: int | float) -> None:
        self.fields.append((name, struct.pack("<" + code, value)))

    def text(self, name: str, value: str) -> None:
        raw = value.encode()
        self.add(f"{name}.length", "Q", len(raw))
        self.fields.append((f"{name}.text", raw))

    def build(self, replaced: str | None = None, by: bytes = b"") -> bytes:
        assert replaced is None or replaced in dict(self.fields)
        return b"".join(by if name == replaced else raw for name, raw in self.fields)


def small_header() -> Header:
    header = Header()
    header.fields.append(("magic", b"GGUF"))
    header.add("version", "I", 3)
    header.add("tensors", "Q", 2)
    header.add("values", "Q", 5)
    header.text("key architecture", "general.architecture")
    header.add("type architecture", "I", 8)
    header.text("value architecture", "llama")
    header.text("key alignment", "general.alignment")
    header.add("type alignment", "I", 4)
    header.add("value alignment", "I", 32)
    header.text("key flag", "some.flag")
    header.add("type flag", "I", 7)
    header.add("value flag", "B", 1)
    header.text("key strings", "some.strings")
    header.add("type strings", "I", 9)
    header.add("element type strings", "I", 8)
    header.add("count strings", "Q", 2)
    header.text("string 0", "a")
    header.text("string 1", "bc")
    header.text("key numbers", "some.numbers")
    header.add("type numbers", "I", 9)
    header.add("element type numbers", "I", 6)
    header.add("count numbers", "Q", 3)
    header.fields.append(("numbers", struct.pack("<3f", 1, 2, 3)))
    for i in range(2):
        header.text(f"tensor {i} name", f"t{i}.weight")
        header.add(f"tensor {i} dimensions", "I", 2)
        header.add(f"tensor {i} columns", "Q", 64)
        header.add(f"tensor {i} rows", "Q", 2)
        header.add(f"tensor {i} type", "I", 8)
        header.add(f"tensor {i} offset", "Q", 160 * i)
    return header


def with_data(header: bytes) -> bytes:
    """Padded to the alignment, and two Q8_0 tensors of 136 bytes (160 with padding)."""
    return header + bytes(-len(header) % 32) + bytes(160 + 136)


def named_files() -> dict[str, bytes]:
    """At least 250: every numeric field at its extremes, every text broken, every cut."""
    header = small_header()
    sound = header.build()
    files: dict[str, bytes] = {}
    for name, raw in header.fields:
        if name.endswith(".text") or name == "numbers":
            continue
        if name != "magic":
            code, values = ("I", U32_VALUES) if len(raw) == 4 else ("Q", U64_VALUES)
            if len(raw) == 1:
                code, values = "B", (2, 128, 255)
            for value in values:
                mutated = struct.pack("<" + code, value)
                if mutated != raw:
                    files[f"{name} = {value}"] = with_data(header.build(name, mutated))
    for name, raw in header.fields:
        if name.endswith(".text"):
            files[f"{name} not UTF-8"] = with_data(header.build(name, b"\xff" * len(raw)))
            files[f"{name} NUL"] = with_data(header.build(name, b"\0" * len(raw)))
    for magic in (b"GGUF"[::-1], b"GGML", b"\0\0\0\0", b"PK\3\4"):
        files[f"magic {magic!r}"] = with_data(header.build("magic", magic))
    for cut in range(0, len(sound), 9):
        files[f"cut at {cut}"] = sound[:cut]
    whole = with_data(sound)
    for missing in (1, 32, 136, 137, 200):
        files[f"data short by {missing}"] = whole[:-missing]
    files["same name twice"] = with_data(header.build("tensor 1 name.text", b"t0.weight"))
    files["empty"] = b""
    files["deep array"] = sound[:24] + _deep_array()
    return files


def _deep_array() -> bytes:
    key = struct.pack("<Q", 1) + b"k"
    return key + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 2000 + bytes(4096)


FILES = named_files()


def test_the_unchanged_file_opens(tmp_path: Path) -> None:
    path = tmp_path / "sound.gguf"
    path.write_bytes(with_data(small_header().build()))
    with GgufFile.open(path) as file:
        assert file.metadata["some.strings"] == ["a", "bc"]
        assert file.metadata["some.numbers"] == [1.0, 2.0, 3.0]
        assert file.tensors["t1.weight"].shape == (2, 64)
        assert file.read("t1.weight") == bytes(136)


def test_there_are_enough_bad_files() -> None:
    assert len(FILES) >= 250


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(FILES[name])
    try:
        with GgufFile.open(path) as file:
            for tensor in file.tensors:
                assert len(file.read(tensor)) == file.tensors[tensor].num_bytes
    except ModelFileError as error:
        assert str(error).startswith(str(path))
        assert "\n" not in str(error)
        assert len(error.reason) > 8
    # A mutation may leave a sound file that means something else; what it must never do is raise
    # anything but ModelFileError, read past the end, or allocate what the file only claims.


MUST_BE_REFUSED: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    name: (lambda files, key=name: files[key])
    for name in FILES
    if name.startswith(("cut at", "data short", "magic", "same name", "empty", "deep"))
    or name.endswith("not UTF-8")
    or (name.split(" = ")[0] in ("tensors", "values") and int(name.split(" = ")[1]) > 2**31 - 1)
    or (name.startswith("tensor ") and name.split(" = ")[-1] in (str(2**63), str(2**64 - 1)))
}


@pytest.mark.parametrize("name", MUST_BE_REFUSED)
def test_a_file_that_lies_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(FILES[name])
    with pytest.raises(ModelFileError):
        GgufFile.open(path).close()


def test_random_bit_flips_open_or_are_refused(tmp_path: Path) -> None:
    original = write_gguf(tmp_path / "model.gguf").read_bytes()
    rng = random.Random(0)
    path = tmp_path / "flipped.gguf"
    refused = 0
    for _ in range(1000):
        data = bytearray(original)
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data) // 8)] ^= 1 << rng.randrange(8)  # header region
        path.write_bytes(data)
        try:
            open_model(path).close()
        except SetupError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 100


def test_truncation_at_any_offset_is_refused(tmp_path: Path) -> None:
    original = write_gguf(tmp_path / "model.gguf").read_bytes()
    path = tmp_path / "short.gguf"
    for cut in range(0, len(original) - 1, len(original) // 200):
        path.write_bytes(original[:cut])
        with pytest.raises(ModelFileError):
            open_model(path).close()


def test_a_file_cut_short_while_open_is_an_error_not_a_signal(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "model.gguf")
    model = open_model(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(ModelFileError, match=r"cut short|ends inside"):
        for name in model.weights.names():
            model.weights.read(name)
    model.close()
