"""A tiny valid GGUF file as bytes, with the place of every field, to be damaged field by field."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

HIDDEN, FEED, HEADS, HEAD_DIM, VOCAB = 32, 64, 2, 16, 8
INTEGERS = {
    "llama.context_length": 64,
    "llama.embedding_length": HIDDEN,
    "llama.feed_forward_length": FEED,
    "llama.block_count": 1,
    "llama.attention.head_count": HEADS,
    "llama.attention.head_count_kv": 1,
    "llama.attention.key_length": HEAD_DIM,
    "llama.rope.dimension_count": HEAD_DIM,
}
TENSORS = {
    "token_embd.weight": (VOCAB, HIDDEN),
    "output_norm.weight": (HIDDEN,),
    "blk.0.attn_norm.weight": (HIDDEN,),
    "blk.0.attn_q.weight": (HEADS * HEAD_DIM, HIDDEN),
    "blk.0.attn_k.weight": (HEAD_DIM, HIDDEN),
    "blk.0.attn_v.weight": (HEAD_DIM, HIDDEN),
    "blk.0.attn_output.weight": (HIDDEN, HEADS * HEAD_DIM),
    "blk.0.ffn_norm.weight": (HIDDEN,),
    "blk.0.ffn_gate.weight": (FEED, HIDDEN),
    "blk.0.ffn_up.weight": (FEED, HIDDEN),
    "blk.0.ffn_down.weight": (HIDDEN, FEED),
}


@dataclass
class GgufBytes:
    """`fields` maps a name such as "tensor token_embd.weight offset" to (position, bytes)."""

    data: bytearray = field(default_factory=bytearray)
    fields: dict[str, tuple[int, int]] = field(default_factory=dict)
    header_end: int = 0

    def number(self, name: str, value: int, size: int) -> None:
        self.fields[name] = (len(self.data), size)
        self.data += value.to_bytes(size, "little")

    def text(self, name: str, value: str) -> None:
        self.number(f"{name} length", len(value), 8)
        self.data += value.encode()

    def key(self, key: str, kind: int) -> None:
        self.text(f"key {key}", key)
        self.number(f"type {key}", kind, 4)

    def with_number(self, name: str, value: int) -> bytes:
        position, size = self.fields[name]
        damaged = bytearray(self.data)
        damaged[position : position + size] = (value % (1 << 8 * size)).to_bytes(size, "little")
        return bytes(damaged)


def tiny_gguf() -> GgufBytes:
    out = GgufBytes()
    out.data += b"GGUF"
    out.number("version", 3, 4)
    out.number("number of tensors", len(TENSORS), 8)
    out.number("number of values", len(INTEGERS) + 7, 8)
    _values(out)
    offset = 0
    for name, shape in TENSORS.items():
        out.text(f"tensor {name} name", name)
        out.number(f"tensor {name} dimensions", len(shape), 4)
        for axis, extent in enumerate(reversed(shape)):
            out.number(f"tensor {name} extent {axis}", extent, 8)
        out.number(f"tensor {name} type", 0, 4)
        out.number(f"tensor {name} offset", offset, 8)
        offset += 4 * shape[0] * (shape[1] if len(shape) == 2 else 1)
    out.data += bytes(-len(out.data) % 32)
    out.header_end = len(out.data)
    out.data += struct.pack(f"<{offset // 4}f", *(0.01 * (i % 7) for i in range(offset // 4)))
    return out


def _values(out: GgufBytes) -> None:
    out.key("general.architecture", 8)
    out.text("architecture", "llama")
    out.key("general.alignment", 4)
    out.number("alignment", 32, 4)
    for key, value in INTEGERS.items():
        out.key(key, 4)
        out.number(f"value {key}", value, 4)
    out.key("llama.attention.layer_norm_rms_epsilon", 6)
    out.number("value epsilon", int.from_bytes(struct.pack("<f", 1e-5), "little"), 4)
    out.key("tokenizer.ggml.tokens", 9)
    out.number("strings element type", 8, 4)
    out.number("strings count", VOCAB, 8)
    for i in range(VOCAB):
        out.text(f"string {i}", f"t{i}")
    out.key("tokenizer.ggml.token_type", 9)
    out.number("integers element type", 5, 4)
    out.number("integers count", VOCAB, 8)
    out.data += struct.pack(f"<{VOCAB}i", *range(VOCAB))
    out.key("tokenizer.ggml.nested", 9)
    out.number("nested element type", 9, 4)
    out.number("nested count", 1, 8)
    out.number("inner element type", 0, 4)
    out.number("inner count", 2, 8)
    out.data += b"\x01\x02"
    out.key("tokenizer.ggml.add_bos_token", 7)
    out.number("value flag", 1, 1)
