"""Every kernel against its NumPy twin, on every instruction set this machine has."""

from __future__ import annotations

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import dequantize as independent_dequantize
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.kernels import _native
from stoker.kernels.decoder import available_kernels
from stoker.kernels.reference.activation import gated_activation, softcap
from stoker.kernels.reference.attention import attention
from stoker.kernels.reference.experts import route
from stoker.kernels.reference.matmul import quantize_rows_int8, through_int8
from stoker.kernels.reference.norm import layer_norm, rms_norm
from stoker.kernels.reference.rope import rope
from stoker.model.spec import Activation, RopeStyle
from stoker.model.weights.dequantize import dequantize
from stoker.model.weights.interface import BLOCK, TensorType

KERNELS = available_kernels()
DENSE = (TensorType.F32, TensorType.F16, TensorType.BF16)
HALVES_IN_BLOCK = {
    TensorType.Q4_0: (0,),
    TensorType.Q4_1: (0, 2),
    TensorType.Q5_0: (0,),
    TensorType.Q5_1: (0, 2),
    TensorType.Q8_0: (0,),
    TensorType.Q4_K: (0, 2),
    TensorType.Q5_K: (0, 2),
    TensorType.Q6_K: (208,),
}
SCALES_ROUNDED_TO_HALF = (TensorType.Q4_K, TensorType.Q5_K, TensorType.Q6_K)
"""Their scale is a product that the packed form keeps as fp16."""


