"""Text of token deltas: the same for any split, ended by the first stop string."""

from __future__ import annotations

import random

from stoker.core.ids import RequestId
from stoker.core.output import Finish, FinishReason, TokenDelta, TokenLogprobs
from stoker.core.sampling import SamplingParams
from stoker.text.text_delta import TextDelta, TextReader
from tests.support.text import tiny_text

TOKENIZER = tiny_text().tokenizer
TEXT = "one two \u00e9\u4e2d three four"


def deltas(tokens: list[int], sizes: list[int]) -> list[TokenDelta]:
    made = []
    for size in sizes:
        piece, tokens = tuple(tokens[:size]), tokens[size:]
        logprobs = tuple(TokenLogprobs(token, -1.0, 1) for token in piece)
        made.append(TokenDelta(RequestId("a"), piece, logprobs))
    rest = tuple(TokenLogprobs(token, -1.0, 1) for token in tokens)
    finish = Finish(FinishReason.LENGTH)
    return [*made, TokenDelta(RequestId("a"), tuple(tokens), rest, finish=finish)]


def read(sampling: SamplingParams, sizes: list[int]) -> list[TextDelta]:
    reader = TextReader(TOKENIZER, sampling)
    found = []
    for delta in deltas(TOKENIZER.encode(TEXT), sizes):
        found.append(reader.read(delta))
        if found[-1].finish_reason is not None:
            break
    return found


def joined(found: list[TextDelta]) -> tuple[str, list[int], int, FinishReason | None]:
    return (
        "".join(delta.text for delta in found),
        [token for delta in found for token in delta.token_ids],
        sum(len(delta.logprobs) for delta in found),
        found[-1].finish_reason,
    )


def test_the_split_changes_nothing() -> None:
    rng = random.Random(0)
    for stop in ((), ("nothing",), (" th",), ("two", "four"), ("\u4e2d",)):
        sampling = SamplingParams(stop=stop)
        whole = joined(read(sampling, []))
        for _ in range(50):
            sizes = [rng.randint(0, 4) for _ in range(rng.randint(0, 12))]
            assert joined(read(sampling, sizes)) == whole


def test_nothing_of_the_stop_string_or_after_it_is_text() -> None:
    text, tokens, logprobs, reason = joined(read(SamplingParams(stop=" th"), [1] * 40))
    assert text == "one two \u00e9\u4e2d"
    assert reason is FinishReason.STOP
    assert len(tokens) == logprobs < len(TOKENIZER.encode(TEXT))


def test_what_only_began_as_a_stop_string_is_delivered_at_the_end() -> None:
    text, _, _, reason = joined(read(SamplingParams(stop="four score"), [3]))
    assert (text, reason) == (TEXT, FinishReason.LENGTH)


def test_the_first_tokens_end_nothing() -> None:
    text, tokens, _, _ = joined(read(SamplingParams(stop="o", min_tokens=3, max_tokens=9), [1] * 9))
    assert len(tokens) > 3
    assert text.startswith("o")


def test_a_failure_keeps_its_code() -> None:
    finish = Finish(FinishReason.ERROR, error_code="numerical_error")
    reader = TextReader(TOKENIZER, SamplingParams())
    last = reader.read(TokenDelta(RequestId("a"), finish=finish))
    assert (last.finish_reason, last.error_code) == (FinishReason.ERROR, "numerical_error")
