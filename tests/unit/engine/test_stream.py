"""What a consumer sees of a stream whose engine may come and go."""

from __future__ import annotations

import asyncio

import pytest

from stoker.core.ids import RequestId
from stoker.core.output import FinishReason, TokenDelta, TokenLogprobs
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.engine.continuation import MAX_FRUITLESS, Continuation
from stoker.engine.stream import Stream
from stoker.errors import Overloaded

ID = RequestId("a")


def stream(deadline: float | None = None) -> Stream:
    sampling = SamplingParams(max_tokens=9, prompt_logprobs=0)
    return Stream(Request(request_id=ID, prompt_token_ids=(1, 2, 3), sampling=sampling), deadline)


def score(token: int) -> TokenLogprobs:
    return TokenLogprobs(token, -1.0, 1)


async def test_what_was_not_consumed_is_merged_in_order() -> None:
    deltas = stream()
    deltas.push(TokenDelta(ID, (1,), (score(1),), (score(8),), num_cached_tokens=16))
    deltas.push(TokenDelta(ID, (2, 3), (score(2), score(3)), queued_seconds=0.5))
    deltas.end(FinishReason.LENGTH)
    merged = await deltas.next()
    assert merged.token_ids == (1, 2, 3)
    assert merged.logprobs == (score(1), score(2), score(3))
    assert merged.prompt_logprobs == (score(8),)
    assert (merged.num_cached_tokens, merged.queued_seconds) == (16, 0.5)
    assert merged.finish is not None


async def test_nothing_follows_the_ending() -> None:
    deltas = stream()
    deltas.end(FinishReason.CANCELLED)
    deltas.push(TokenDelta(ID, (1,)))
    deltas.end(FinishReason.LENGTH)
    deltas.refuse(Overloaded("full"))
    ending = await deltas.next()
    assert ending.token_ids == ()
    assert ending.finish is not None
    assert ending.finish.reason is FinishReason.CANCELLED


async def test_a_refused_request_raises_until_something_was_delivered() -> None:
    refused = stream()
    refused.refuse(Overloaded("full"))
    with pytest.raises(Overloaded):
        await refused.next()
    begun = stream()
    begun.push(TokenDelta(ID, (1,)))
    begun.refuse(Overloaded("full"))
    last = await asyncio.wait_for(begun.next(), 1)
    assert last.token_ids == (1,)
    assert last.finish is not None
    assert (last.finish.reason, last.finish.error_code) == (FinishReason.ERROR, "overloaded")


async def test_a_refusal_is_not_lost_behind_a_pending_delta() -> None:
    deltas = stream()
    deltas.push(TokenDelta(ID, num_cached_tokens=16))
    deltas.refuse(Overloaded("full"))
    await deltas.next()
    with pytest.raises(Overloaded):
        await asyncio.wait_for(deltas.next(), 1)


def test_a_continuation_holds_what_was_received_and_the_time_left() -> None:
    deltas = stream(deadline=100.0)
    deltas.push(TokenDelta(ID, (4,)))
    deltas.push(TokenDelta(ID, (5, 6)))
    again = deltas.continuation(now=97.0)
    assert again.prompt_token_ids == (1, 2, 3)
    assert again.output_token_ids == (4, 5, 6)
    assert again.timeout == 3.0
    assert deltas.continuation(now=101.0).timeout == 0.0
    assert stream().continuation(now=101.0).timeout is None


async def test_prompt_scores_are_not_delivered_twice() -> None:
    deltas = stream()
    deltas.push(TokenDelta(ID, prompt_logprobs=(score(2),)))
    await deltas.next()
    deltas.continuation(now=0.0)  # no token yet: the next engine scores the prompt from its start
    deltas.push(TokenDelta(ID, (4,), prompt_logprobs=(score(2), score(3))))
    assert (await deltas.next()).prompt_logprobs == (score(3),)


def test_a_request_under_which_engine_after_engine_dies_is_hopeless() -> None:
    deltas = stream()
    for death in range(MAX_FRUITLESS):
        assert not deltas.hopeless, death
        deltas.engine_died()  # while waiting for an engine: not this request's doing
        deltas.in_engine = True
        deltas.engine_died()  # while waiting in one
        deltas.in_engine = deltas.computing = True
        deltas.engine_died()
    assert deltas.hopeless


def test_progress_between_deaths_gives_hope() -> None:
    deltas = stream()
    for token in range(20):
        deltas.in_engine = deltas.computing = True
        deltas.push(TokenDelta(ID, (token,)))
        deltas.engine_died()
        assert not deltas.hopeless


def test_what_was_delivered_before_it_came_here_is_part_of_every_continuation() -> None:
    resumed = Request(
        request_id=ID,
        prompt_token_ids=(1, 2),
        sampling=SamplingParams(max_tokens=9),
        output_token_ids=(5, 6),
    )
    carried = Continuation(resumed, None)
    assert not carried.begun
    assert carried.request(0.0).output_token_ids == (5, 6)
    carried.took(TokenDelta(ID, (7,)))
    assert carried.begun
    assert carried.request(0.0).output_token_ids == (5, 6, 7)
