"""S06, S07: a template from a model file gets out of nothing and uses up nothing."""

from __future__ import annotations

import resource
import sys
import time

import pytest

from stoker.errors import ConfigError, InvalidRequest
from stoker.text.chat_template import ChatTemplate
from tests.security.hostile_templates import BOMBS, ESCAPES
from tests.support.text import tiny_text

CHAT = [{"role": "user", "content": "Hello"}]
MAX_SECONDS = 1.0
MAX_GROWTH_MIB = 400


def render(source: str) -> str:
    return ChatTemplate(source, tiny_text().tokenizer).render(CHAT)


def peak_mib() -> float:
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


@pytest.mark.parametrize("source", ESCAPES)
def test_what_reaches_for_the_interpreter_is_refused(source: str) -> None:
    with pytest.raises((ConfigError, InvalidRequest)) as refusal:
        render(source)
    assert len(refusal.value.message) < 300
    assert "\n" not in refusal.value.message


@pytest.mark.parametrize("source", BOMBS, ids=[bomb[:60] for bomb in BOMBS])
def test_a_bomb_ends_soon_and_small_with_an_error(source: str) -> None:
    before, started = peak_mib(), time.process_time()
    with pytest.raises((ConfigError, InvalidRequest)):
        render(source)
    assert time.process_time() - started < MAX_SECONDS
    assert peak_mib() - before < MAX_GROWTH_MIB