def random_tensor(kind: TensorType, rows: int, columns: int, seed: int) -> np.ndarray:
    """Bytes of a tensor with random quants and sane scales."""
    generator = np.random.default_rng(seed)
    if kind in DENSE:
        values = generator.normal(size=(rows, columns)).astype(np.float32)
        if kind is TensorType.F16:
            return values.astype(np.float16).view(np.uint8).reshape(-1)
        if kind is TensorType.BF16:
            return (values.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8).reshape(-1)
        return values.view(np.uint8).reshape(-1)
    _, size = BLOCK[kind]
    blocks = generator.integers(0, 256, (rows * columns // BLOCK[kind][0], size), dtype=np.uint8)
    for at in HALVES_IN_BLOCK[kind]:
        scale = generator.normal(scale=0.01, size=(len(blocks), 1)).astype(np.float16)
        blocks[:, at : at + 2] = scale.view(np.uint8)
    return blocks.reshape(-1)


def close(ours: np.ndarray, wanted: np.ndarray, tolerance: float) -> bool:
    return bool(np.abs(ours - wanted).max() <= tolerance * max(np.abs(wanted).max(), 1e-30))


@pytest.mark.parametrize("kind", TensorType)
def test_dequantisation_equals_an_independent_implementation(kind: TensorType) -> None:
    raw = random_tensor(kind, 5, 512, seed=int(kind))
    ours = dequantize(raw.tobytes(), kind, (5, 512))
    if kind in (TensorType.F32,):
        wanted = raw.view(np.float32).reshape(5, 512)
    else:
        wanted = independent_dequantize(raw.reshape(5, -1), GGMLQuantizationType(int(kind)))
    assert np.array_equal(ours, np.asarray(wanted).reshape(5, 512))


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("kind", TensorType)
def test_unpacked_rows_equal_the_file(kernels: str, kind: TensorType) -> None:
    raw = random_tensor(kind, 21, 256, seed=1)
    ours = _native.unpack(kernels, int(kind), 21, 256, raw)
    wanted = dequantize(raw.tobytes(), kind, (21, 256))
    assert close(ours, wanted, 5e-4 if kind in SCALES_ROUNDED_TO_HALF else 1e-6)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("kind", TensorType)
@settings(max_examples=4)
@given(
    rows=st.integers(1, 70),
    outputs=st.integers(1, 70),
    blocks=st.integers(1, 2),
    seed=st.integers(0, 99),
)
def test_products_equal_the_twin(
    kernels: str, kind: TensorType, rows: int, outputs: int, blocks: int, seed: int
) -> None:
    columns = blocks * 256
    raw = random_tensor(kind, outputs, columns, seed)
    x = np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)
    ours = _native.matmul(kernels, int(kind), outputs, columns, raw, x)
    activations = x if kind in DENSE else through_int8(x)
    wanted = activations @ dequantize(raw.tobytes(), kind, (outputs, columns)).T
    assert close(ours, wanted, 1e-3 if kind in SCALES_ROUNDED_TO_HALF else 1e-5)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("kind", TensorType)
def test_a_row_alone_equals_the_row_in_a_batch(kernels: str, kind: TensorType) -> None:
    raw = random_tensor(kind, 40, 512, seed=3)
    x = np.random.default_rng(3).normal(size=(67, 512)).astype(np.float32)
    together = _native.matmul(kernels, int(kind), 40, 512, raw, x)
    alone = [_native.matmul(kernels, int(kind), 40, 512, raw, x[i : i + 1])[0] for i in range(67)]
    assert np.array_equal(together, np.array(alone))


@pytest.mark.skipif("avx2" not in KERNELS or "avx512_vnni" not in KERNELS, reason="one set only")
@pytest.mark.parametrize("kind", TensorType)
def test_vector_sets_agree_bit_for_bit(kind: TensorType) -> None:
    raw = random_tensor(kind, 40, 512, seed=4)
    x = np.random.default_rng(4).normal(size=(9, 512)).astype(np.float32)
    results = [_native.matmul(k, int(kind), 40, 512, raw, x) for k in ("avx2", "avx512_vnni")]
    assert np.array_equal(*results)


@pytest.mark.parametrize("kernels", KERNELS)
@settings(max_examples=20)
@given(rows=st.integers(1, 5), groups=st.integers(1, 4), seed=st.integers(0, 999))
def test_quantised_rows_equal_the_twin(kernels: str, rows: int, groups: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(rows, groups * 32)).astype(np.float32)
    quants, scales, scaled_sums, sums = _native.quantize_rows(kernels, x)
    wanted = quantize_rows_int8(x)
    assert np.array_equal(quants, wanted.quants.reshape(quants.shape))
    assert close(scales, wanted.scales.reshape(scales.shape), 1e-6)
    assert np.array_equal(sums, quants.reshape(rows, -1, 16).astype(np.int32).sum(axis=2))
    assert close(
        scaled_sums, scales * quants.reshape(rows, -1, 32).astype(np.int32).sum(axis=2), 1e-6
    )


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_poisons_its_group(kernels: str, poison: float) -> None:
    x = np.ones((1, 64), dtype=np.float32)
    x[0, 5] = poison
    _, scales, _, _ = _native.quantize_rows(kernels, x)
    assert np.isnan(scales[0, 0])
    assert np.isfinite(scales[0, 1])


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("value", [0.0, 1e-45, 1e-39, 1e-36, np.nan])
def test_a_group_without_a_scale_has_no_quants(kernels: str, value: float) -> None:
    x = np.full((1, 64), value, dtype=np.float32)
    quants, scales, _, sums = _native.quantize_rows(kernels, x)
    assert not quants.any()
    assert not sums.any()
    assert np.isnan(scales).all() == np.isnan(value)


@pytest.mark.parametrize("kernels", KERNELS)
@settings(max_examples=20)
@given(lanes=st.integers(1, 40), seed=st.integers(0, 999))
def test_norm_and_gates_equal_their_twins(kernels: str, lanes: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    x, y = generator.normal(scale=3, size=(2, lanes * 16)).astype(np.float32)
    assert close(_native.rms_norm(kernels, x, y, 1e-5), rms_norm(x, y, 1e-5), 1e-5)
    ours = _native.layer_norm(kernels, x + 1, y, x, 1e-5)
    assert close(ours, layer_norm(x + 1, y, x, 1e-5), 2e-5)
    for activation in Activation:
        ours = _native.gated(kernels, activation.value, x, y)
        assert close(ours, gated_activation(x, y, activation), 2e-5)
    assert close(_native.softcap(kernels, x, 5.0), softcap(x, 5.0), 1e-5)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("style", RopeStyle)
def test_rope_equals_its_twin(kernels: str, style: RopeStyle) -> None:
    generator = np.random.default_rng(7)
    head = generator.normal(size=64).astype(np.float32)
    angle = generator.uniform(0, 6, size=16).astype(np.float32)
    cosine, sine = np.cos(angle), np.sin(angle)
    ours = _native.rope(kernels, style.value, head, cosine, sine)
    wanted = rope(head[None, None, :], cosine[None, :], sine[None, :], style)
    assert close(ours, np.asarray(wanted).reshape(64), 1e-6)


@pytest.mark.parametrize("kernels", KERNELS)
@settings(max_examples=25)
@given(data=st.data())
def test_paged_attention_equals_a_dense_one(kernels: str, data: st.DataObject) -> None:
    context = data.draw(st.integers(1, 600), "context")
    positions = data.draw(st.integers(1, min(8, context)), "positions")
    heads = data.draw(st.integers(1, 4), "heads")
    dim = data.draw(st.sampled_from([16, 64, 96]), "dim")
    window = data.draw(st.sampled_from([0, 1, 17, 300]), "window")
    cap = data.draw(st.sampled_from([0.0, 20.0]), "softcap")
    generator = np.random.default_rng(data.draw(st.integers(0, 99), "seed"))
    first = context - positions
    queries = generator.normal(size=(positions, heads, dim)).astype(np.float32)
    keys, values = generator.normal(size=(2, context, dim)).astype(np.float32)
    table = generator.permutation(-(-context // 16)).astype(np.int32)
    ours = _native.attention(kernels, queries, keys, values, table, first, window, cap)
    halved = [x.astype(np.float16).astype(np.float32) for x in (keys, values)]
    wanted = dense_attention(queries, *halved, first, window, cap)
    assert close(ours, wanted, 2e-5)


def dense_attention(
    queries: np.ndarray, keys: np.ndarray, values: np.ndarray, first: int, window: int, cap: float
) -> np.ndarray:
    """The definition, in float64, one query at a time."""
    out = np.zeros(queries.shape)
    for p, h in np.ndindex(queries.shape[:2]):
        last = first + p
        begin = max(0, last - window + 1) if window else 0
        scores = keys[begin : last + 1].astype(np.float64) @ queries[p, h]
        if cap:
            scores = cap * np.tanh(scores / cap)
        weights = np.exp(scores - scores.max())
        out[p, h] = (weights / weights.sum()) @ values[begin : last + 1]
    return out


@pytest.mark.parametrize("kernels", KERNELS)
def test_a_query_alone_equals_the_query_in_a_tile(kernels: str) -> None:
    generator = np.random.default_rng(9)
    queries = generator.normal(size=(8, 3, 64)).astype(np.float32)
    keys, values = generator.normal(size=(2, 700, 64)).astype(np.float32)
    table = generator.permutation(44).astype(np.int32)
    together = _native.attention(kernels, queries, keys, values, table, 692, 0, 0.0)
    for p in range(8):
        end = 693 + p
        pages = -(-end // 16)
        short = np.argsort(np.argsort(table[:pages])).astype(np.int32)
        alone = _native.attention(
            kernels, queries[p : p + 1], keys[:end], values[:end], short, 692 + p, 0, 0.0
        )
        assert np.array_equal(alone[0], together[p])


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("window", [0, 300])
@pytest.mark.parametrize("chunks", [1, 2, 5])
def test_attention_in_pieces_equals_the_whole(kernels: str, window: int, chunks: int) -> None:
    generator = np.random.default_rng(10)
    queries = generator.normal(size=(2, 7, 32)).astype(np.float32)
    keys, values = generator.normal(size=(2, 1000, 32)).astype(np.float32)
    table = generator.permutation(63).astype(np.int32)
    arguments = (kernels, queries, keys, values, table, 998, window, 0.0)
    assert np.array_equal(_native.attention(*arguments, chunks), _native.attention(*arguments))


def test_attention_twin_agrees_with_the_definition() -> None:
    generator = np.random.default_rng(10)
    queries = generator.normal(size=(5, 4, 32)).astype(np.float32)
    keys, values = generator.normal(size=(2, 5, 2, 32)).astype(np.float32)
    ours = attention(queries, keys, values, first_position=0, scale=1.0, window=3)
    for h in range(4):
        wanted = dense_attention(
            queries[:, h : h + 1], keys[:, h // 2], values[:, h // 2], 0, 3, 0.0
        )
        assert close(np.asarray(ours).reshape(5, 4, 32)[:, h], wanted[:, 0], 1e-5)


WRONG_CALLS = {
    "wrong dtype": lambda x: _native.rms_norm("auto", x.astype(np.float64), x, 1e-5),
    "not contiguous": lambda x: _native.rms_norm("auto", np.repeat(x, 2)[::2], x, 1e-5),
    "different lengths": lambda x: _native.rms_norm("auto", x, x[:16], 1e-5),
    "not whole lanes": lambda x: _native.rms_norm("auto", x[:9], x[:9], 1e-5),
    "unknown kernels": lambda x: _native.rms_norm("sse9", x, x, 1e-5),
    "unknown type": lambda x: _native.unpack("auto", 99, 1, 32, np.zeros(34, np.uint8)),
    "short buffer": lambda x: _native.unpack("auto", 8, 1, 32, np.zeros(33, np.uint8)),
    "long buffer": lambda x: _native.unpack("auto", 8, 1, 32, np.zeros(35, np.uint8)),
    "negative rows": lambda x: _native.unpack("auto", 8, -1, 32, np.zeros(34, np.uint8)),
    "part of a block": lambda x: _native.unpack("auto", 8, 1, 31, np.zeros(34, np.uint8)),
    "wrong columns": lambda x: _native.matmul(
        "auto", 8, 1, 32, np.zeros(34, np.uint8), x[None, :64]
    ),
    "angles longer than the head": lambda x: _native.rope("auto", "halves", x[:16], x[:16], x[:16]),
    "unknown style": lambda x: _native.rope("auto", "thirds", x, x[:8], x[:8]),
    "block out of range": lambda x: _native.attention(
        "auto", x[None, None, :16], x[None, :16], x[None, :16], np.array([7], np.int32), 0, 0, 0.0
    ),
    "position past the context": lambda x: _native.attention(
        "auto", x[None, None, :16], x[None, :16], x[None, :16], np.array([0], np.int32), 5, 0, 0.0
    ),
}


@pytest.mark.parametrize("name", WRONG_CALLS)
def test_a_wrong_call_is_an_exception(name: str) -> None:
    with pytest.raises((TypeError, ValueError)):
        WRONG_CALLS[name](np.ones(64, dtype=np.float32))


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("pieces", [0, 1])
@settings(max_examples=10)
@given(context=st.integers(1, 600), sink=st.sampled_from([-90.0, -1.0, 3.0, 90.0]))
def test_a_sink_takes_its_share(kernels: str, pieces: int, context: int, sink: float) -> None:
    generator = np.random.default_rng(context)
    positions, heads, dim = min(3, context), 2, 16
    queries = generator.normal(size=(positions, heads, dim)).astype(np.float32)
    keys, values = generator.normal(size=(2, context, dim)).astype(np.float16).astype(np.float32)
    sinks = np.array([sink, 0.5], dtype=np.float32)
    table = generator.permutation(-(-context // 16)).astype(np.int32)
    first = context - positions
    ours = _native.attention(
        kernels, queries, keys, values, table, first, 0, 0.0, pieces, sinks=sinks
    )
    wanted = attention(
        queries, keys[:, None], values[:, None], first_position=first, scale=1.0, sinks=sinks
    )
    assert close(ours, wanted, 2e-5)


@settings(max_examples=40)
@given(data=st.data())
def test_routing_equals_its_twin(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 40), "experts")
    used = data.draw(st.integers(1, count), "used")
    whole = st.integers(-4, 4)  # so that there are equals
    scores = np.array(data.draw(st.lists(whole, min_size=count, max_size=count)), dtype=np.float32)
    for normalised in (True, False):
        chosen, weights = _native.route(scores, used, normalised)
        experts, shares = route(scores[None], used, normalised=normalised)
        assert np.array_equal(chosen, experts[0])
        assert close(weights, shares[0], 1e-6)


def test_scores_that_are_no_numbers_choose_different_experts() -> None:
    scores = np.array([np.nan, 1.0, np.nan, 2.0], dtype=np.float32)
    for normalised in (True, False):
        chosen, weights = _native.route(scores, 3, normalised)
        assert len(set(chosen.tolist())) == 3
        assert set(chosen.tolist()) <= set(range(4))
        assert np.isnan(weights).all()


def test_a_token_uses_no_more_experts_than_there_are() -> None:
    scores = np.zeros(4, dtype=np.float32)
    for used in (0, -1, 5):
        with pytest.raises(ValueError, match="expert"):
            _native.route(scores, used, True)
