"""Bad requests to the surfaces that are not OpenAI's: each refused by name, in its own form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.security.bad_requests import GONE
from tests.security.surface_rows import SurfaceRequest, row
from tests.support.surfaces import BY_NAME

NOT_WHOLE = {"text": "5", "fraction": 1.5, "true": True, "list": [1], "10^40": 10**40}


def _messages() -> Iterator[SurfaceRequest]:
    s = "messages"
    for name in ("model", "messages", "max_tokens"):
        yield row(s, f"without {name}", **{name: GONE})
    for kind, value in NOT_WHOLE.items():
        yield row(s, f"max_tokens is {kind}", max_tokens=value)
    yield row(s, "max_tokens is 0", max_tokens=0)
    yield row(s, "too warm", temperature=1.1)
    yield row(s, "top_p is 0", top_p=0)
    tool = {"name": "f", "input_schema": {}}
    yield row(s, "a strict tool", "'tools[0].strict'", tools=[{**tool, "strict": True}])
    odd = {**tool, "input_schema": {"properties": {"a": {"uniqueItems": True}}}, "strict": True}
    forced = {"tools": [odd], "tool_choice": {"type": "any"}}
    yield row(s, "a call that cannot be enforced", "'tools'", **forced)
    yield row(s, "a call of no tool", "'tool_choice'", tool_choice={"type": "any"})
    yield row(s, "thinking by a model that does not", thinking={"type": "enabled"})
    for place, value in {
        "format.type": {"type": "xml"},
        "format.schema": {"type": "json_schema"},
    }.items():
        yield row(
            s, f"a wrong {place}", f"'output_config.{place}'", output_config={"format": value}
        )
    yield row(s, "a container", container="c")
    yield row(s, "servers to call", mcp_servers=[{"url": "http://10.0.0.1"}])
    yield row(s, "a place", inference_geo="eu")
    yield row(s, "no messages", messages=[])
    yield row(
        s, "too many messages", "messages", messages=[{"role": "user", "content": "a"}] * 2000
    )
    yield row(
        s, "an unknown role", "'messages[0].role'", messages=[{"role": "tool", "content": "a"}]
    )
    yield row(s, "a message without content", "content", messages=[{"role": "user"}])
    yield row(s, "a stop that is empty", "'stop_sequences'", stop_sequences=[""])
    yield row(s, "too many stops", "'stop_sequences'", stop_sequences=["a"] * 100)
    yield row(s, "an unknown field", max_token=5)
    yield row(s, "a picture as system", "'system[0]'", system=[{"type": "image"}])
    for kind in ("image", "document", "tool_use", "thinking", "search_result"):
        message = {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": kind}]}
        yield row(s, f"a block of {kind}", "'messages[0].content[1]'", messages=[message])
    block = {"type": "text", "text": "a", "source": {"type": "url", "url": "http://10.0.0.1"}}
    yield row(
        s, "a source in a text", "'messages[0].content[0].source'",
        messages=[{"role": "user", "content": [block]}],
    )  # fmt: skip
    yield row(s, "too long", "context", messages=[{"role": "user", "content": "a" * 3000}])
    yield row(s, "an unknown model", "'nobody'", status=404, model="nobody")
    good = row(s, "good", "")
    yield SurfaceRequest(
        "messages an unknown version", good.surface, good.body, "'anthropic-version'",
        headers={"anthropic-version": "1999-01-01"},
    )  # fmt: skip


def _responses() -> Iterator[SurfaceRequest]:
    s = "responses"
    yield row(s, "without input", input=GONE)
    for kind, value in NOT_WHOLE.items():
        yield row(s, f"max_output_tokens is {kind}", max_output_tokens=value)
    yield row(s, "an answer to go on from", previous_response_id="resp_1")
    yield row(s, "a conversation", conversation="conv_1")
    yield row(s, "a stored prompt", prompt={"id": "p"})
    yield row(s, "storing", store=True)
    yield row(s, "work in the background", background=True)
    tool = {"type": "function", "name": "f", "parameters": {}}
    yield row(s, "a strict tool", "'tools[0].strict'", tools=[{**tool, "strict": True}])
    odd = {**tool, "parameters": {"properties": {"a": {"uniqueItems": True}}}, "strict": True}
    forced = {"tools": [odd], "tool_choice": "required"}
    yield row(s, "a call that cannot be enforced", "'tools'", **forced)
    yield row(s, "a call of no tool", "'tool_choice'", tool_choice="required")
    yield row(s, "an unknown format", "'text.format.type'", text={"format": {"type": "xml"}})
    yield row(s, "few words", "'text.verbosity'", text={"verbosity": "low"})
    yield row(s, "cutting what is too long", truncation="auto")
    yield row(s, "moderation", moderation={"model": "m"})
    yield row(s, "sources", "'include[0]'", include=["web_search_call.action.sources"])
    yield row(s, "alternatives that nothing shows", top_logprobs=2)
    yield row(
        s, "too many alternatives", "'top_logprobs'",
        include=["message.output_text.logprobs"], top_logprobs=21,
    )  # fmt: skip
    yield row(s, "a summary of thoughts", "'reasoning.summary'", reasoning={"summary": "detailed"})
    yield row(s, "no input", input=[])
    yield row(s, "an unknown field", max_tokens=5)
    yield row(s, "too warm", temperature=2.1)
    yield row(s, "options of no stream", stream_options={"include_obfuscation": False})
    items = [{"role": "user", "content": "a"}, {"type": "item_reference", "id": "i"}]
    yield row(s, "an item of before", "'input[1]'", input=items)
    for kind in ("input_image", "input_file", "input_audio", "refusal"):
        part = {"type": kind, "image_url": "http://10.0.0.1", "refusal": "no"}
        items = [{"role": "user", "content": [part]}]
        yield row(s, f"a part of {kind}", "'input[0].content[0]'", input=items)
    yield row(s, "a message of nobody", "'input[0].role'", input=[{"content": "a"}])
    yield row(s, "a message of nothing", "'input[0].content'", input=[{"role": "user"}])
    yield row(s, "too many items", input=[{"role": "user", "content": "a"}] * 2000)
    yield row(s, "too long", "context", input="a" * 3000)
    yield row(s, "an unknown model", "'nobody'", status=404, model="nobody")


def _options(surface: str, name: str, **changes: Any) -> SurfaceRequest:
    """Changes to the options of a request to Ollama's surfaces."""
    case = BY_NAME[surface]
    options = {**case.ask(5, 1, False)["options"], **changes}
    return row(surface, name, f"'options.{next(iter(changes))}'", options=options)


