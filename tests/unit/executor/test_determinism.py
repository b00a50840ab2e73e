"""Invariant I07: a sequence's tokens and log probabilities depend on the model, the prompt, the
parameters and the seed, and on nothing else. Bit for bit, on real models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import pytest

from stoker.core.ids import RequestId
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.executor.native import NativeExecutor, NativeOptions
from stoker.kernels.decoder import available_kernels
from stoker.model.load import open_model
from stoker.scheduler.speculation import Drafter, Wish
from stoker.scheduler.token_budget import TokenBudget
from tests.support.driving import Driver, Outcome, make_scheduler
from tests.support.models import model_path

pytestmark = pytest.mark.model
OUTPUT = 12
COUNT = 64


def requests(vocab: int = 30_000) -> list[Request]:
    """Sixty-four prompts of 1 to 110 tokens, half of them sharing their first 64 tokens, greedy and
    sampled, with and without penalties."""
    shared = tuple((i * 7919 + 13) % vocab for i in range(64))
    made = []
    for i in range(COUNT):
        own = tuple((i * 104_729 + k * 31) % vocab for k in range(1 + i % 16 * 3))
        sampling = SamplingParams(
            max_tokens=OUTPUT,
            temperature=0.0 if i % 3 == 0 else 0.9,
            top_p=0.9 if i % 2 else 1.0,
            top_k=40 if i % 5 == 0 else 0,
            repetition_penalty=1.2 if i % 4 == 1 else 1.0,
            seed=1000 + i,
            logprobs=2,
            ignore_eos=True,
        )
        prompt = shared + own if i % 2 else own
        made.append(
            Request(request_id=RequestId(str(i)), prompt_token_ids=prompt, sampling=sampling)
        )
    return made


@pytest.fixture(scope="module", params=["smollm2:135m", "gemma3:270m"])
def executor(request: pytest.FixtureRequest) -> Iterator[NativeExecutor]:
    model = open_model(model_path(request.param))
    options = NativeOptions(threads=2, kv_bytes=256 << 20, max_context=2304)
    built = NativeExecutor(model, options)
    built.load()
    yield built
    built.close()


class Loaded:
    """An executor that is loaded already, offering part of its pool."""

    def __init__(self, executor: NativeExecutor, num_blocks: int) -> None:
        self._executor = executor
        self._num_blocks = num_blocks

    def __getattr__(self, name: str) -> object:
        return getattr(self._executor, name)

    def load(self) -> object:
        import dataclasses

        return dataclasses.replace(self._executor.memory, num_blocks=self._num_blocks)


def run(
    executor: NativeExecutor,
    asked: list[Request],
    blocks: int = 400,
    drafter: Drafter | None = None,
    **options: object,
) -> list[tuple]:
    """What each request got, in the order of their ids."""
    for block in range(blocks):
        executor.decoder.poison_block(block)  # a read of anything stale shows
    part = Loaded(executor, blocks)
    driver = Driver(part, make_scheduler(part, **options), drafter)  # type: ignore[arg-type]
    for request in asked:
        driver.add(request)
    outcomes = driver.run()
    run.preemptions = driver.scheduler.counters.preemptions  # type: ignore[attr-defined]
    run.guessed = driver.scheduler.counters  # type: ignore[attr-defined]
    run.hits = driver.scheduler.counters.prefix_hits  # type: ignore[attr-defined]
    return [_comparable(outcomes[RequestId(str(i))]) for i in range(COUNT) if str(i) in outcomes]


def _comparable(outcome: Outcome) -> tuple:
    return tuple(outcome.tokens), tuple(
        (lp.token_id, lp.logprob, lp.top) for lp in outcome.logprobs
    )


@pytest.fixture(scope="module")
def alone(executor: NativeExecutor) -> list[tuple]:
    return [run(executor, [request], blocks=20, prefix_cache=False)[0] for request in requests()]


def test_together_equals_alone(executor: NativeExecutor, alone: list[tuple]) -> None:
    assert run(executor, requests(), blocks=600, prefix_cache=False) == alone


def test_any_order_equals_alone(executor: NativeExecutor, alone: list[tuple]) -> None:
    assert run(executor, requests()[::-1], max_running=5, prefix_cache=False) == alone


def test_chunked_equals_whole(executor: NativeExecutor, alone: list[tuple]) -> None:
    assert run(executor, requests(), max_step_tokens=16, prefix_cache=False) == alone


def test_preempted_equals_undisturbed(executor: NativeExecutor, alone: list[tuple]) -> None:
    assert run(executor, requests(), blocks=24, prefix_cache=False) == alone
    assert run.preemptions > 0  # type: ignore[attr-defined]


def test_cached_equals_computed(executor: NativeExecutor, alone: list[tuple]) -> None:
    assert run(executor, requests(), max_running=2) == alone
    assert run.hits >= 64  # type: ignore[attr-defined]


class FromMemory(Drafter):
    """Guesses what a sequence had before, with every third guess wrong."""

    def __init__(self, alone: list[tuple]) -> None:
        self._alone = alone

    @property
    def seconds_per_token(self) -> float:
        return 0.0

    def propose(self, wishes: Sequence[Wish]) -> list[tuple[int, ...]]:
        return [self._guess(wish) for wish in wishes]

    def _guess(self, wish: Wish) -> tuple[int, ...]:
        done = len(wish.tokens) - wish.num_prompt_tokens
        known = self._alone[int(wish.request_id)][0][done : done + wish.count]
        return tuple(token if (done + i) % 3 else 7 for i, token in enumerate(known))


def test_guessed_ahead_equals_one_by_one(
    executor: NativeExecutor, alone: list[tuple], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Greedy and sampled, with penalties and log probabilities, and with wrong guesses' keys and
    values left behind in the blocks. Guessing always pays here, whatever the machine does."""
    monkeypatch.setattr(TokenBudget, "decoding_seconds", lambda *_: (1.0, 0.001))
    drafter = FromMemory(alone)
    drafted = accepted = 0
    for first in range(0, 24, 3):
        asked = requests()[first : first + 3]
        assert run(executor, asked, blocks=40, drafter=drafter) == alone[first : first + 3]
        drafted += run.guessed.drafted_tokens  # type: ignore[attr-defined]
        accepted += run.guessed.accepted_tokens  # type: ignore[attr-defined]
    assert 100 < accepted < drafted


