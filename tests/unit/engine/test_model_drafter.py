"""A small model that guesses for a large one. Both are the fake executor, so that a drafter that
keeps its place is always right, and one that loses it is noticed by its wrong guesses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from stoker.core.ids import RequestId, TokenId
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.engine.model_drafter import CATCHING_UP, TRIED, UNTRIED_STEPS, ModelDrafter
from stoker.executor.fake import FakeExecutor, FakeOptions, expected_tokens
from stoker.executor.interface import StepHandle, StepResult
from stoker.scheduler.speculation import Drafter, Wish
from stoker.scheduler.token_budget import TokenBudget
from tests.support.driving import Driver, make_scheduler


@pytest.fixture(autouse=True)
def guessing_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TokenBudget, "decoding_seconds", lambda *_: (1.0, 0.001))


class Forgiving(FakeExecutor):
    """Reads blocks that hold something else, as a real model does."""

    def _keep(self, *_: object) -> None:
        return


def asked(name: str, prompt: int = 20, new: int = 40, start: int = 0) -> Request:
    return Request(
        request_id=RequestId(name),
        prompt_token_ids=tuple(range(start, start + prompt)),
        sampling=SamplingParams(max_tokens=new, seed=len(name), logprobs=0),
    )


def driver(drafter: Drafter, blocks: int = 256, **options: object) -> Driver:
    fake = FakeExecutor(FakeOptions(num_blocks=blocks, block_size=4))
    return Driver(fake, make_scheduler(fake, **options), drafter)


def drafting(strict: bool = True, blocks: int = 256) -> ModelDrafter:
    kind = FakeExecutor if strict else Forgiving
    executor = kind(FakeOptions(num_blocks=blocks, block_size=4))
    executor.load()
    return ModelDrafter(executor)


def exact(run: Driver, requests: Sequence[Request]) -> None:
    outcomes = run.run()
    for one in requests:
        prompt, limits = one.prompt_token_ids, one.sampling
        wanted = expected_tokens(prompt, limits.seed, limits.max_tokens)
        assert outcomes[one.request_id].tokens == wanted
        assert len(outcomes[one.request_id].logprobs) == limits.max_tokens


def test_of_one_mind_with_the_large_model_every_guess_is_right() -> None:
    """Over block borders, for several sequences, whatever was accepted before."""
    run = driver(drafting())
    requests = [asked("a"), asked("bb", prompt=7), asked("ccc", new=9)]
    for one in requests:
        run.add(one)
    exact(run, requests)
    counters = run.scheduler.counters
    assert counters.accepted_tokens == counters.drafted_tokens > 50


def test_after_preemptions_it_finds_its_place_again() -> None:
    run = driver(drafting(strict=False, blocks=24), blocks=24, prefix_cache=False)
    requests = [asked(name, start=100 * index) for index, name in enumerate(["a", "bb", "ccc"])]
    for one in requests:
        run.add(one)
    exact(run, requests)
    counters = run.scheduler.counters
    assert counters.preemptions
    assert counters.accepted_tokens > 0.8 * counters.drafted_tokens > 0


def test_of_another_mind_it_costs_guesses_and_changes_nothing() -> None:
    other = FakeExecutor(FakeOptions(num_blocks=256, block_size=4, vocab_size=500))
    other.load()
    run = driver(ModelDrafter(other))
    run.add(asked("a"))
    exact(run, [asked("a")])


class Watched(FakeExecutor):
    computed = 0

    def submit(self, plan: object) -> object:  # type: ignore[override]
        self.computed += plan.num_tokens  # type: ignore[attr-defined]
        return super().submit(plan)  # type: ignore[arg-type]


def test_a_long_prompt_is_caught_up_with_in_pieces_and_only_for_a_long_answer() -> None:
    for new, worth in ((10, False), (60, True)):
        fake = Watched(FakeOptions(num_blocks=256, block_size=4))
        fake.load()
        drafter = ModelDrafter(fake)
        wish = wished(200, new)
        guesses = drafter.propose([wish])
        assert guesses == [()]
        assert fake.computed == (CATCHING_UP if worth else 0)
        for _ in range(3):
            [guess] = drafter.propose([wish])
        true = expected_tokens(tuple(wish.tokens), wish.sampling.seed, wish.count)
        assert guess == (tuple(true) if worth else ())


def wished(length: int, left: int) -> Wish:
    return Wish(
        request_id=RequestId("w"),
        tokens=[TokenId(token) for token in range(length)],
        count=3,
        block_table=list(range(60)),  # type: ignore[arg-type]
        left=left,
        num_prompt_tokens=length,
        sampling=SamplingParams(seed=1),
    )


def test_asleep_it_forgets_and_awake_it_guesses_again() -> None:
    drafter = drafting()
    wish = wished(8, 60)
    [before] = drafter.propose([wish])
    drafter.sleep()
    drafter.wake()
    assert drafter.propose([wish]) == [before]
    assert len(before) == 3


class Timed(FakeExecutor):
    """Says that its steps took these seconds, the last of them again and again."""

    def __init__(self, *seconds: float) -> None:
        super().__init__(FakeOptions(num_blocks=256, block_size=4))
        self.load()
        self.seconds = list(seconds)

    def collect(self, handle: StepHandle) -> StepResult:
        seconds = self.seconds.pop(0) if len(self.seconds) > 1 else self.seconds[0]
        return replace(super().collect(handle), seconds=seconds)


def drafted(drafter: Drafter) -> int:
    run = driver(drafter)
    request = asked("a", new=100)
    run.add(request)
    exact(run, [request])
    return run.scheduler.counters.drafted_tokens


def test_one_slow_guess_does_not_end_guessing() -> None:
    """The machine may have been busy with something else: at the first guess, or at the tenth."""
    assert drafted(ModelDrafter(Timed(9.0, 0.001))) > 50
    assert drafted(ModelDrafter(Timed(*[0.001] * 10, 9.0, 0.001))) > 50


def test_guesses_that_take_too_long_end_and_are_tried_again_much_later() -> None:
    executor = Timed(9.0)
    drafter = ModelDrafter(executor)
    assert 0 < drafted(drafter) <= TRIED
    assert drafted(drafter) == 0
    for _ in range(UNTRIED_STEPS):
        assert drafter.propose([]) == []
    executor.seconds = [0.001]
    assert drafted(drafter) > 50
