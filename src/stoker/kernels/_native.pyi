"""Types of the native extension (native/bindings/)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

PAGE: int
ATTENTION_CHUNK: int
MAX_QUERIES: int

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Bytes = NDArray[np.uint8]

class Decoder:
    def __init__(self, spec: Mapping[str, Any], kernels: str, threads: int) -> None: ...
    @property
    def kernels(self) -> str: ...
    @property
    def weight_bytes(self) -> int: ...
    @property
    def kv_bytes_per_block(self) -> int: ...
    @property
    def num_blocks(self) -> int: ...
    def set_tensor(self, name: str, type: int, rows: int, columns: int, source: Bytes) -> None: ...
    def finish(self) -> None: ...
    def allocate_kv(self, num_blocks: int) -> None: ...
    def copy_block(self, source: int, target: int) -> None: ...
    def poison_block(self, block: int) -> None: ...
    def step(
        self,
        tokens: Ints,
        runs: Ints,
        block_tables: Ints,
        rows: Ints,
        parameters: Floats,
        seeds: NDArray[np.uint64],
        positions: NDArray[np.int64],
        history: Ints,
        history_offsets: Ints,
        bias_ids: Ints,
        bias_values: Floats,
        bias_offsets: Ints,
        width: int,
        mask_rows: Ints | None = None,
        masks: NDArray[np.uint32] | None = None,
        before_sampling: Callable[[], object] | None = None,
        adapters: Sequence[Adapter | None] | None = None,
    ) -> tuple[Ints, Floats, Ints, Bytes, Ints, Floats]:
        """Tokens, log probabilities, ranks, finite flags, alternative ids and log probabilities.

        `masks` may be written until `before_sampling`, which is called after the forward pass,
        returns; what that raises is raised here. `adapters` has one or None for each run."""

    def forward_logits(
        self,
        tokens: Ints,
        runs: Ints,
        block_tables: Ints,
        adapters: Sequence[Adapter | None] | None = None,
    ) -> Floats: ...
    def pool_step(
        self,
        tokens: Ints,
        runs: Ints,
        block_tables: Ints,
        second_parts: Ints,
        poolings: Ints,
        adapters: Sequence[Adapter | None] | None = None,
    ) -> Floats:
        """For each run the vector it is pooled to: hidden_size numbers, or labels and zeros."""

class Adapter:
    def __init__(self, decoder: Decoder) -> None: ...
    @property
    def num_bytes(self) -> int: ...
    def set(
        self,
        name: str,
        scale: float,
        a_type: int,
        a_shape: tuple[int, int],
        a_source: Bytes,
        b_type: int,
        b_shape: tuple[int, int],
        b_source: Bytes,
    ) -> None:
        """To the product of the matrix `name` adds scale * (x @ A.T) @ B.T."""

def available_kernels() -> list[str]: ...
def quantize_rows(kernels: str, x: Floats) -> tuple[NDArray[np.int8], Floats, Floats, Ints]: ...
def matmul(
    kernels: str, type: int, rows: int, columns: int, source: Bytes, x: Floats
) -> Floats: ...
def unpack(kernels: str, type: int, rows: int, columns: int, source: Bytes) -> Floats: ...
def rms_norm(kernels: str, x: Floats, weight: Floats, eps: float) -> Floats: ...
def gated(kernels: str, activation: str, gate: Floats, up: Floats) -> Floats: ...
def softcap(kernels: str, x: Floats, cap: float) -> Floats: ...
def rope(kernels: str, style: str, head: Floats, cosine: Floats, sine: Floats) -> Floats: ...
def attention(
    kernels: str,
    queries: Floats,
    keys: Floats,
    values: Floats,
    block_table: Ints,
    first_position: int,
    window: int,
    softcap: float,
    chunks_per_piece: int = 0,
    sinks: Floats | None = None,
    causal: bool = True,
) -> Floats: ...
def uniform(seed: int, position: int) -> float: ...
def sample_row(
    logits: Floats,
    *,
    temperature: float,
    top_k: int,
    top_p: float,
    min_p: float,
    repetition_penalty: float,
    presence_penalty: float,
    frequency_penalty: float,
    seed: int,
    position: int,
    history: Ints,
    num_prompt_tokens: int,
    bias_ids: Ints,
    bias_values: Floats,
    num_logprobs: int,
    target: int,
    allowed: NDArray[np.uint32],
) -> tuple[int, float, int, bool, Ints, Floats]: ...

class measure:  # noqa: N801 - a submodule
    """Timed runs: seconds, bytes, operations."""

    class Memory:
        def __init__(self, megabytes: int) -> None: ...

    @staticmethod
    def read_limit(kernels: str, threads: int, memory: Memory) -> tuple[float, float, float]: ...
    @staticmethod
    def dot_limit(kernels: str, threads: int) -> tuple[float, float, float]: ...
    @staticmethod
    def fma_limit(kernels: str, threads: int) -> tuple[float, float, float]: ...
    @staticmethod
    def matmul(
        kernels: str,
        threads: int,
        memory: Memory,
        codec: int,
        rows: int,
        columns: int,
        batch: int,
        megabytes: int,
    ) -> tuple[float, float, float]: ...
    @staticmethod
    def attention(
        kernels: str,
        threads: int,
        memory: Memory,
        heads: int,
        head_dim: int,
        context: int,
        positions: int,
        megabytes: int,
    ) -> tuple[float, float, float]: ...
    @staticmethod
    def rms_norm(kernels: str, rows: int, columns: int) -> tuple[float, float, float]: ...
    @staticmethod
    def quantize_rows(kernels: str, rows: int, columns: int) -> tuple[float, float, float]: ...
    @staticmethod
    def silu_multiply(kernels: str, rows: int, columns: int) -> tuple[float, float, float]: ...
    @staticmethod
    def rope_store(
        kernels: str, rows: int, heads: int, kv_heads: int, head_dim: int
    ) -> tuple[float, float, float]: ...
    @staticmethod
    def sampler(
        kernels: str,
        threads: int,
        vocabulary: int,
        temperature: float,
        top_k: int,
        top_p: float,
        megabytes: int,
    ) -> tuple[float, float, float]: ...
