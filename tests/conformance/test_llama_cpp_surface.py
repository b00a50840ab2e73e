"""What clients of llama.cpp's server send, and what they read in the answers."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.test_chat_templates import templates
from tests.support.scripted_backend import scripted_server
from tests.support.server import MODEL, RunningServer, local_server
from tests.support.surfaces import BY_NAME, JSON, events, post, whole
from tests.support.text import tiny_text

SURFACE = BY_NAME["completion"]


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server() as running:
        yield running


def ask(server: RunningServer, **changes: Any) -> Any:
    status, _, body = post(server, SURFACE, {**SURFACE.ask(12, 7, False), **changes})
    assert status == 200, body
    return json.loads(body)


def call_of(server: RunningServer, path: str, body: Any = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    encoded = None if body is None else json.dumps(body)
    connection.request("GET" if body is None else "POST", path, encoded, JSON)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    assert response.status == 200, answer
    return answer


def test_an_answer_says_how_it_went(server: RunningServer) -> None:
    answer = ask(server, temperature=-1, repeat_last_n=64, dry_multiplier=0, dry_base=1.75)
    assert (answer["stop"], answer["stop_type"], answer["truncated"]) == (True, "limit", False)
    assert (answer["model"], answer["prompt"]) == (MODEL, SURFACE.ask(1, 1, False)["prompt"])
    assert answer["tokens_predicted"] == answer["timings"]["predicted_n"] == 12
    assert answer["tokens_cached"] == answer["tokens_evaluated"] + 12
    settings = answer["generation_settings"]
    assert (settings["seed"], settings["n_predict"], settings["temperature"]) == (7, 12, 0.0)
    timings = answer["timings"]
    assert timings["cache_n"] + timings["prompt_n"] == answer["tokens_evaluated"]


def test_a_stream_ends_with_the_same(server: RunningServer) -> None:
    wanted = ask(server, return_tokens=True)
    body = {**SURFACE.ask(12, 7, True), "return_tokens": True}
    seen = events(post(server, SURFACE, body)[2])
    assert "".join(event["content"] for event in seen) == wanted["content"]
    assert [token for event in seen for token in event["tokens"]] == wanted["tokens"]
    assert [event["stop"] for event in seen] == [False] * (len(seen) - 1) + [True]
    changing = {"content", "tokens", "timings", "tokens_cached", "generation_settings"}
    for name in set(wanted) - changing:
        assert seen[-1][name] == wanted[name], name


def test_several_prompts_give_several_answers(server: RunningServer) -> None:
    alone = [ask(server, prompt=text)["content"] for text in ("the sea", "the sky")]
    together = ask(server, prompt=["the sea", "the sky"])
    assert [one["content"] for one in together] == alone
    assert [one["index"] for one in together] == [0, 1]
    body = {**SURFACE.ask(12, 7, True), "prompt": ["the sea", "the sky"]}
    seen = events(post(server, SURFACE, body)[2])
    for index, text in enumerate(alone):
        assert "".join(one["content"] for one in seen if one["index"] == index) == text
    assert sorted(one["index"] for one in seen if one["stop"]) == [0, 1]


def test_token_ids_are_a_prompt(server: RunningServer) -> None:
    tokens = call_of(server, "/tokenize", {"content": "the sea"})["tokens"]
    assert ask(server, prompt=tokens)["content"] == ask(server, prompt="the sea")["content"]


def test_a_stop_word_is_named(server: RunningServer) -> None:
    text = ask(server, n_predict=40)["content"]
    letter = next(c for c in text[2:] if c.isascii() and c not in text[:2])
    answer = ask(server, n_predict=40, stop=[letter])
    assert (answer["stop_type"], answer["stopping_word"]) == ("word", letter)
    assert answer["content"] == text[: text.index(letter)]


def test_probabilities(server: RunningServer) -> None:
    answer = ask(server, n_probs=1)
    listed = answer["completion_probabilities"]
    assert len(listed) == 12
    raw = b"".join(bytes(one["bytes"]) for one in listed)
    assert raw.decode(errors="replace") == answer["content"]


def test_a_bias_of_false_forbids_a_token(server: RunningServer) -> None:
    ask(server, logit_bias=[[5, False], [6, 1.5]])
    assert server.backend.submitted[-1].sampling.logit_bias == {5: -100.0, 6: 1.5}


def test_no_length_is_all_that_the_context_holds(server: RunningServer) -> None:
    answer = ask(server, n_predict=-1, prompt="a" * 1900)
    assert answer["tokens_cached"] == 2048


def test_text_and_tokens_there_and_back(server: RunningServer) -> None:
    made = call_of(server, "/tokenize", {"content": "the s\u00e9a", "with_pieces": True})["tokens"]
    pieces = [one["piece"] for one in made]
    raw = b"".join(p.encode() if isinstance(p, str) else bytes(p) for p in pieces)
    assert raw.decode() == "the s\u00e9a"
    assert any(isinstance(piece, list) for piece in pieces)
    back = call_of(server, "/detokenize", {"tokens": [one["id"] for one in made]})
    assert back["content"] == back["prompt"] == "the s\u00e9a"


def test_a_template_is_applied(server: RunningServer) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    assert call_of(server, "/apply-template", {"messages": messages}) == {
        "prompt": "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    }
    body = {"messages": messages, "add_generation_prompt": False}
    assert call_of(server, "/apply-template", body)["prompt"].endswith("<|im_end|>\n")


def test_what_is_served(server: RunningServer) -> None:
    props = call_of(server, "/props")
    assert props["model_alias"] == props["model_path"] == MODEL
    assert props["default_generation_settings"]["n_ctx"] == 2048
    slots = call_of(server, "/slots")
    assert len(slots) == props["total_slots"]
    assert not any(slot["is_processing"] for slot in slots)
    info = call_of(server, "/tokenizer_info")
    assert (info["bos_token"], info["eos_token"]) == ("<|begin|>", "<|im_end|>")
    assert info["chat_template"] == props["chat_template"]
    assert "im_start" in info["chat_template"]


@pytest.mark.parametrize("path", ["/completion", "/completions"])
def test_both_paths_are_one(server: RunningServer, path: str) -> None:
    body = call_of(server, path, SURFACE.ask(12, 7, False))
    assert body["content"] == whole(server, SURFACE, 12, 7)["content"]


def test_conversations_need_no_model_and_no_version_in_the_path(server: RunningServer) -> None:
    body = {
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 4, "seed": 7, "temperature": 0, "cache_prompt": True, "id_slot": 0,
    }  # fmt: skip
    bare = call_of(server, "/chat/completions", body)
    asked = {name: body[name] for name in ("messages", "max_tokens", "seed", "temperature")}
    assert bare["choices"] == call_of(server, "/v1/chat/completions", asked)["choices"]
    assert (bare["model"], bare["usage"]["completion_tokens"]) == (MODEL, 4)
    counted = call_of(server, "/chat/completions/input_tokens", body)
    assert counted == {"input_tokens": bare["usage"]["prompt_tokens"]}


def test_models_have_their_names(server: RunningServer) -> None:
    (model,) = call_of(server, "/models")["data"]
    assert (model["id"], model["aliases"], model["max_model_len"]) == (MODEL, [MODEL], 2048)


def test_speed_is_of_the_tokens_after_the_first(server: RunningServer) -> None:
    one = ask(server, n_predict=1)["timings"]
    assert (one["predicted_per_second"], one["predicted_per_token_ms"]) == (0.0, 0.0)
    several = ask(server, n_predict=12)["timings"]
    assert several["predicted_per_token_ms"] == pytest.approx(several["predicted_ms"] / 11)


def test_an_error_has_its_status_inside(server: RunningServer) -> None:
    status, _, body = post(server, SURFACE, {"prompt": 5})
    error = json.loads(body)["error"]
    assert (status, error["code"], error["type"]) == (400, 400, "invalid_request_error")


def test_what_a_template_can_is_told_and_shown() -> None:
    function = {"name": "get_weather", "description": "d", "parameters": {"type": "object"}}
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "reasoning_content": "Hm.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "sunny"},
    ]
    body = {"messages": messages, "tools": [{"type": "function", "function": function}]}
    with scripted_server(tiny_text(templates()["Qwen-Qwen3-0.6B"])) as running:
        prompt = call_of(running, "/apply-template", body)["prompt"]
        capabilities = call_of(running, "/props")["chat_template_caps"]
        quiet = call_of(running, "/apply-template", {**body, "tool_choice": "none"})["prompt"]
    assert '"name": "get_weather"' in prompt
    assert '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>' in prompt
    assert "<think>\nHm.\n</think>" in prompt
    assert "<tool_response>\nsunny\n</tool_response>" in prompt
    assert "get_weather" not in quiet
    assert set(capabilities) == {
        "supports_system_role", "supports_tools", "supports_tool_calls", "supports_reasoning",
    }  # fmt: skip
    assert all(capabilities.values())
