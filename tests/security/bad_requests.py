"""Every kind of bad request we know, by name, with the exact answer it must get.

A row is data: a change from a good request, and the status, code and param expected. The runner
sends each beside a healthy stream (test_bad_requests.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.server import MODEL
from tests.support.text import vocab_size

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
GOOD_CHAT: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
GOOD_TEXT: dict[str, Any] = {"model": MODEL, "prompt": "hi"}
GONE = object()
"""Stands for a field that is left out."""

INVALID, UNSUPPORTED = "invalid_request", "unsupported_constraint"
CONTEXT = 2048


@dataclass(frozen=True)
class BadRequest:
    name: str
    body: bytes
    code: str = INVALID
    param: str | None = None
    status: int = 400
    path: str = CHAT
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)


def chat(name: str, param: str | None, code: str = INVALID, **changes: Any) -> BadRequest:
    return BadRequest(f"chat {name}", _body(GOOD_CHAT, changes), code, param)


def text(name: str, param: str | None, code: str = INVALID, **changes: Any) -> BadRequest:
    return BadRequest(f"text {name}", _body(GOOD_TEXT, changes), code, param, path=TEXT)


def _body(good: dict[str, Any], changes: dict[str, Any]) -> bytes:
    changed = {key: value for key, value in {**good, **changes}.items() if value is not GONE}
    return json.dumps(changed).encode()


def raw(name: str, body: bytes, param: str | None = None, **extra: Any) -> BadRequest:
    return BadRequest(f"body {name}", body, param=param, **extra)


HUGE = {"2^31": 2**31, "2^63": 2**63, "2^64": 2**64, "10^40": 10**40}
NOT_WHOLE = {"text": "5", "fraction": 1.5, "1e308": 1e308, "true": True, "list": [1], "object": {}}
NOT_NUMBER = {"text": "0.5", "true": True, "list": [0.5], "object": {}, "NaN text": "NaN"}
NOT_TEXT = {"number": 5, "true": True, "object": {}}


def _whole_numbers() -> Iterator[BadRequest]:
    """Counts: wrong types, negatives, and sizes that would multiply work (S21)."""
    for name in ("n", "max_tokens", "max_completion_tokens", "min_tokens", "top_logprobs", "top_k"):
        extra = {"logprobs": True} if name == "top_logprobs" else {}
        for kind, value in NOT_WHOLE.items():
            yield chat(f"{name} is {kind}", name, **extra, **{name: value})
        for kind, value in HUGE.items():
            yield chat(f"{name} is {kind}", name, **extra, **{name: value})
        yield chat(f"{name} is -2", name, **extra, **{name: -2})
    for kind, value in {**NOT_WHOLE, "2^64": 2**64, "-2^64": -(2**64)}.items():
        yield chat(f"seed is {kind}", "seed", seed=value)
    yield chat("n is 0", "n", n=0)
    yield chat("n over the limit", "n", n=9)
    yield text("n over the limit", "n", n=9)
    yield chat("max_tokens is 0", "max_tokens", max_tokens=0)
    yield chat("max_completion_tokens is 0", "max_completion_tokens", max_completion_tokens=0)
    yield chat(
        "two different lengths", "max_completion_tokens", max_tokens=3, max_completion_tokens=4
    )
    yield chat("min over max", "min_tokens", max_tokens=3, min_tokens=4)
    yield chat("top_logprobs over the limit", "top_logprobs", logprobs=True, top_logprobs=21)
    yield chat("top_logprobs without logprobs", "top_logprobs", top_logprobs=2)
    yield text("logprobs over the limit", "logprobs", logprobs=21)
    yield text("logprobs is true", "logprobs", logprobs=True)
    yield text("logprobs is -1", "logprobs", logprobs=-1)
    yield text("max_tokens 0 without echo", "max_tokens", max_tokens=0)


def _numbers() -> Iterator[BadRequest]:
    """Real numbers: wrong types and just outside the range."""
    ranges = {
        "temperature": (-0.01, 2.01),
        "top_p": (0, 1.01),
        "min_p": (-0.01, 1.01),
        "presence_penalty": (-2.01, 2.01),
        "frequency_penalty": (-2.01, 2.01),
        "repetition_penalty": (0.0099, 10.01),
    }
    for name in ("top_p", "repetition_penalty"):
        yield chat(f"{name} is 0", name, **{name: 0})
        yield chat(f"{name} is -1e308", name, **{name: -1e308})
    for name, (below, above) in ranges.items():
        yield chat(f"{name} too low", name, **{name: below})
        yield chat(f"{name} too high", name, **{name: above})
        yield chat(f"{name} is 1e308", name, **{name: 1e308})
        for kind, value in NOT_NUMBER.items():
            yield chat(f"{name} is {kind}", name, **{name: value})


def _switches() -> Iterator[BadRequest]:
    both = {"continue_final_message": True, "add_generation_prompt": True}
    yield chat("continues and begins an answer", "continue_final_message", **both)
    for name in (
        "stream", "ignore_eos", "logprobs", "continue_final_message", "add_generation_prompt",
    ):  # fmt: skip
        for kind, value in {"text": "true", "1": 1, "list": []}.items():
            yield chat(f"{name} is {kind}", name, **{name: value})
    yield text("echo is text", "echo", echo="yes")
    yield chat("stream_options without stream", "stream_options", stream_options={})
    yield chat("stream_options is true", "stream_options", stream=True, stream_options=True)
    yield chat(
        "stream_options has a stranger",
        "stream_options.usage",
        stream=True,
        stream_options={"usage": True},
    )
    yield chat(
        "include_usage is text", "stream_options.include_usage", stream=True,
        stream_options={"include_usage": "yes"},
    )  # fmt: skip


def _token_ids() -> Iterator[BadRequest]:
    """Ids outside the vocabulary, wherever ids are taken (S23)."""
    outside = {
        "-2^31": -(2**31), "-1": -1, "the vocabulary's size": vocab_size(), "2^31": 2**31,
        "2^63": 2**63,
    }  # fmt: skip
    for kind, value in outside.items():
        yield chat(f"stop_token_ids holds {kind}", "stop_token_ids", stop_token_ids=[value])
        yield chat(f"logit_bias holds {kind}", "logit_bias", logit_bias={str(value): 1})
        yield text(f"prompt holds id {kind}", "prompt", prompt=[1, value])
        yield text(f"prompt holds nested id {kind}", "prompt", prompt=[[value]])
    yield chat("logit_bias key is text", "logit_bias", logit_bias={"hello": 1})
    yield chat("logit_bias key is empty", "logit_bias", logit_bias={"": 1})
    yield chat("logit_bias key is a fraction", "logit_bias", logit_bias={"1.5": 1})
    yield chat("logit_bias key has a plus", "logit_bias", logit_bias={"+1": 1})
    yield chat("logit_bias key is in other digits", "logit_bias", logit_bias={"١": 1})
    yield chat("logit_bias value is text", "logit_bias[...]", logit_bias={"1": "x"})
    yield chat("logit_bias value is null", "logit_bias[...]", logit_bias={"1": None})
    yield chat("logit_bias value too high", "logit_bias[...]", logit_bias={"1": 100.1})
    yield chat("logit_bias value too low", "logit_bias[...]", logit_bias={"1": -100.1})
    yield chat("logit_bias is a list", "logit_bias", logit_bias=[1])
    yield chat("logit_bias too big", "logit_bias", logit_bias={f"{i:03}": 1 for i in range(301)})
    yield chat("stop_token_ids too long", "stop_token_ids", stop_token_ids=[1] * 301)
    yield chat("stop_token_ids holds text", "stop_token_ids[0]", stop_token_ids=["1"])
    yield chat("stop_token_ids holds true", "stop_token_ids[0]", stop_token_ids=[True])
    yield chat("stop_token_ids is a number", "stop_token_ids", stop_token_ids=1)


def _stops() -> Iterator[BadRequest]:
    yield chat("stop is a number", "stop", stop=5)
    yield chat("stop is an object", "stop", stop={})
    yield chat("stop is empty", "stop", stop="")
    yield chat("stop holds an empty text", "stop", stop=["a", ""])
    yield chat("stop holds a number", "stop[1]", stop=["a", 5])
    yield chat("stop holds null", "stop[0]", stop=[None])
    yield chat("stop has too many", "stop", stop=["a", "b", "c", "d", "e"])
    yield chat("stop is too long", "stop", stop="x" * 257)


def _models() -> Iterator[BadRequest]:
    for kind, value in {"unknown": "gpt-4", "empty": "", "a path": "../../etc/passwd"}.items():
        yield BadRequest(
            f"model is {kind}", _body(GOOD_CHAT, {"model": value}), "model_not_found", "model", 404
        )
    for kind, value in {**NOT_TEXT, "list": [MODEL]}.items():
        yield chat(f"model is {kind}", "model", model=value)
        yield text(f"model is {kind}", "model", model=value)


def _messages() -> Iterator[BadRequest]:
    yield chat("messages missing", "messages", messages=GONE)
    yield chat("messages empty", "messages", messages=[])
    yield chat("messages null", "messages", messages=None)
    yield chat("messages is text", "messages", messages="hi")
    yield chat("messages is an object", "messages", messages={"role": "user", "content": "hi"})
    yield chat("messages holds text", "messages[0]", messages=["hi"])
    yield chat("messages holds null", "messages[0]", messages=[None])
    yield chat("too many messages", "messages", messages=[{"role": "user", "content": "a"}] * 1025)
    yield chat("role missing", "messages[0].role", messages=[{"content": "hi"}])
    yield chat("role unknown", "messages[0].role", messages=[{"role": "robot", "content": "hi"}])
    yield chat("role is a number", "messages[0].role", messages=[{"role": 1, "content": "hi"}])
    for kind, value in {"missing": GONE, "null": None, "an empty list": []}.items():
        message = {"role": "user"} if value is GONE else {"role": "user", "content": value}
        yield chat(f"content {kind}", "messages[0].content", messages=[message])
    for kind, value in NOT_TEXT.items():
        yield _content(f"content is {kind}", "messages[0].content", value)
    yield _content("content holds text", "messages[0].content[0]", ["hi"])
    yield _content("part without type", "messages[0].content[0].type", [{"text": "hi"}])
    yield _content("part without text", "messages[0].content[0].text", [{"type": "text"}])
    yield _content("part's text a number", "messages[0].content[0].text", [_part(text=5)])
    yield _content("part with a stranger", "messages[0].content[0].colour", [_part(colour="red")])
    yield _content("too many parts", "messages[0].content", [_part()] * 65)
    for scheme in ("http://", "https://", "file:///", "ftp://", "gopher://", "data:image/png,"):
        part = {"type": "image_url", "image_url": {"url": f"{scheme}example.test/a.png"}}
        yield _content(f"image at {scheme}", "messages[0].content[0]", [part])
    yield _content("a text part with an image", "messages[0].content[0]", [_part(image_url={})])
    yield _content(
        "audio", "messages[0].content[0]", [{"type": "input_audio", "input_audio": {"data": "AA"}}]
    )
    yield _content("file", "messages[0].content[0]", [{"type": "file", "file": {"file_id": "x"}}])
    yield _content("unknown part", "messages[0].content[0]", [{"type": "smell", "text": "x"}])
    strange = [{"role": "user", "content": "hi", "mood": "good"}]
    yield chat("message with a stranger", "messages[0].mood", messages=strange)
    third = [*GOOD_CHAT["messages"] * 2, {"role": "user", "content": 5}]
    yield chat("third message wrong", "messages[2].content", messages=third)


def _part(**changes: Any) -> dict[str, Any]:
    return {"type": "text", "text": "hi", **changes}


def _content(name: str, param: str, content: Any) -> BadRequest:
    return chat(name, param, messages=[{"role": "user", "content": content}])


def _prompts() -> Iterator[BadRequest]:
    yield text("prompt missing", "prompt", prompt=GONE)
    for kind, value in {**NOT_TEXT, "null": None}.items():
        yield text(f"prompt is {kind}", "prompt", prompt=value)
    yield text("prompt empty", "prompt", prompt="")
    yield text("prompt is an empty list", "prompt", prompt=[])
    yield text("prompt holds an empty list", "prompt", prompt=[[]])
    yield text("prompt holds an empty text", "prompt", prompt=["a", ""])
    yield text("prompt mixes texts and ids", "prompt", prompt=["a", 1])
    yield text("prompt mixes ids and lists", "prompt", prompt=[1, [2]])
    yield text("prompt holds null", "prompt[0]", prompt=[None])
    yield text("prompt holds true", "prompt[0]", prompt=[True])
    yield text("prompt holds a fraction", "prompt[0]", prompt=[1.5])
    yield text("prompt nests too deep", "prompt[0][0]", prompt=[[[1]]])
    yield text("prompt nests text", "prompt[0][0]", prompt=[["a"]])
    yield text("too many prompts", "prompt", prompt=["a"] * 65)
    long = "context_length_exceeded"
    yield text("prompt longer than the context", "prompt", long, prompt="xyz" * CONTEXT)
    yield text("prompt of ids too long", "prompt", long, prompt=[1] * (CONTEXT + 1))
    yield text("prompt fills the context", "prompt", long, prompt=[1] * CONTEXT)
    yield text("max_tokens over the context", "max_tokens", long, max_tokens=CONTEXT)
    yield text("max_tokens is 2^31-1", "max_tokens", long, max_tokens=2**31 - 1)
    yield chat("max_tokens over the context", "max_tokens", long, max_tokens=CONTEXT)
    huge = [{"role": "user", "content": "xyz" * CONTEXT}]
    yield chat("message longer than the context", "messages", long, messages=huge)


def _unsupported() -> Iterator[BadRequest]:
    """Asked for and not to be had: never a 200 without it (S26)."""
    asks: dict[str, Any] = {
        "functions": [{"name": "f"}],
        "function_call": {"name": "f"},
        "modalities": ["text", "audio"],
        "audio": {"voice": "x", "format": "wav"},
        "prediction": {"type": "content", "content": "x"},
        "verbosity": "low",
        "web_search_options": {},
        "chat_template": "{{ 1 }}",
        "guided_json": {"type": "array", "uniqueItems": True},
        "guided_regex": "(",
        "guided_choice": [],
        "guided_grammar": "root ::= 'a'",
        "grammar": 'a ::= "a"',
        "json_schema": {"x-guidance": {}},
    }
    for name, value in asks.items():
        yield chat(f"asks for {name}", name, UNSUPPORTED, **{name: value})
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {}}}}
    place = "response_format.json_schema.schema"
    yield chat("asks for a schema", place, UNSUPPORTED, response_format=schema)
    place = "structured_outputs.regex"
    yield chat("asks for a regex", place, UNSUPPORTED, structured_outputs={"regex": "[z-a]"})
    for kind, value in {"none": {}, "two": {"regex": "a", "choice": ["a"]}}.items():
        yield chat(f"asks for {kind} of the outputs", "structured_outputs",
                   structured_outputs=value)  # fmt: skip
    yield chat("asks for two answers", "guided_regex", guided_json={}, guided_regex="a")
    yield chat("asks for another format", "response_format.type", response_format={"type": "xml"})
    yield chat("asks for a schema that is none", "guided_json", guided_json=[1])
    yield text("asks for suffix", "suffix", UNSUPPORTED, suffix="end")
    yield text("asks for best_of 2", "best_of", UNSUPPORTED, best_of=2)
    yield text("asks for best_of 2^63", "best_of", UNSUPPORTED, best_of=2**63)
    yield text("asks for guided_json", "guided_json", UNSUPPORTED, guided_json={"not": {}})
    yield chat(
        "sets a template variable", "chat_template_kwargs", chat_template_kwargs={"messages": []}
    )


def _strangers() -> Iterator[BadRequest]:
    for name in (
        "max_tokenz", "temprature", "stopp", "Model", "", "__class__", "constructor", "a.b",
        "prompt", "éè", "x" * 64,
    ):  # fmt: skip
        yield chat(f"unknown field '{name[:12]}'", name, **{name: 1})
    yield text("unknown field messages", "messages", messages=[])


def _bodies() -> Iterator[BadRequest]:
    """Not JSON, or not an object."""
    yield raw("empty", b"")
    yield raw("null", b"null")
    yield raw("list", b"[]")
    yield raw("text", b'"hi"')
    yield raw("number", b"1")
    yield raw("cut short", b'{"model": "tiny", "messages": [')
    yield raw("two values", json.dumps(GOOD_CHAT).encode() + b" {}")
    yield raw("trailing comma", b'{"model": "tiny",}')
    yield raw("single quotes", b"{'model': 'tiny'}")
    yield raw("NaN", b'{"model":"tiny","temperature":NaN,"messages":[]}')
    yield raw("Infinity", b'{"model":"tiny","temperature":Infinity,"messages":[]}')
    yield raw("out of range", b'{"model":"tiny","temperature":1e999,"messages":[]}', "temperature")
    yield raw("comment", b'{/* */"model":"tiny"}')
    yield raw("latin-1", '{"model":"é"}'.encode("latin-1"))
    yield raw("UTF-16", '{"model":"tiny"}'.encode("utf-16"))
    yield raw("byte order mark", b"\xef\xbb\xbf" + json.dumps(GOOD_CHAT).encode())
    yield raw("lone surrogate", b'{"model":"\\ud800","messages":[]}')
    yield raw("overlong UTF-8", b'{"model":"\xc0\x80"}')
    yield raw("control character", b'{"model":"a\x01b"}')
    yield raw("deep lists", b'{"model":' + b"[" * 5000 + b"]" * 5000 + b"}")
    yield raw("deep objects", b'{"metadata":' + b'{"a":' * 400 + b"1" + b"}" * 401)
    yield raw("just too deep", b'{"metadata":' + b"[" * 32 + b"]" * 32 + b"}")
    yield raw("only brackets", b"[" * 100_000)
    yield raw("NUL bytes", b"\0" * 64)
    yield raw("form", b"model=tiny")


def _transport() -> Iterator[BadRequest]:
    good = json.dumps(GOOD_CHAT).encode()
    media = {"code": "unsupported_media_type", "status": 415}
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"):
        yield BadRequest(f"content type {kind}", good, headers={"content-type": kind}, **media)
    yield BadRequest("compressed body", good, headers={"content-encoding": "gzip"}, **media)
    large = b'{"model":"' + b"x" * (2 * 1024 * 1024) + b'"}'
    yield BadRequest("large body", large, "payload_too_large", None, 413)
    for kind in ("abc", "-1", "0", "1e3", "inf", "nan", "", "1;2", "9" * 20):
        yield BadRequest(
            f"timeout header '{kind[:5]}'", good, param="x-request-timeout",
            headers={"x-request-timeout": kind},
        )  # fmt: skip


def _routes() -> Iterator[BadRequest]:
    for path in (
        "//", "/v1", "/v1/chat", "/v1/chat/completions/", "/v2/chat/completions", "//v1/models",
        "/v1/models/../../etc/passwd", "/V1/models", "/.env", "/admin", "/v1/embedding",
        "/%2e%2e/%2e%2e/etc/passwd", "/metrics/../health",
    ):  # fmt: skip
        code = "model_not_found" if path.startswith("/v1/models/") else "route_not_found"
        method = "GET" if path.startswith("/v1/models/") else "POST"
        param = "model" if path.startswith("/v1/models/") else None
        yield BadRequest(f"path {path}", b"{}", code, param, 404, path, method)
    for method, path in (
        ("GET", CHAT), ("PUT", CHAT), ("DELETE", CHAT), ("PATCH", TEXT), ("OPTIONS", CHAT),
        ("POST", "/v1/models"), ("DELETE", f"/v1/models/{MODEL}"), ("POST", "/health"),
        ("POST", "/metrics"), ("GET", "/tokenize"), ("TRACE", "/health"),
    ):  # fmt: skip
        yield BadRequest(f"{method} {path}", b"", "method_not_allowed", None, 405, path, method)
    for path in ("/v1/models/other", "/v1/models/a/b/c", "/v1/models/%2e%2e%2f"):
        yield BadRequest(f"GET {path}", b"", "model_not_found", "model", 404, path, "GET")
    for path in ("/v1/chat/completions%00", "/v1/models/%00", "/v1/models/%0d%0a", "/health%zz"):
        yield BadRequest(f"path {path}", b"", path=path, method="GET")


def _tokenizing() -> Iterator[BadRequest]:
    def one(name: str, param: str | None, path: str, body: dict[str, Any]) -> BadRequest:
        return BadRequest(f"{path} {name}", json.dumps(body).encode(), param=param, path=path)

    yield one("nothing", "prompt", "/tokenize", {})
    yield one("both", "prompt", "/tokenize", {"prompt": "a", "messages": []})
    yield one("number", "prompt", "/tokenize", {"prompt": 5})
    yield one("no messages", "messages", "/tokenize", {"messages": []})
    yield one("stranger", "text", "/tokenize", {"text": "a"})
    yield one("missing", "tokens", "/detokenize", {})
    yield one("text", "tokens", "/detokenize", {"tokens": "a"})
    yield one("text inside", "tokens[0]", "/detokenize", {"tokens": ["a"]})
    yield one("negative", "tokens", "/detokenize", {"tokens": [-1]})
    yield one("outside", "tokens", "/detokenize", {"tokens": [vocab_size()]})
    yield one("2^63", "tokens", "/detokenize", {"tokens": [2**63]})


BAD_REQUESTS: tuple[BadRequest, ...] = tuple(
    row
    for rows in (
        _whole_numbers, _numbers, _switches, _token_ids, _stops, _models, _messages, _prompts,
        _unsupported, _strangers, _bodies, _transport, _routes, _tokenizing,
    )
    for row in rows()
)  # fmt: skip
