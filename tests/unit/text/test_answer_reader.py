"""Answers are taken apart the same way for every split, and what is no call stays text."""

from __future__ import annotations

import functools
import itertools
import json
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stoker.text.calls.protocol import Reading, derive_protocol
from stoker.text.chat_template import ChatTemplate
from tests.conformance.test_chat_templates import templates
from tests.support.answers import ReadAnswer, read
from tests.support.text import tiny_text

FORMS = {
    "object": "Qwen-Qwen3-0.6B",
    "bare object": "meta-llama-Llama-3.2-3B-Instruct",
    "list of objects": "Apertus-8B-Instruct",
    "named": "mistralai-Ministral-3-14B-Reasoning-2512",
    "tags": "Qwen3-Coder",
    "typed tags": "deepseek-ai-DeepSeek-V3.2",
    "plain": "LFM2.5-8B-A1B",
    "own quotes": "google-gemma-4-31B-it",
}
"""One template for each form that calls have."""
TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "f",
            "parameters": {
                "type": "object",
                "properties": {"a": {"type": "string"}, "b": {"type": "integer"}, "c": {}},
            },
        },
    }
]


@functools.cache
def reading(form: str) -> Reading:
    tokenizer = tiny_text().tokenizer
    template = ChatTemplate(templates()[FORMS[form]], tokenizer, "<s>", "</s>")
    found = derive_protocol(template, tokenizer).reading(tokenizer, [], TOOLS)
    assert found is not None
    return found


WRITTEN = {
    "object": '<think>\nHm\n</think>\n\nSo:\n<tool_call>\n{"name": "f", "arguments": {"a": "x y"}}'
    '\n</tool_call>\n<tool_call>{"arguments":{"b":[1,{"d":"}"}]},"name":"f"}</tool_call> Done.',
    "bare object": '{"name": "f", "parameters": {"a": "\\"\\\\", "b": 1}}',
    "list of objects": '<|tools_prefix|>[{"f": {"a": "x"}}, {"f": {}}]<|tools_suffix|>',
    "named": 'Wait.[TOOL_CALLS]f[ARGS]{"a": "[TOOL_CALLS]"}[TOOL_CALLS]f[ARGS]{}',
    "tags": "So.\n<tool_call>\n<function=f>\n<parameter=a>\n two\nlines \n</parameter>\n"
    "<parameter=b>\n7\n</parameter>\n<parameter=c>\nnull\n</parameter>\n</function>\n</tool_call>",
    "typed tags": '<｜DSML｜function_calls>\n<｜DSML｜invoke name="f">\n'
    '<｜DSML｜parameter name="a" string="true">7</｜DSML｜parameter>\n'
    '<｜DSML｜parameter name="b" string="false">7'
    "</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>",
    "plain": "<|tool_call_start|>[f(a='it\\'s', b=7, c={\"x\": [None, True]}), f()]"
    "<|tool_call_end|>",
    "own quotes": '<|tool_call>call:f{a:<|"|>a "b", {c<|"|>,b:7,c:{d:[1,<|"|>x<|"|>]}}<tool_call|>',
}
ARGUMENTS: dict[str, list[Any]] = {
    "object": [{"a": "x y"}, {"b": [1, {"d": "}"}]}],
    "bare object": [{"a": '"\\', "b": 1}],
    "list of objects": [{"a": "x"}, {}],
    "named": [{"a": "[TOOL_CALLS]"}, {}],
    "tags": [{"a": " two\nlines ", "b": 7, "c": None}],
    "typed tags": [{"a": "7", "b": 7}],
    "plain": [{"a": "it's", "b": 7, "c": {"x": [None, True]}}, {}],
    "own quotes": [{"a": 'a "b", {c', "b": 7, "c": {"d": [1, "x"]}}],
}
TEXTS = {"object": "So:Done.", "named": "Wait.", "tags": "So."}


@pytest.mark.parametrize("form", FORMS)
def test_calls_are_read_and_text_around_them_stays(form: str) -> None:
    answer = read(reading(form), WRITTEN[form])
    assert [(name, json.loads(text)) for name, text in answer.calls] == [
        ("f", arguments) for arguments in ARGUMENTS[form]
    ]
    assert answer.content == TEXTS.get(form, "")
    assert answer.reasoning == ("Hm" if form == "object" else "")


