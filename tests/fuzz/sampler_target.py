"""The sampler: any numbers give a token, a row reported as not finite, or a ValueError."""

from __future__ import annotations

import numpy as np

from stoker.kernels import _native
from tests.fuzz.byte_source import ByteSource

LONGEST = 128
VOCABULARIES = (1, 2, 33, 64, 65, 300, 1000)


def run(data: bytes) -> None:
    source = ByteSource(data)
    vocabulary = source.pick(VOCABULARIES)
    logits = _logits(source, vocabulary)
    history = source.ids(source.pick((0, 1, 40)), vocabulary)
    bias = source.ids(source.pick((0, 1, 5)), vocabulary)
    words = source.octets(((vocabulary + 31) // 32 - source.rarely()) * 4).view(np.uint32)
    try:
        token, *_ = _native.sample_row(
            logits,
            temperature=source.number(source.pick((0.0, 1e-5, 0.7, 1.0, 50.0))),
            top_k=source.size((0, 1, 40, vocabulary)),
            top_p=source.number(source.pick((1.0, 0.9, 0.0))),
            min_p=source.number(source.pick((0.0, 0.1, 1.0))),
            repetition_penalty=source.number(source.pick((1.0, 1.3, 0.0))),
            presence_penalty=source.number(0.5),
            frequency_penalty=source.number(0.5),
            seed=source.integer(0, (1 << 32) - 1),
            position=source.size((0, 7)),
            history=history,
            num_prompt_tokens=source.size((0, 3)),
            bias_ids=bias,
            bias_values=source.floats(len(bias) + source.rarely()),
            num_logprobs=source.size((-1, 0, 1, 20, 1024)),
            target=source.size((-1, -1, 0, vocabulary - 1)),
            allowed=source.pick((words, np.empty(0, dtype=np.uint32))),
        )
    except (ValueError, TypeError):
        return
    if not -1 <= token < vocabulary:
        raise RuntimeError("the token is outside the vocabulary")


def _logits(source: ByteSource, vocabulary: int) -> np.ndarray:
    with np.errstate(all="ignore"):
        logits = source.floats(vocabulary) * np.float32(source.pick((1.0, 0.0, 30.0, 1e30)))
        return np.round(logits) if source.rarely() else logits


def seeds() -> list[bytes]:
    return [bytes([vocabulary, *range(64)]) for vocabulary in range(len(VOCABULARIES))]
