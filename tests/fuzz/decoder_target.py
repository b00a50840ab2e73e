"""The decoder: any shape, tensors, order of calls and block tables give results or an exception."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from stoker.kernels import _native
from stoker.kernels.decoder import available_kernels
from stoker.model.weights.interface import BLOCK, TensorType
from tests.fuzz.byte_source import ByteSource

LONGEST = 512
KERNELS = available_kernels()
TYPES = tuple(TensorType)
MOST_BYTES = 1 << 17
"""Of one tensor. A shape may claim more; then its tensor is never given."""
Shape = dict[str, Any]


def run(data: bytes) -> None:
    source = ByteSource(data)
    try:
        shape = _shape(source)
        decoder = _native.Decoder(shape, source.pick(KERNELS), source.size((1, 2, 3)))
    except (ValueError, TypeError, MemoryError):
        return
    for call in (_set_tensors, _finish, _allocate):
        if not source.rarely():
            _attempt(call, decoder, shape, source)
    for _ in range(source.integer(1, 4)):
        _attempt(source.pick(CALLS), decoder, shape, source)


def _attempt(
    call: Callable[[_native.Decoder, Shape, ByteSource], None],
    decoder: _native.Decoder,
    shape: Shape,
    source: ByteSource,
) -> None:
    with contextlib.suppress(ValueError, TypeError, MemoryError):
        call(decoder, shape, source)


def _shape(source: ByteSource) -> Shape:
    kv_heads, head_dim = source.size((1, 2)), source.size((16, 32, 64))
    layers = [_layer(source, head_dim) for _ in range(source.size((1, 2, 6)) % 7)]
    return {
        "vocab_size": source.size((40, 100)),
        "hidden_size": source.size((64, 256, 48)),
        "feed_forward_size": source.size((96, 256, 16)),
        "num_heads": kv_heads * source.size((1, 3, 40)),
        "num_kv_heads": kv_heads,
        "head_dim": head_dim,
        "layers": layers,
        "norm_eps": source.number(1e-5),
        "norm_offset": source.number(0.0),
        "attention_scale": source.number(0.1),
        "qkv_bias": source.rarely(),
        "qk_norm": source.rarely(),
        "post_norms": source.rarely(),
        "activation": source.pick(("silu", "gelu_tanh")),
        "embedding_scale": source.number(1.0),
        "attention_softcap": source.pick((None, source.number(20.0))),
        "final_softcap": source.pick((None, source.number(20.0))),
        "tied_head": source.pick((True, False)),
    }


def _layer(source: ByteSource, head_dim: int) -> dict[str, Any]:
    dim = source.size((min(max(head_dim, 0), 256), 6, 0))
    frequencies = max(min(dim, 256) // 2 + source.rarely(), 0)
    return {
        "rope": {
            "style": source.pick(("halves", "pairs")),
            "dim": dim,
            "inverse_frequencies": source.floats(frequencies).tolist(),
            "attention_factor": source.number(1.0),
        },
        "window": source.pick((None, None, source.size((1, 17, 300)))),
    }


def _names(shape: Shape) -> dict[str, tuple[int, int]]:
    """Rows and columns of every tensor (stoker.model.spec)."""
    hidden, feed = shape["hidden_size"], shape["feed_forward_size"]
    query, kv = (shape[key] * shape["head_dim"] for key in ("num_heads", "num_kv_heads"))
    names = {"embedding": (shape["vocab_size"], hidden), "final_norm": (1, hidden)}
    names |= {} if shape["tied_head"] else {"head": (shape["vocab_size"], hidden)}
    layer = {
        "attention_norm": (1, hidden), "feed_forward_norm": (1, hidden),
        "q": (query, hidden), "k": (kv, hidden), "v": (kv, hidden), "o": (hidden, query),
        "gate": (feed, hidden), "up": (feed, hidden), "down": (hidden, feed),
    }  # fmt: skip
    if shape["qkv_bias"]:
        layer |= {"q_bias": (1, query), "k_bias": (1, kv), "v_bias": (1, kv)}
    if shape["qk_norm"]:
        layer |= {"q_norm": (1, shape["head_dim"]), "k_norm": (1, shape["head_dim"])}
    if shape["post_norms"]:
        layer |= {"attention_post_norm": (1, hidden), "feed_forward_post_norm": (1, hidden)}
    for i in range(len(shape["layers"])):
        names |= {f"layers.{i}.{name}": size for name, size in layer.items()}
    return names


def _set_tensors(decoder: _native.Decoder, shape: Shape, source: ByteSource) -> None:
    kind = source.pick(TYPES)
    for name, (rows, columns) in _names(shape).items():
        fits = rows > 1 and columns % BLOCK[kind][0] == 0
        chosen = kind if fits and not source.rarely() else TensorType.F32
        values, size = BLOCK[chosen]
        num_bytes = rows * (columns // values) * size
        if num_bytes > MOST_BYTES:
            return
        raw = source.octets(num_bytes) if source.rarely() else np.full(num_bytes, 0x2C, np.uint8)
        decoder.set_tensor(name, int(chosen), source.size((rows,)), source.size((columns,)), raw)


def _finish(decoder: _native.Decoder, shape: Shape, source: ByteSource) -> None:
    decoder.finish()


def _allocate(decoder: _native.Decoder, shape: Shape, source: ByteSource) -> None:
    decoder.allocate_kv(source.size((1, 4, 30)))


def _runs(shape: Shape, source: ByteSource, blocks: int) -> tuple[np.ndarray, ...]:
    """Tokens, runs and block tables of one to three sequences, of which a number may be wrong."""
    runs, offset, rows = [], 0, 0
    for _ in range(source.integer(1, 3)):
        position, count = source.integer(0, 40), source.integer(1, 20)
        runs.append((position, count, offset))
        offset += -(-(position + count) // 16)
        rows += count
    made = np.array(runs, dtype=np.int32)
    if source.rarely():
        made[source.integer(0, len(runs) - 1), source.integer(0, 2)] = source.pick(
            (-1, 0, 100, 2**31 - 1, -(2**31))
        )
    tokens = source.ids(rows + (source.rarely()), min(shape["vocab_size"], 1 << 30))
    return tokens, made, source.ids(max(offset - source.rarely(), 0), blocks)


def _step(decoder: _native.Decoder, shape: Shape, source: ByteSource) -> None:
    tokens, runs, tables = _runs(shape, source, decoder.num_blocks)
    count = source.integer(0, min(len(tokens), 3))
    vocabulary = min(shape["vocab_size"], 1 << 30)
    rows = np.tile(np.array([0, 0, 0, -1, -1], dtype=np.int32), (count, 1))
    rows[:, 0] = np.sort(source.ids(count, len(tokens)))
    parameters = np.tile(np.array([0.8, 0.9, 0.1, 1.1, 0.5, 0.5], dtype=np.float32), (count, 1))
    if count and source.rarely():
        parameters[0, source.integer(0, 5)] = source.number(0.0)
        rows[0, source.integer(0, 4)] = source.pick((-2, 5, 1024, 2**31 - 1, -(2**31)))
    history = source.ids(source.integer(0, 20), vocabulary)
    bias = source.ids(source.integer(0, 3), vocabulary)
    decoder.step(
        tokens, runs, tables, rows, parameters,
        np.arange(count, dtype=np.uint64), np.arange(count, dtype=np.int64),
        history, _offsets(source, count, len(history)),
        bias, source.floats(len(bias)), _offsets(source, count, len(bias)),
        source.size((0, 5, 1024)),
    )  # fmt: skip


def _offsets(source: ByteSource, count: int, total: int) -> np.ndarray:
    made = np.full(count + 1, total, dtype=np.int32)
    made[0] = 0
    if source.rarely():
        made[source.integer(0, count)] = source.pick((-1, total + 1, 2**31 - 1))
    return made


def _forward(decoder: _native.Decoder, shape: Shape, source: ByteSource) -> None:
    if shape["vocab_size"] < 1 << 16:
        decoder.forward_logits(*_runs(shape, source, decoder.num_blocks))


def _blocks(decoder: _native.Decoder, shape: Shape, source: ByteSource) -> None:
    decoder.poison_block(source.size((0, decoder.num_blocks - 1)))
    decoder.copy_block(source.size((0, 0)), source.size((0, decoder.num_blocks - 1)))


CALLS = (_step, _step, _step, _forward, _blocks, _set_tensors, _finish, _allocate)


def seeds() -> list[bytes]:
    return [bytes(512), *(bytes((i * k * 7) % 241 for i in range(400)) for k in range(1, 9))]