FRAGMENTS = sorted(
    {piece for text in WRITTEN.values() for piece in re.findall(r"\w+|\s|<[^<>]*>|.", text)}
)
NOISE = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=4), max_size=30).map("".join)


@st.composite
def mangled(draw: st.DrawFn) -> tuple[str, str]:
    """What a model that fails at its form may write."""
    form = draw(st.sampled_from(sorted(FORMS)))
    text = WRITTEN[form]
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    return form, draw(st.sampled_from([text[:start] + text[end:], text[start:end]])) + draw(NOISE)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(mangled(), st.sets(st.integers(0, 400)))
@example(("tags", WRITTEN["tags"][:80]), {3, 5})
def test_every_split_gives_the_same(case: tuple[str, str], cuts: set[int]) -> None:
    form, text = case
    edges = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    whole = read(reading(form), [text])
    assert read(reading(form), text) == whole
    assert read(reading(form), [text[a:b] for a, b in itertools.pairwise(edges)]) == whole


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(FORMS)), NOISE)
def test_text_without_protocol_is_given_as_it_is(form: str, text: str) -> None:
    assert read(reading(form), f"Well: {text.translate(NO_MARKUP)}") == ReadAnswer(
        content=f"Well: {text.translate(NO_MARKUP)}"
    )


NO_MARKUP = dict.fromkeys(map(ord, "<[{"), " ") | {ord(">"): "", ord("]"): ""}


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>",
        "<tool_call> is a tag",
        '<tool_call>\n{"name": "g", "arguments": {}}\n</tool_call>',
        '<tool_call>\n{"name": "f"',
        "<tool_call>\n{'name': 'f'}",
        '<tool_call>{"name": ["f"], "arguments": {}}',
        '{"name": "f", "description": {}}',
        '{"name": "g", "arguments": {}}',
        '```json\n{"name": "f"}\n```',
        'So: {"name": "f", "arguments": {}}',
        "<tool_cal",
        "a < b and <think",
    ],
)
def test_what_is_no_call_is_text(text: str) -> None:
    assert read(reading("object"), text) == ReadAnswer(content=text)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "f", "arguments": {"b": 1}}',
        '```json\n{\n  "name": "f",\n  "arguments": {"b": 1}\n}\n```',
        '<think>\nHm\n</think>\n\n{"name": "f", "arguments": {"b": 1}}',
    ],
)
def test_a_call_that_stands_for_the_whole_answer_needs_no_tags(text: str) -> None:
    answer = read(reading("object"), text)
    assert (answer.calls, answer.content) == ([["f", '{"b": 1}']], "")


@pytest.mark.parametrize(
    ("form", "text", "arguments"),
    [
        ("object", '<tool_call>{"name": "f", "arguments": {"a": "x', '{"a": "x'),
        ("object", '<tool_call>{"name": "f", "arguments": {"a": x}}</tool_call>', '{"a": x}'),
        ("object", '<tool_call>{"name": "f", "arguments": "{\\"a\\": 1}"}', '{"a": 1}'),
        ("object", '<tool_call>{"name": "f", "arguments": "\\ud800{}"}', "{}"),
        ("tags", "<tool_call><function=f><parameter=a>\nx", '{"a": "x'),
        ("tags", "<tool_call><function=f><parameter=b>\nmany\n</parameter>", '{"b": "many"}'),
        ("plain", "<|tool_call_start|>[f(a='x", '{"a": \'x'),
        ("plain", "<|tool_call_start|>[f(a=Oslo)]<|tool_call_end|>", '{"a": "Oslo"}'),
    ],
)
def test_arguments_that_fail_are_what_the_model_wrote(form: str, text: str, arguments: str) -> None:
    assert read(reading(form), text).calls == [["f", arguments]]


def test_a_long_answer_takes_time_in_proportion() -> None:
    """Nothing that was read is looked at again: a long call, in small pieces."""
    body = "x" * 200_000
    text = f'<tool_call>{{"name": "f", "arguments": {{"a": "{body}"}}}}</tool_call>'
    pieces = [text[start : start + 20] for start in range(0, len(text), 20)]
    answer = read(reading("object"), pieces)
    assert answer.calls == [["f", f'{{"a": "{body}"}}']]
