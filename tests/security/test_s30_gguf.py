"""S30: a GGUF file can be anything. It opens, or it is a ModelFileError; never anything else."""

from __future__ import annotations

import os
import random
import tracemalloc
from pathlib import Path

import pytest

from stoker.errors import ModelFileError, UnsupportedModel
from stoker.kernels.decoder import load_decoder
from stoker.model.load import open_model
from stoker.model.weights.gguf import GgufFile
from tests.support.gguf_bytes import tiny_gguf

TINY = tiny_gguf()
VALID = bytes(TINY.data)
MOST_MEMORY = 32 << 20
"""What opening a damaged file of a few kilobytes may take at most."""


def damages(size: int, value: int) -> list[int]:
    """Zero, one, limits of every width, just past them, values that wrap, and negative ones."""
    bits = 8 * size
    edges = {0, 1, value - 1, value + 1, (1 << bits) - 1, (1 << bits) - 2, 1 << (bits - 1)}
    edges |= {(1 << (bits - 1)) - 1, (1 << bits) - 32, (1 << bits) - value}
    if size == 8:
        edges |= {1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + value, 1 << 61, 1 << 62}
        edges |= {len(VALID), len(VALID) + 1, (1 << 64) - len(VALID)}
    if size == 4:
        edges |= {1 << 24, len(VALID), 7, 13, 100}
    return sorted(edge for edge in edges if edge != value and 0 <= edge < 1 << bits)


def field_cases() -> list[tuple[str, int]]:
    cases = []
    for name, (position, size) in TINY.fields.items():
        value = int.from_bytes(VALID[position : position + size], "little")
        cases += [(name, damage) for damage in damages(size, value)]
    return cases


def survives(path: Path, data: bytes) -> bool:
    """Whether the file opened. Then tensors have their size and the kernels agree."""
    path.write_bytes(data)
    try:
        model = open_model(path)
    except (ModelFileError, UnsupportedModel) as error:
        assert "\n" not in error.message
        assert error.message.isprintable()
        return False
    try:
        for name in model.weights.names():
            assert len(model.weights.read(name)) == model.weights.info(name).num_bytes
        load_decoder(model.spec, model.weights, threads=1)
    except ModelFileError:
        pass
    finally:
        model.close()
    return True


def test_the_undamaged_file_opens(tmp_path: Path) -> None:
    assert survives(tmp_path / "m.gguf", VALID)


def test_there_are_enough_bad_files() -> None:
    assert len(field_cases()) >= 250


@pytest.mark.parametrize("name", list(TINY.fields))
def test_each_field_takes_any_value(tmp_path: Path, name: str) -> None:
    for field, damage in field_cases():
        if field == name:
            survives(tmp_path / "m.gguf", TINY.with_number(name, damage))


@pytest.mark.parametrize(
    "name",
    [name for name in TINY.fields if TINY.fields[name][1] == 8],
)
def test_a_size_beyond_the_file_is_refused_without_allocating(tmp_path: Path, name: str) -> None:
    path = tmp_path / "m.gguf"
    for huge in (len(VALID), 1 << 32, (1 << 61) + 1, (1 << 63) - 1, (1 << 64) - 32):
        path.write_bytes(TINY.with_number(name, huge))
        tracemalloc.start()
        try:
            with pytest.raises(ModelFileError):
                open_model(path)
            assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
        finally:
            tracemalloc.stop()


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    for length in [*range(TINY.header_end), *range(TINY.header_end, len(VALID), 997)]:
        assert not survives(tmp_path / "m.gguf", VALID[:length]), length


def test_flipped_bits(tmp_path: Path) -> None:
    generator = random.Random(30)
    path = tmp_path / "m.gguf"
    opened = 0
    for _ in range(1000):
        damaged = bytearray(VALID)
        for _ in range(generator.choice((1, 1, 2, 8))):
            damaged[generator.randrange(TINY.header_end)] ^= 1 << generator.randrange(8)
        opened += survives(path, bytes(damaged))
    assert 0 < opened < 1000


def test_random_bytes_after_the_magic(tmp_path: Path) -> None:
    generator = random.Random(31)
    for _ in range(200):
        data = VALID[:24] + generator.randbytes(generator.randrange(400))
        assert not survives(tmp_path / "m.gguf", data)