def _ollama(s: str) -> Iterator[SurfaceRequest]:
    for kind, value in NOT_WHOLE.items():
        yield _options(s, f"num_predict is {kind}", num_predict=value)
    yield _options(s, "num_predict is 0", num_predict=0)
    yield _options(s, "num_predict is -3", num_predict=-3)
    yield _options(s, "too warm", temperature=2.1)
    yield _options(s, "top_p is 0", top_p=0)
    yield _options(s, "mirostat", mirostat=1)
    yield _options(s, "typical_p", typical_p=0.5)
    yield _options(s, "tfs_z", tfs_z=0.5)
    yield _options(s, "a window of repetitions", repeat_last_n=64, repeat_penalty=1.1)
    yield _options(s, "an unknown option", num_predicted=3)
    yield _options(s, "an empty stop", stop=[""])
    yield _options(s, "too many stops", stop=["a"] * 100)
    yield row(s, "options that are a list", options=[])
    for kind in (True, "high"):
        yield row(s, f"a model that does not is to think: {kind}", think=kind)
    yield row(s, "alternatives that nothing shows", top_logprobs=2, logprobs=False)
    yield row(s, "stream is text", stream="true")
    yield row(s, "an unknown field", max_tokens=5)
    yield row(s, "an unknown model", "'nobody'", status=404, model="nobody")


def _ollama_chat() -> Iterator[SurfaceRequest]:
    s = "ollama chat"
    yield from _ollama(s)
    yield row(s, "without messages", messages=GONE)
    yield row(s, "no messages", messages=[])
    yield row(s, "too many messages", messages=[{"role": "user", "content": "a"}] * 2000)
    strict = {"name": "f", "strict": True}
    yield row(s, "a strict tool", "'tools[0].function.strict'",
              tools=[{"type": "function", "function": strict}])  # fmt: skip
    for name, value in {
        "images": ["aGk="], "tool_calls": [{"function": {"name": "f", "arguments": {}}}],
        "tool_name": "f", "thinking": "hm", "role": "robot", "content": None,
    }.items():  # fmt: skip
        message = {"role": "user", "content": "a", name: value}
        yield row(s, f"a message with {name}", f"'messages[0].{name}'", messages=[message])
    yield row(s, "too long", "context", messages=[{"role": "user", "content": "a" * 3000}])


def _ollama_generate() -> Iterator[SurfaceRequest]:
    s = "ollama generate"
    yield from _ollama(s)
    yield row(s, "without prompt", prompt=GONE)
    yield row(s, "an empty prompt", prompt="")
    yield row(s, "a suffix", suffix="b")
    yield row(s, "a template of its own", template="{{ .Prompt }}")
    yield row(s, "tokens of before", context=[1, 2])
    yield row(s, "pictures", images=["aGk="])
    yield row(s, "a picture to make", width=64)
    yield row(s, "system and raw", raw=True, system="a", named="'system'")
    yield row(s, "too long", "context", prompt="a" * 3000)


