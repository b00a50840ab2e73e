"""An engine with a draft model: the same tokens, and a model that does not fit is refused."""

from __future__ import annotations

import dataclasses

import pytest

from stoker.core.ids import RequestId
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.engine.build import build_engine
from stoker.engine.drafters import make_drafter
from stoker.engine.frames import EngineSettings
from stoker.errors import ConfigError
from stoker.executor.interface import MemoryPlan
from stoker.scheduler.token_budget import TokenBudget
from tests.support.models import model_path

pytestmark = pytest.mark.model
MEMORY = MemoryPlan(
    num_blocks=16, block_size=16, max_context=512, max_step_tokens=256, max_step_sequences=4,
    weight_bytes=0, kv_bytes=0, depth=1,
)  # fmt: skip


def tokens(draft: str) -> tuple[list[int], int]:
    """Two answers, one greedy and one sampled, and how many guesses were right."""
    path = str(model_path("smollm2:135m"))
    settings = EngineSettings(
        model_path=path, draft_path=draft, threads=2, kv_bytes=64 << 20, max_context=512
    )
    engine, _ = build_engine(settings, lambda done, total: None)
    try:
        for number, temperature in enumerate((0.0, 0.8)):
            sampling = SamplingParams(
                max_tokens=24, temperature=temperature, seed=4, ignore_eos=True
            )
            engine.submit(
                Request(
                    request_id=RequestId(str(number)),
                    prompt_token_ids=tuple(range(300, 340)),
                    sampling=sampling,
                )
            )
        found = []
        while not engine.idle:
            found += [
                (delta.request_id, token) for delta in engine.step() for token in delta.token_ids
            ]
        return sorted(found, key=lambda pair: pair[0]), engine.load().accepted_tokens
    finally:
        engine.close()


def test_with_a_draft_model_the_answers_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TokenBudget, "decoding_seconds", lambda *_: (9.0, 0.001))
    alone, none = tokens("")
    guessed, right = tokens(str(model_path("smollm2:135m")))
    assert guessed == alone
    assert none == 0 < right


@pytest.mark.parametrize(
    ("vocab", "context", "said"), [(500, 512, "tokens"), (49152, 9000, "context")]
)
def test_a_draft_model_that_does_not_fit_is_refused(vocab: int, context: int, said: str) -> None:
    settings = EngineSettings(draft_path=str(model_path("smollm2:135m")))
    memory = dataclasses.replace(MEMORY, max_context=context)
    with pytest.raises(ConfigError, match=said):
        make_drafter(settings, memory, vocab)
