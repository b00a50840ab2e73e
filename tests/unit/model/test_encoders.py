"""Encoders against what transformers computes, and vectors out of any model's hidden states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stoker.core.ids import BlockId, RequestId
from stoker.core.pooling import Pooling
from stoker.core.sampling import SamplingParams
from stoker.errors import ModelFileError
from stoker.executor.interface import SliceResult
from stoker.executor.native import NativeExecutor, NativeOptions
from stoker.kernels.decoder import available_kernels
from stoker.kernels.reference.decoder import ReferenceDecoder
from stoker.model.load import Model, open_model
from stoker.scheduler.plan import SequenceSlice, StepPlan
from tests.support.architectures import golden
from tests.support.encoders import NAMES, GoldenEncoder, golden_encoder

APART = 4e-3
"""Of the largest number: keys and values are kept in half precision, which transformers does not
do."""


def native(model: Model, kernels: str = "auto", threads: int = 2) -> NativeExecutor:
    options = NativeOptions(threads=threads, kv_bytes=1 << 22, max_context=128, kernels=kernels)
    executor = NativeExecutor(model, options)
    executor.load()
    return executor


def piece(
    tokens: list[int],
    pooling: Pooling | None,
    *,
    second_part: int | None = None,
    first_block: int = 0,
    start: int = 0,
    end: int | None = None,
) -> SequenceSlice:
    end = len(tokens) if end is None else end
    return SequenceSlice(
        request_id=RequestId("r"),
        tokens=tokens,
        start=start,
        count=end - start,
        block_table=[BlockId(first_block + i) for i in range(-(-end // 16))],
        num_prompt_tokens=len(tokens),
        sampling=SamplingParams(temperature=0.0),
        samples=end == len(tokens),
        score_from=len(tokens) + 1,
        pooling=pooling,
        second_part=second_part,
    )


def run(executor: NativeExecutor, *pieces: SequenceSlice) -> tuple[SliceResult, ...]:
    return executor.collect(executor.submit(StepPlan(pieces))).slices


def pooled(executor: NativeExecutor, *pieces: SequenceSlice) -> list[np.ndarray]:
    return [np.frombuffer(found.pooled, dtype="<f4") for found in run(executor, *pieces)]


def wanted_for(encoder: GoldenEncoder) -> dict[Pooling, np.ndarray]:
    """ROWS are the first, one in the middle and the last."""
    wanted = {
        Pooling.FIRST: encoder.states[0],
        Pooling.LAST: encoder.states[-1],
        Pooling.MEAN: encoder.mean,
    }
    return wanted | ({Pooling.LABELS: encoder.labels} if encoder.labels.size else {})


@pytest.mark.parametrize("kernels", available_kernels())
@pytest.mark.parametrize("name", NAMES)
def test_an_encoder_equals_transformers(name: str, kernels: str, tmp_path: Path) -> None:
    """The definition to 1e-4, and the native core but for its half precision cache."""
    encoder = golden_encoder(name)
    model = open_model(encoder.write_folder(tmp_path))
    reference = ReferenceDecoder(model.spec, model.weights)
    executor = native(model, kernels)
    for pooling, wanted in wanted_for(encoder).items():
        found = reference.pool(encoder.tokens, pooling, encoder.second_part)
        np.testing.assert_allclose(found, wanted, atol=1e-4)
        [ours] = pooled(executor, piece(encoder.tokens, pooling, second_part=encoder.second_part))
        assert ours.shape == wanted.shape
        assert np.abs(ours - wanted).max() < APART * np.abs(wanted).max()
    executor.close()


def test_a_vector_does_not_depend_on_its_neighbours_or_threads(tmp_path: Path) -> None:
    encoder = golden_encoder("bert-labels")
    folder = encoder.write_folder(tmp_path)
    texts = [encoder.tokens[:n] for n in (1, 16, 17, 40)]
    ways = (Pooling.MEAN, Pooling.LABELS, Pooling.FIRST, Pooling.MEAN)
    one, two = native(open_model(folder), threads=1), native(open_model(folder), threads=2)
    alone = [pooled(one, piece(text, way))[0] for text, way in zip(texts, ways, strict=True)]
    crowd = [
        piece(text, way, first_block=8 * i)
        for i, (text, way) in enumerate(zip(texts, ways, strict=True))
    ]
    for ours, together in zip(alone, pooled(two, *crowd), strict=True):
        assert np.array_equal(ours, together)
    one.close()
    two.close()


def test_the_second_text_of_a_pair_has_a_type_of_its_own(tmp_path: Path) -> None:
    encoder = golden_encoder("bert")
    executor = native(open_model(encoder.write_folder(tmp_path)))
    apart, together = pooled(
        executor,
        piece(encoder.tokens, Pooling.MEAN, second_part=17),
        piece(encoder.tokens, Pooling.MEAN, first_block=8),
    )
    assert np.abs(apart - together).max() > 1e-2
    executor.close()


@pytest.mark.parametrize("name", ["gpt2", "gemma2", "qwen3_moe"])
def test_a_decoder_gives_its_hidden_states(name: str, tmp_path: Path) -> None:
    wanted = golden(name)
    model = open_model(wanted.write_folder(tmp_path))
    reference = ReferenceDecoder(model.spec, model.weights)
    executor = native(model)
    for pooling in (Pooling.FIRST, Pooling.LAST, Pooling.MEAN):
        theirs = reference.pool(wanted.tokens, pooling)
        [ours] = pooled(executor, piece(wanted.tokens, pooling))
        assert np.abs(ours - theirs).max() < APART * np.abs(theirs).max()
    executor.close()


def test_the_last_state_is_the_same_in_chunks_and_beside_a_stream(tmp_path: Path) -> None:
    """One step may draw tokens for some and make vectors for others."""
    wanted = golden("gpt2")
    executor = native(open_model(wanted.write_folder(tmp_path)))
    [alone] = pooled(executor, piece(wanted.tokens, Pooling.LAST))
    first = run(
        executor,
        piece(wanted.tokens, Pooling.LAST, first_block=8, end=23),
        piece(wanted.tokens, None, first_block=16),
    )
    assert first[0] == SliceResult()
    assert first[1].tokens == (wanted.greedy[0],)
    [later] = pooled(executor, piece(wanted.tokens, Pooling.LAST, first_block=8, start=23))
    assert np.array_equal(alone, later)
    executor.close()


def test_the_folder_says_how_to_pool(tmp_path: Path) -> None:
    folder = golden_encoder("bert").write_folder(tmp_path)
    assert open_model(folder).spec.pooling is Pooling.MEAN
    (folder / "1_Pooling").mkdir()
    config = folder / "1_Pooling" / "config.json"
    config.write_text('{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}')
    assert open_model(folder).spec.pooling is Pooling.FIRST
    config.write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(ModelFileError, match="pooling_mode"):
        open_model(folder)