def _parameters(surface: str, name: str, **changes: Any) -> SurfaceRequest:
    """Changes to the parameters of a request to TGI's surfaces."""
    case = BY_NAME[surface]
    parameters = {**case.ask(5, 1, False)["parameters"], **changes}
    named = f"'parameters.{next(iter(changes))}'"
    return row(surface, name, named, parameters=parameters)


def _generate(s: str) -> Iterator[SurfaceRequest]:
    yield row(s, "without inputs", inputs=GONE)
    yield row(s, "inputs that are a list", inputs=["a"])
    yield row(s, "empty inputs", inputs="")
    for kind, value in NOT_WHOLE.items():
        yield _parameters(s, f"max_new_tokens is {kind}", max_new_tokens=value)
    yield _parameters(s, "max_new_tokens is 0", max_new_tokens=0)
    yield _parameters(s, "temperature is 0", temperature=0)
    yield _parameters(s, "too warm", temperature=2.1)
    yield _parameters(s, "a negative seed", seed=-1)
    yield _parameters(s, "a seed of 65 bits", seed=2**64)
    yield _parameters(s, "several to choose from", best_of=2)
    yield _parameters(s, "typical_p", typical_p=0.5)
    yield _parameters(s, "cutting the prompt", truncate=5)
    yield _parameters(s, "a watermark", watermark=True)
    yield _parameters(s, "an adapter", adapter_id="a")
    yield _parameters(s, "too many alternatives", top_n_tokens=21)
    unknown = {"grammar": {"type": "ebnf", "value": "a"}}
    empty = {"grammar": {"type": "json", "value": None}}
    yield row(s, "a grammar of nothing", "'parameters.grammar.value'", parameters=empty)
    yield row(s, "an unknown grammar", "'parameters.grammar.type'", parameters=unknown)
    yield _parameters(s, "an empty stop", stop=[""])
    yield _parameters(s, "too many stops", stop=["a"] * 100)
    yield _parameters(s, "an unknown parameter", max_length=5)
    yield row(s, "parameters that are a list", parameters=[])
    yield row(s, "an unknown field", max_tokens=5)
    yield row(s, "stream is text", stream="true")
    yield row(s, "too long", "context", inputs="a" * 3000)
    yield row(s, "an unknown model", "'nobody'", status=404, model="nobody")


def _generate_stream() -> Iterator[SurfaceRequest]:
    streamed = {"decoder_input_details": True}
    yield row(
        "generate_stream", "a scored prompt in a stream", "'parameters.decoder_input_details'",
        stream=True, parameters=streamed,
    )  # fmt: skip


def _completion() -> Iterator[SurfaceRequest]:
    s = "completion"
    yield row(s, "without prompt", prompt=GONE)
    yield row(s, "an empty prompt", prompt="")
    yield row(s, "a prompt of nothing", prompt=[])
    yield row(s, "a mixed prompt", prompt=[1, "a"])
    yield row(s, "a token out of range", prompt=[10**6])
    for kind, value in NOT_WHOLE.items():
        yield row(s, f"n_predict is {kind}", n_predict=value)
    yield row(s, "n_predict is 0", n_predict=0)
    yield row(s, "too warm", temperature=2.1)
    yield row(s, "a penalty too large", repeat_penalty=11)
    yield row(s, "a window of penalties", "'repeat_last_n'", repeat_penalty=1.1, repeat_last_n=64)
    yield row(s, "too many probabilities", n_probs=21)
    yield row(s, "a bias that is true", logit_bias=[[1, True]])
    yield row(s, "a bias for a text", "logit_bias", logit_bias=[["a", 1]])
    yield row(s, "a bias out of range", logit_bias=[[10**6, 1]])
    yield row(s, "too many stops", stop=["a"] * 100)
    yield row(s, "an empty stop", stop=[""])
    harmful: dict[str, Any] = {
        "mirostat": 2, "dynatemp_range": 0.5, "xtc_probability": 0.5, "dry_multiplier": 0.8,
        "typical_p": 0.5, "typ_p": 0.5, "top_n_sigma": 1, "min_keep": 3, "samplers": ["top_k"],
        "n_indent": 4, "n_cmpl": 2, "t_max_predict_ms": 100, "image_data": [{"data": "aGk="}],
        "lora": [{"id": 0, "scale": 1}], "response_fields": ["content"],
        "post_sampling_probs": True, "timings_per_token": True, "return_progress": True,
    }  # fmt: skip
    for name, value in harmful.items():
        yield row(s, f"asks for {name}", **{name: value})
    yield row(s, "an unknown field", max_tokens=5)
    yield row(s, "too long", "context", prompt="a" * 3000)
    yield row(s, "an unknown model", "'nobody'", status=404, model="nobody")


SURFACE_REQUESTS = [
    *_messages(), *_responses(), *_ollama_chat(), *_ollama_generate(), *_generate("generate"),
    *_generate_stream(), *_generate("generate at the root"),
    *_completion(),
]  # fmt: skip