def test_resumed_equals_uninterrupted(executor: NativeExecutor, alone: list[tuple]) -> None:
    cut = [
        msgspec.structs.replace(request, output_token_ids=alone[i][0][: i % OUTPUT])
        for i, request in enumerate(requests())
    ]
    rest = run(executor, cut)
    assert [tokens for tokens, _ in rest] == [alone[i][0][i % OUTPUT :] for i in range(COUNT)]


def test_another_executor_and_thread_count_gives_the_same(
    executor: NativeExecutor, alone: list[tuple]
) -> None:
    path = executor.model_path
    options = NativeOptions(threads=1, kv_bytes=64 << 20, max_context=1024)
    other = NativeExecutor(open_model(path), options)
    blocks = other.load().num_blocks
    assert run(other, requests(), blocks=min(blocks, 100)) == alone
    other.close()


def test_a_long_context_is_shared_out_without_a_trace(executor: NativeExecutor) -> None:
    """Attention over it is cut into pieces for two threads, and not for one."""
    long = msgspec.structs.replace(requests()[1], prompt_token_ids=tuple(range(300, 2400)))
    options = NativeOptions(threads=1, kv_bytes=128 << 20, max_context=2304)
    other = NativeExecutor(open_model(executor.model_path), options)
    other.load()
    assert run(other, [long], blocks=160) == run(executor, [long], blocks=160)
    other.close()


@pytest.mark.skipif("avx2" not in available_kernels(), reason="this machine has no AVX2")
def test_avx2_gives_the_same_as_avx512(executor: NativeExecutor, alone: list[tuple]) -> None:
    options = NativeOptions(threads=2, kv_bytes=64 << 20, max_context=1024, kernels="avx2")
    other = NativeExecutor(open_model(executor.model_path), options)
    blocks = other.load().num_blocks
    assert run(other, requests()[:6], blocks=min(blocks, 100)) == alone[:6]
    other.close()
