"""The nouns: what a request may become, which parameters need what, and time that is owned."""

from __future__ import annotations

import msgspec
import pytest

from stoker.core.clock import ManualClock, SystemClock
from stoker.core.ids import RequestId
from stoker.core.output import Finish, FinishReason, TokenDelta, TokenLogprobs
from stoker.core.request import Request
from stoker.core.sampling import GREEDY_TEMPERATURE, SamplingParams


def request(**fields: object) -> Request:
    base: dict[str, object] = {
        "request_id": RequestId("a"),
        "prompt_token_ids": (1, 2, 3),
        "sampling": SamplingParams(max_tokens=5),
    }
    return msgspec.convert(base | fields, Request)


def test_what_was_delivered_before_a_restart_takes_no_further_room() -> None:
    assert request().max_total_tokens == request(output_token_ids=(7, 8)).max_total_tokens == 8


@pytest.mark.parametrize("name", ["best_of", "prompt_embeds"])
def test_an_unknown_field_is_refused(name: str) -> None:
    document = msgspec.to_builtins(request()) | {name: 1}
    with pytest.raises(msgspec.ValidationError, match=name):
        msgspec.convert(document, Request)


def test_nothing_of_a_request_changes() -> None:
    with pytest.raises(AttributeError):
        request().priority = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("temperature", "greedy"), [(0.0, True), (GREEDY_TEMPERATURE, False), (1.0, False)]
)
def test_almost_no_temperature_is_greedy(temperature: float, greedy: bool) -> None:
    assert SamplingParams(temperature=temperature).greedy is greedy


@pytest.mark.parametrize(("stop", "stops"), [((), ()), ("end", ("end",)), (("a", "b"), ("a", "b"))])
def test_one_stop_string_is_not_its_letters(
    stop: str | tuple[str, ...], stops: tuple[str, ...]
) -> None:
    assert SamplingParams(stop=stop).stops == stops


@pytest.mark.parametrize("name", ["repetition_penalty", "presence_penalty", "frequency_penalty"])
def test_any_penalty_needs_the_tokens_so_far(name: str) -> None:
    assert not SamplingParams().needs_history
    assert SamplingParams(**{name: 0.5}).needs_history  # type: ignore[arg-type]


def test_a_delta_survives_the_wire() -> None:
    delta = TokenDelta(
        RequestId("a"),
        token_ids=(1,),
        logprobs=(TokenLogprobs(1, -0.5, 1, ((1, -0.5), (2, -1.5))),),
        num_cached_tokens=16,
        finish=Finish(FinishReason.STOP, stop_token_id=2),
    )
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(delta), type=TokenDelta) == delta


def test_time_never_runs_backwards() -> None:
    clock = ManualClock(5.0)
    clock.advance(0.5)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-0.1)
    assert clock.monotonic() == 5.5
    system = SystemClock()
    assert system.monotonic() <= system.monotonic()
