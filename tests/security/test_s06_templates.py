"""S06, S07: a template from a model file gets out of nothing and uses up nothing."""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

import pytest

from stoker.errors import ConfigError, InvalidRequest
from stoker.text.calls.protocol import derive_protocol
from stoker.text.chat_template import ChatTemplate
from tests.conformance.test_chat_templates import templates
from tests.security.hostile_templates import BOMBS, ESCAPES
from tests.support.text import tiny_text

CHAT = [{"role": "user", "content": "Hello"}]
MAX_SECONDS = 1.0
MAX_GROWTH_MIB = 400


def render(source: str) -> str:
    return ChatTemplate(source, tiny_text().tokenizer, max_seconds=0.25).render(CHAT)


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


def test_a_bomb_does_not_hold_up_the_loading_of_its_model() -> None:
    """Loading tries a template a few dozen times, each within its own bound."""
    refused: list[str] = []

    class Bomb(ChatTemplate):
        def render(self, *args: object, **kwargs: object) -> str:
            refused.append("tried")
            return super().render(*args, **kwargs)  # type: ignore[arg-type]

    tokenizer = tiny_text().tokenizer
    bomb = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}"
    protocol = derive_protocol(Bomb(bomb, tokenizer), tokenizer)
    assert protocol.generic
    assert len(refused) < 20


@pytest.mark.parametrize("place", ["content", "name", "description", "result", "reasoning", "key"])
def test_what_a_client_writes_is_text_and_no_template(place: str) -> None:
    """Every payload in one place of a request stands in the prompt as it was written."""
    text = tiny_text(templates()["Qwen-Qwen3-0.6B"])
    assert text.chat_template and text.protocol
    for payload in ESCAPES:
        conversation, tools = _with(payload, place)
        messages, shown = text.protocol.conversation(conversation, tools)
        prompt = text.chat_template.render(messages, tools=shown)
        assert (payload in prompt) or (json.dumps(payload)[1:-1] in prompt), payload


def _with(payload: str, place: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    at = dict.fromkeys(("content", "name", "description", "result", "reasoning", "key"), "x")
    at[place] = payload
    arguments = json.dumps({at["key"]: "v"})
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    said = {
        "role": "assistant", "content": "", "reasoning_content": at["reasoning"],
        "tool_calls": [call],
    }  # fmt: skip
    function = {"name": at["name"], "description": at["description"], "parameters": {}}
    messages = [
        {"role": "user", "content": at["content"]}, said,
        {"role": "tool", "tool_call_id": "1", "content": at["result"]},
    ]  # fmt: skip
    return messages, [{"type": "function", "function": function}]
