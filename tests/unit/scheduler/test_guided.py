"""A constraint holds through preemption, guesses and a restart, and ends what it must."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from stoker.constrain.compiler import Compiler
from stoker.core.ids import RequestId, TokenId
from stoker.core.output import FinishReason
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.executor.fake import FakeExecutor, FakeOptions
from stoker.scheduler.speculation import Drafter, Wish
from tests.support.constraints import CASES, Case, constraint, tiny_table
from tests.support.driving import Driver, Outcome, make_scheduler
from tests.support.text import tiny_text, vocab_size

LONG = constraint("json_schema", {"type": "array", "items": {"type": "integer"}, "minItems": 9})
MANY = {
    "schema": LONG,
    "regex": constraint("regex", "([a-f]{2,5}-[0-9]{3} ){12}"),
    "gbnf": constraint("gbnf", 'root ::= line{12}\nline ::= "(" line ")" | [0-9] [0-9]?'),
}
"""Answers long enough to be guessed at."""


class Knowing(Drafter):
    """Guesses what was drawn the last time, and now and then something else."""

    def __init__(self, answer: Sequence[TokenId], wrong: int) -> None:
        self._answer = answer
        self._wrong = wrong
        self.proposed = 0

    @property
    def seconds_per_token(self) -> float:
        return 0.0

    def propose(self, wishes: Sequence[Wish]) -> list[tuple[TokenId, ...]]:
        return [self._guess(wish) for wish in wishes]

    def _guess(self, wish: Wish) -> tuple[TokenId, ...]:
        start = len(wish.tokens) - wish.num_prompt_tokens
        guess = list(self._answer[start : start + wish.count])
        for place in range(len(guess)):
            if (start + place) % self._wrong == self._wrong - 1:
                guess[place] = (guess[place] + 1) % vocab_size()
        self.proposed += len(guess)
        return tuple(guess)


@pytest.fixture(scope="module")
def compiler() -> Compiler:
    return Compiler(tiny_table())


def request(name: str = "a", **sampling: Any) -> Request:
    return Request(
        request_id=RequestId(name),
        prompt_token_ids=(1, 2, 3, 4, 5),
        sampling=SamplingParams(**{"max_tokens": 200, "seed": len(name), **sampling}),
    )


def driver(drafter: Drafter | None = None, num_blocks: int = 256) -> Driver:
    fake = FakeExecutor(FakeOptions(block_size=4, num_blocks=num_blocks, vocab_size=vocab_size()))
    scheduler = make_scheduler(fake, eos_token_ids=frozenset(tiny_table().ends))
    return Driver(fake, scheduler, drafter)


def alone(compiler: Compiler, wanted: Any, asked: Request) -> Outcome:
    running = driver()
    running.add(asked, compiler.matcher(wanted))
    return running.run()[asked.request_id]


def text(outcome: Outcome) -> str:
    return tiny_text().tokenizer.decode(outcome.tokens)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_answer_keeps_to_its_constraint_and_ends_by_itself(
    compiler: Compiler, case: Case
) -> None:
    for name in ("a", "bb", "ccc"):
        outcome = alone(compiler, case.constraint, request(name))
        assert outcome.finish is not None
        assert outcome.finish.reason is FinishReason.STOP
        assert case.kept(text(outcome)), text(outcome)


@pytest.mark.parametrize("wrong", [2, 3, 1000])
@pytest.mark.parametrize("name", MANY)
def test_guesses_right_and_wrong_change_no_token(compiler: Compiler, name: str, wrong: int) -> None:
    plain = alone(compiler, MANY[name], request())
    guessing = Knowing(plain.tokens, wrong)
    running = driver(guessing)
    running.add(request(), compiler.matcher(MANY[name]))
    assert running.run()[RequestId("a")] == plain
    assert guessing.proposed > 0


def test_a_crowd_of_different_constraints_gets_what_each_gets_alone_even_when_preempted(
    compiler: Compiler,
) -> None:
    wanted = {f"{number}": LONG for number in range(6)}
    wanted |= {case.name: case.constraint for case in CASES}
    crowd = driver(num_blocks=64)
    for name, one in wanted.items():
        crowd.add(request(name), compiler.matcher(one))
    crowd.add(request("free", max_tokens=60))
    outcomes = crowd.run()
    assert crowd.scheduler.counters.preemptions > 0
    for name, one in wanted.items():
        outcome = outcomes[RequestId(name)]
        undisturbed = alone(compiler, one, request(name))
        assert (outcome.tokens, outcome.finish) == (undisturbed.tokens, undisturbed.finish)


def test_what_was_written_before_counts(compiler: Compiler) -> None:
    """As when an engine takes over from one that died."""
    whole = alone(compiler, LONG, request())
    for written in (1, 5, len(whole.tokens) - 1):
        first = tuple(whole.tokens[:written])
        running = driver()
        resumed = Request(
            request_id=RequestId("a"),
            prompt_token_ids=(1, 2, 3, 4, 5),
            sampling=request().sampling,
            output_token_ids=first,
        )
        running.add(resumed, compiler.matcher(LONG, first))
        assert [*first, *running.run()[RequestId("a")].tokens] == whole.tokens


def test_a_length_cuts_it(compiler: Compiler) -> None:
    whole = alone(compiler, LONG, request())
    cut = alone(compiler, LONG, request(max_tokens=3))
    assert cut.finish is not None
    assert cut.finish.reason is FinishReason.LENGTH
    assert cut.tokens == whole.tokens[:3]


@pytest.mark.parametrize("changes", [{"min_tokens": 50}, {"ignore_eos": True}], ids=str)
def test_where_nothing_may_follow_it_ends_whatever_was_asked(
    compiler: Compiler, changes: dict[str, Any]
) -> None:
    for case in CASES:
        outcome = alone(compiler, case.constraint, request(**changes))
        assert outcome.finish is not None
        assert outcome.finish.reason is FinishReason.STOP
        assert case.kept(text(outcome)), text(outcome)


def test_a_constraint_that_fails_ends_its_own_answer_only(compiler: Compiler) -> None:
    running = driver()
    failed = compiler.matcher(constraint("regex", "[0-9]+"))
    failed.advance(300)
    running.add(request("failed"), failed)
    running.add(request("free", max_tokens=5))
    outcomes = running.run()
    finish = outcomes[RequestId("failed")].finish
    assert finish is not None
    assert (finish.reason, finish.error_code) == (FinishReason.ERROR, "unsupported_constraint")
    assert len(outcomes[RequestId("free")].tokens) == 5
