"""What a published chat template writes for tool calls and reasoning is read back, whatever the
split: every template either tells how, or gets the generic form."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

from stoker.errors import InvalidRequest
from stoker.text.calls.literal import common_prefix, without_half_tag
from stoker.text.calls.protocol import ChatProtocol, Reading, derive_protocol
from stoker.text.chat_template import ChatTemplate
from stoker.text.detokenizer import Detokenizer
from stoker.text.tokenizer import Tokenizer
from stoker.text.user_text import new_guard
from tests.conformance.test_chat_templates import templates
from tests.support.answers import ReadAnswer, read
from tests.support.text import tiny_text

TOKENIZER = tiny_text().tokenizer
NAMES = list(templates())
Call = tuple[str, dict[str, Any]]
GENERIC = {
    "HuggingFaceTB-SmolLM3-3B",
    "Kimi-K2-Instruct",
    "Kimi-K2-Thinking",
    "LFM2-8B-A1B",
    "LFM2.5-Instruct",
    "MiniMax-M3",
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B",
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
    "deepseek-ai-DeepSeek-V3.1",
    "fireworks-ai-llama-3-firefunction-v2",
    "google-gemma-2-2b-it",
    "ibm-granite-granite-3.3-2B-Instruct",
    "llama-cpp-rwkv-world",
    "microsoft-Phi-3.5-mini-instruct",
}
"""They show no tools or write no calls; three write calls that cannot be rendered or read back."""
ALL = {"text", "reasoning", "call", "reasoned call", "call beside text", "two calls"}
REFUSED: dict[str, set[str]] = {
    "fireworks-ai-llama-3-firefunction-v2": ALL,
    "meta-llama-Llama-3.1-8B-Instruct": {"two calls"},
    "meta-llama-Llama-3.2-3B-Instruct": {"two calls"},
    "meta-llama-Llama-3.3-70B-Instruct": {"two calls"},
}
"""Answers that a template refuses to write."""
TEXT_AS_REASONING = {"openai-gpt-oss-120b"}
REASONING_IS_TEXT: set[str] = set()


def function(name: str, **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(properties)[:1]}
    return {
        "type": "function",
        "function": {"name": name, "description": "It helps", "parameters": parameters},
    }


TOOLS = [
    function(
        "get_weather",
        city={"type": "string", "description": "Its name"},
        days={"type": "integer", "description": "How many"},
        metric={"type": "boolean", "description": "Or not"},
    ),
    function(
        "find-route.v2", stops={"type": "array", "items": {"type": "string"}, "description": "All"}
    ),
]
QUESTION = {"role": "user", "content": "What now?"}
OSLO = ("get_weather", {"city": 'Oslo, "N" <b>\n{x}', "days": 7, "metric": True})
BERGEN = ("get_weather", {"city": "Bergen"})
ROUTE = ("find-route.v2", {"stops": ["a", "b c"]})
ANSWERS: dict[str, tuple[str, str, list[Call]]] = {
    "text": ("Words with { and <b>.", "", []),
    "reasoning": ("Then words.", "First thought\n\nsecond", []),
    "call": ("", "", [OSLO]),
    "reasoned call": ("", "I need the weather", [BERGEN]),
    "call beside text": ("Let me see.", "", [BERGEN]),
    "two calls": ("", "", [OSLO, ROUTE]),
}


@dataclass(frozen=True)
class Written:
    """One answer as a template writes it."""

    text: str
    reading: Reading
    tokenizer: Tokenizer

    def read_by_tokens(self) -> ReadAnswer:
        ids = self.tokenizer.encode_template(self.text, new_guard())
        detokenizer = Detokenizer(self.tokenizer, self.reading.shown)
        return read(self.reading, [detokenizer.push((token,)) for token in ids])


TAG = re.compile(
    r"<\|[^|<>\s]+\|>|\[/?[A-Z_]+\]|<\uff5c[^\uff5c\s]+\uff5c>|</?think>|\]~!?b\[|\[e~\["
)


@functools.cache
def made(name: str, marked: bool) -> tuple[ChatTemplate, ChatProtocol, Tokenizer]:
    """`marked`: with a vocabulary in which every tag of the template is a control token."""
    source = templates()[name]
    tags = sorted(set(TAG.findall(source)) - set(TOKENIZER.vocabulary.control_tokens))
    tokenizer = tiny_text(more_control=tuple(tags)).tokenizer if marked else TOKENIZER
    template = ChatTemplate(source, tokenizer, "<s>", "</s>")
    return template, derive_protocol(template, tokenizer), tokenizer


def message(content: str, reasoning: str, calls: list[Call]) -> dict[str, Any]:
    shown: dict[str, Any] = {"role": "assistant", "content": content}
    if calls:
        shown["tool_calls"] = [
            {
                "id": f"call_{number}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)},
            }
            for number, (name, arguments) in enumerate(calls)
        ]
    return shown | ({"reasoning_content": reasoning} if reasoning else {})


def written(name: str, kind: str, marked: bool) -> Written | None:
    """None where the template refuses."""
    template, protocol, tokenizer = made(name, marked)
    question, tools = protocol.conversation([QUESTION], TOOLS)
    told, _ = protocol.conversation([QUESTION, message(*ANSWERS[kind])], TOOLS)
    try:
        prompt = template.render(question, tools=tools)
        whole = template.render(told, tools=tools, add_generation_prompt=False)
    except InvalidRequest:
        return None
    shared = without_half_tag(common_prefix(whole, prompt))
    reading = protocol.reading(tokenizer, tokenizer.encode_template(prompt, new_guard()), TOOLS)
    assert reading is not None
    text, close = whole[len(shared) :], spelled(protocol, name)
    if close and close in prompt[len(shared) :]:
        ids = tokenizer.encode_template(shared, new_guard())
        reading = protocol.reading(tokenizer, ids, TOOLS)
        assert reading is not None
    elif close and close not in text and begun(reading):
        text = f"a thought{close}{text}"  # earlier answers are shown without it
    return Written(text, reading, tokenizer)


def spelled(protocol: ChatProtocol, name: str) -> str:
    """What closes reasoning, as the template spells it."""
    plain = made(name, False)[1].form.reasoning
    return " ".join(plain.close.words) if plain and protocol.form.reasoning else ""


def begun(reading: Reading) -> bool:
    reasoning = reading.form.reasoning
    return bool(reasoning) and reading.prompt_end.rstrip().endswith(reasoning.begun or "\0")


def test_every_template_is_read_in_its_own_form_or_in_the_generic_one() -> None:
    assert {name for name in templates() if made(name, False)[1].generic} == GENERIC


@pytest.mark.parametrize("marked", [False, True], ids=["spelled", "control tokens"])
@pytest.mark.parametrize("name", NAMES)
def test_what_a_template_writes_is_read_back(name: str, marked: bool) -> None:
    refused = {kind for kind in ANSWERS if not reads_back(name, kind, marked)}
    assert refused == REFUSED.get(name, set())


def reads_back(name: str, kind: str, marked: bool) -> bool:
    answer = written(name, kind, marked)
    if answer is None:
        return False
    content, reasoning, calls = ANSWERS[kind]
    whole = answer.read_by_tokens()
    told = [(name, json.loads(arguments)) for name, arguments in whole.calls]
    assert told == [call for call in calls if call[0] in answer.text], (kind, answer.text)
    words = whole.content
    if name in TEXT_AS_REASONING and content and calls:
        words += whole.reasoning
    assert words.strip() == (content if content in answer.text else ""), (kind, answer.text)
    if reasoning and reasoning in answer.text and name not in REASONING_IS_TEXT:
        assert whole.reasoning == reasoning, (kind, answer.text)
    return True


def test_control_tokens_of_the_protocol_count_and_their_spelling_does_not() -> None:
    """A tag that stands where none belongs adds no text, as any control token."""
    _, protocol, tokenizer = made("mistralai-Ministral-3-14B-Reasoning-2512", True)
    reading = protocol.reading(tokenizer, [], TOOLS)
    assert reading is not None
    call = '[TOOL_CALLS]get_weather[ARGS]{"city": "Oslo"}'
    answer = Written(f"One[ARGS] two{call}", reading, tokenizer).read_by_tokens()
    assert answer == ReadAnswer("One two", "", [["get_weather", '{"city": "Oslo"}']])
    assert read(reading, call) == ReadAnswer(call)
