"""Every published chat template renders, or refuses for the reason written here."""

from __future__ import annotations

from typing import Any

import pytest

from stoker.errors import InvalidRequest
from stoker.text.chat_template import ChatTemplate
from tests.support.sdist import llama_cpp_sdist
from tests.support.text import tiny_text

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Weather of a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "description": "Its name"}},
                "required": ["city"],
            },
        },
    }
]
CHAT: list[dict[str, Any]] = [
    {"role": "user", "content": "First question"},
    {"role": "assistant", "content": "First answer"},
    {"role": "user", "content": "Second question"},
]
CALL = {
    "id": "a1B2c3D4e",
    "type": "function",
    "function": {"name": "get_weather", "arguments": {"city": "Oslo"}},
}
ROUND_TRIP: list[dict[str, Any]] = [
    {"role": "user", "content": "First question"},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "content": "sunny", "tool_call_id": "a1B2c3D4e", "name": "get_weather"},
    {"role": "user", "content": "Second question"},
]

CHANGES_LISTS = "'append' of a list may not be used"
NEEDS_TOOLS = "'NoneType' object is not iterable"
NEEDS_FUNCTIONS = "'functions' is undefined"
ALTERNATES = "conversation roles must alternate"
REFUSED = {
    "chat": {
        "CohereForAI-c4ai-command-r-plus-tool_use": NEEDS_TOOLS,
        "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use": NEEDS_TOOLS,
        "NousResearch-Hermes-3-Llama-3.1-8B-tool_use": NEEDS_TOOLS,
        "fireworks-ai-llama-3-firefunction-v2": NEEDS_FUNCTIONS,
    },
    "tools": {"fireworks-ai-llama-3-firefunction-v2": NEEDS_FUNCTIONS},
    "round trip": {
        "Kimi-K2-Instruct": CHANGES_LISTS,
        "Kimi-K2-Thinking": CHANGES_LISTS,
        "Mistral-Small-3.2-24B-Instruct-2506": ALTERNATES,
        "fireworks-ai-llama-3-firefunction-v2": NEEDS_FUNCTIONS,
        "google-gemma-2-2b-it": ALTERNATES,
        "meetkai-functionary-medium-v3.2": "can only concatenate str",
        "mistralai-Ministral-3-14B-Reasoning-2512": ALTERNATES,
        "mistralai-Mistral-Nemo-Instruct-2407": ALTERNATES,
    },
}
"""What cannot be rendered, and the template's own words for why. All others can."""
CONVERSATIONS = {"chat": (CHAT, None), "tools": (CHAT, TOOLS), "round trip": (ROUND_TRIP, TOOLS)}


def templates() -> dict[str, str]:
    folder = llama_cpp_sdist() / "templates"
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.jinja"))}


def compiled(source: str) -> ChatTemplate:
    return ChatTemplate(source, tiny_text().tokenizer, "<s>", "</s>")


def test_there_are_seventy() -> None:
    assert len(templates()) == 70


@pytest.mark.parametrize("kind", CONVERSATIONS)
def test_templates_render_what_users_wrote(kind: str) -> None:
    messages, tools = CONVERSATIONS[kind]
    refused = {}
    for name, source in templates().items():
        try:
            prompt = compiled(source).render(messages, tools=tools)
        except InvalidRequest as refusal:
            refused[name] = refusal.message
        else:
            assert "Second question" in prompt, name
    assert refused.keys() == REFUSED[kind].keys()
    for name, words in REFUSED[kind].items():
        assert words.lower() in refused[name].lower()


def test_a_begun_answer_ends_the_prompt_to_the_letter() -> None:
    """Or the template refuses, or leaves the answer out: then the request is refused."""
    begun = [CHAT[0], {"role": "assistant", "content": "  Begun <|im_end|> s "}]
    refused = []
    for name, source in templates().items():
        try:
            ids = compiled(source).encode_unfinished(begun)
        except InvalidRequest:
            refused.append(name)
            continue
        prompt = tiny_text().tokenizer.decode(ids, skip_control=False)
        assert prompt.endswith("Begun <|im_end|> s "), name
        assert "First question" in prompt
    assert refused == sorted(REFUSED["chat"])


def test_chatml_is_rendered_to_the_letter() -> None:
    prompt = compiled(templates()["Qwen-Qwen2.5-7B-Instruct"]).render(CHAT)
    assert prompt == (
        "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant."
        "<|im_end|>\n<|im_start|>user\nFirst question<|im_end|>\n<|im_start|>assistant\n"
        "First answer<|im_end|>\n<|im_start|>user\nSecond question<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_tools_are_written_as_json_without_html_escapes() -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "a < b & 'c' é"}}]
    prompt = compiled(templates()["Qwen-Qwen2.5-7B-Instruct"]).render(CHAT, tools=tools)
    assert '"description": "a < b & \'c\' é"' in prompt