@pytest.mark.parametrize("alignment", [0, 3, 48, 31, 1 << 17, 1 << 31])
def test_alignment_is_a_power_of_two(tmp_path: Path, alignment: int) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(TINY.with_number("alignment", alignment))
    with pytest.raises(ModelFileError, match="power of two"):
        GgufFile.open(path)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("version", 1, "version 1"),
        ("version", 3 << 24, "version"),
        ("tensor token_embd.weight type", 4, "element type 4"),
        ("tensor token_embd.weight type", 99, "element type 99"),
        ("tensor token_embd.weight type", 12, "blocks"),
        ("tensor token_embd.weight dimensions", 5, "5 dimensions"),
        ("tensor blk.0.attn_q.weight offset", 1, "aligned"),
        ("tensor blk.0.attn_q.weight offset", 1 << 40, "past the end"),
        ("tensor blk.0.attn_q.weight extent 0", 1 << 31, "2\\^31"),
        ("nested element type", 44, "44"),
        ("value flag", 2, "boolean"),
        ("value llama.block_count", 2, "missing"),
        ("value llama.embedding_length", 64, "needs"),
        ("value llama.attention.head_count_kv", 0, "head_count_kv"),
        ("value llama.rope.dimension_count", 32, "even number"),
        ("value epsilon", 0x7FC00000, "epsilon"),
    ],
)
def test_the_reason_names_what_is_wrong(tmp_path: Path, name: str, value: int, reason: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(TINY.with_number(name, value))
    with pytest.raises(ModelFileError, match=reason) as caught:
        open_model(path).close()
    assert str(path) in caught.value.message


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"blk.0.attn_v.weight", b"blk.0.attn_k.weight", "twice"),
        (b"blk.0.attn_v.weight", b"blk.9.attn_v.weight", "missing"),
        (b"blk.0.attn_v.weight", b"blk.0\nattn_v.weight", "printable"),
        (b"llama.block_count", b"llama.block\x00count", "printable"),
        (b"llama.block_count", b"llama.block_c\xffunt", "UTF-8"),
        (b"llama.rope.dimension_count", b"llama.attention.head_count", "twice"),
        (b"llama.block_count", b"llama.blocc_count", "block_count is missing"),
        (b"GGUF", b"GGML", "not a GGUF file"),
        (b"GGUF", b"\x80\x02\x8a\x0a", "pickle"),
        (b"GGUF", b"PK\x03\x04", "pickle"),
    ],
)
def test_names_are_checked(tmp_path: Path, old: bytes, new: bytes, reason: str) -> None:
    path = tmp_path / "m.gguf"
    assert VALID.count(old) == 1 and len(old) <= len(new) + 1
    path.write_bytes(VALID.replace(old, new.ljust(len(old), b"x")[: len(old)]))
    with pytest.raises(ModelFileError, match=reason):
        open_model(path).close()


@pytest.mark.parametrize("filler", [b"\xff", b"\x00"], ids=["not UTF-8", "NUL"])
def test_any_text_may_be_garbage(tmp_path: Path, filler: bytes) -> None:
    path = tmp_path / "m.gguf"
    for name, (position, size) in TINY.fields.items():
        if name.endswith(" length"):
            start = position + size
            end = start + int.from_bytes(VALID[position:start], "little")
            survives(path, VALID[:start] + filler * (end - start) + VALID[end:])


def test_arrays_nested_too_deeply_are_refused(tmp_path: Path) -> None:
    nested = (9).to_bytes(4, "little") + (1).to_bytes(8, "little")
    key = (1).to_bytes(8, "little") + b"k" + (9).to_bytes(4, "little")
    path = tmp_path / "m.gguf"
    path.write_bytes(VALID[:8] + bytes(8) + key[:1] + bytes(7) + key + nested * 2000 + bytes(4096))
    with pytest.raises(ModelFileError, match="deep"):
        GgufFile.open(path)


def test_an_unknown_architecture_names_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(VALID.replace(b"llama", b"lama4"))
    with pytest.raises(UnsupportedModel, match="'lama4'") as caught:
        open_model(path)
    assert "llama" in caught.value.hint


def test_a_file_cut_while_open_is_an_error_not_a_signal(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(VALID)
    model = open_model(path)
    os.truncate(path, TINY.header_end + 16)
    try:
        with pytest.raises(ModelFileError, match="ends inside tensor"):
            for name in model.weights.names():
                model.weights.read(name)
    finally:
        model.close()


def test_only_regular_files_open(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.gguf"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), tmp_path / "none.gguf", Path("a\0b")):
        with pytest.raises(ModelFileError):
            open_model(path)


def test_nothing_stays_open_after_a_refusal(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for name, damage in field_cases()[:200]:
        survives(tmp_path / "m.gguf", TINY.with_number(name, damage))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
