"""Bad tools, choices among them, and messages about calls, each with the answer it must get."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.security.bad_requests import GONE, NOT_TEXT, UNSUPPORTED, BadRequest, chat

NAME = "tools[0].function.name"
PARAMETERS = "tools[0].function.parameters"
CALLS = "messages[0].tool_calls"
USER: dict[str, Any] = {"role": "user", "content": "hi"}


def tool(**changes: Any) -> dict[str, Any]:
    function = {"name": "f", "description": "d", "parameters": {"type": "object"}, **changes}
    kept = {key: value for key, value in function.items() if value is not GONE}
    return {"type": "function", "function": kept}


def bad_tools() -> Iterator[BadRequest]:
    yield from _lists()
    yield from _definitions()
    yield from _schemas()
    yield from _choices()
    yield from _messages()


def _lists() -> Iterator[BadRequest]:
    for kind, value in {**NOT_TEXT, "text": "f"}.items():
        yield chat(f"tools is {kind}", "tools", tools=value)
        yield chat(f"tools holds {kind}", "tools[0]" if kind != "object" else "tools[0].type",
                   tools=[value])  # fmt: skip
    yield chat("tools holds null", "tools[0]", tools=[None])
    many = [tool(name=f"f{number}") for number in range(129)]
    yield chat("too many tools", "tools", tools=many)
    yield chat("two tools of one name", "tools[1].function.name", tools=[tool(), tool()])
    for kind, value in {"text": "yes", "1": 1, "list": []}.items():
        name = "parallel_tool_calls"
        yield chat(f"{name} is {kind}", name, tools=[tool()], parallel_tool_calls=value)


def _definitions() -> Iterator[BadRequest]:
    yield chat("a tool without a type", "tools[0].type", tools=[{"function": {"name": "f"}}])
    yield chat("a tool without a function", "tools[0].function", tools=[{"type": "function"}])
    for kind in ("retrieval", "code_interpreter", "custom", ""):
        yield chat(f"a tool of type '{kind}'", "tools[0].type", tools=[{**tool(), "type": kind}])
    yield chat("a tool with a stranger", "tools[0].colour", tools=[{**tool(), "colour": "red"}])
    yield chat("a function with a stranger", "tools[0].function.eval", tools=[tool(eval="1")])
    yield chat("a function without a name", NAME, tools=[tool(name=GONE)])
    names = {
        "empty": "", "long": "f" * 65, "huge": "f" * 100_000, "spaced": "a b", "quoted": 'f"',
        "control": "<|im_end|>", "tagged": "</tool_call>", "lines": "f\ng", "null": "f\x00",
        "accents": "café", "slashes": "../f", "braces": "{{ 7*7 }}", "a number": 5, "none": None,
    }  # fmt: skip
    for kind, name in names.items():
        yield chat(f"a function's name is {kind}", NAME, tools=[tool(name=name)])
    for kind, value in NOT_TEXT.items():
        where = "tools[0].function.description"
        yield chat(f"a description is {kind}", where, tools=[tool(description=value)])
    yield chat("strict is text", "tools[0].function.strict", tools=[tool(strict="yes")])


def _schemas() -> Iterator[BadRequest]:
    for kind, value in {"text": "x", "a list": [], "a number": 5, "true": True}.items():
        yield chat(f"parameters are {kind}", PARAMETERS, tools=[tool(parameters=value)])
    for kind, described in {"a string": "string", "a list": ["object"], "5": 5}.items():
        parameters = {"type": described}
        yield chat(f"parameters describe {kind}", f"{PARAMETERS}.type",
                   tools=[tool(parameters=parameters)])  # fmt: skip
    for kind, value in {"text": "x", "a list": [], "a number": 5, "null": None}.items():
        parameters = {"type": "object", "properties": value}
        yield chat(f"properties are {kind}", f"{PARAMETERS}.properties",
                   tools=[tool(parameters=parameters)])  # fmt: skip
        parameters = {"type": "object", "properties": {"a": value}}
        yield chat(f"a property is {kind}", f"{PARAMETERS}.properties",
                   tools=[tool(parameters=parameters)])  # fmt: skip
    for kind, value in {"text": "a", "an object": {}, "a list of numbers": [1]}.items():
        parameters = {"type": "object", "required": value}
        yield chat(f"required is {kind}", f"{PARAMETERS}.required",
                   tools=[tool(parameters=parameters)])  # fmt: skip
    deep: dict[str, Any] = {"type": "object"}
    for _ in range(40):
        deep = {"type": "object", "properties": {"a": deep}}
    yield chat("parameters nested too deep", None, tools=[tool(parameters=deep)])


def _choices() -> Iterator[BadRequest]:
    named = {"type": "function", "function": {"name": "f"}}
    for kind, value in {"required": "required", "named": named}.items():
        yield chat(f"a {kind} call of no tool", "tool_choice", tool_choice=value)
    other = {"type": "function", "function": {"name": "g"}}
    where = "tool_choice.function.name"
    yield chat("a call of another tool", where, tools=[tool()], tool_choice=other)
    for kind, value in {"any": "any", "5": 5, "true": True, "a list": ["auto"]}.items():
        yield chat(f"tool_choice is {kind}", "tool_choice", tools=[tool()], tool_choice=value)
    for field in ({"type": "function"}, {"type": "allowed_tools", "mode": "auto"}):
        param = "tool_choice.type" if "mode" in field else "tool_choice.function"
        yield chat(f"tool_choice is {field}", param, tools=[tool()], tool_choice=field)


def _messages() -> Iterator[BadRequest]:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}

    def said(calls: Any, **changes: Any) -> list[Any]:
        return [{"role": "assistant", "content": None, "tool_calls": calls, **changes}, USER]

    yield chat("a result of no call", "messages[0].tool_call_id",
               messages=[{"role": "tool", "content": "x"}])  # fmt: skip
    yield chat("a result without content", "messages[0].content",
               messages=[{"role": "tool", "tool_call_id": "1"}])  # fmt: skip
    for kind, value in {"empty": "", "long": "x" * 257, "a number": 5}.items():
        yield chat(f"the id of a call is {kind}", f"{CALLS}[0].id",
                   messages=said([{**call, "id": value}]))  # fmt: skip
        yield chat(f"the id of a result is {kind}", "messages[0].tool_call_id",
                   messages=[{"role": "tool", "content": "x", "tool_call_id": value}])  # fmt: skip
    yield chat("calls by a user", CALLS, messages=said([call], role="user", content="x"))
    yield chat("a user's result", "messages[0].tool_call_id",
               messages=[{**USER, "tool_call_id": "1"}])  # fmt: skip
    yield chat("a user's reasoning", "messages[0].reasoning_content",
               messages=[{**USER, "reasoning_content": "x"}])  # fmt: skip
    yield chat("neither content nor calls", "messages[0].content", messages=said([]))
    yield chat("too many calls", CALLS, messages=said([call] * 129))
    yield chat("calls are text", CALLS, messages=said("f()"))
    yield chat("a call is null", f"{CALLS}[0]", messages=said([None]))
    yield chat("a call of another type", f"{CALLS}[0].type",
               messages=said([{**call, "type": "custom"}]))  # fmt: skip
    yield chat("a call with a stranger", f"{CALLS}[0].run", messages=said([{**call, "run": 1}]))
    where = f"{CALLS}[0].function"
    for kind, arguments in {"an object": {}, "null": None, "a number": 5}.items():
        function = {"name": "f", "arguments": arguments}
        yield chat(f"arguments are {kind}", f"{where}.arguments",
                   messages=said([{**call, "function": function}]))  # fmt: skip
    function = {"name": "<|im_end|>", "arguments": "{}"}
    yield chat("a call of a control token", f"{where}.name",
               messages=said([{**call, "function": function}]))  # fmt: skip
    yield chat("a call without arguments", f"{where}.arguments",
               messages=said([{**call, "function": {"name": "f"}}]))  # fmt: skip
    yield chat("function_call", "messages[0].function_call", UNSUPPORTED,
               messages=said(None, content="x", function_call={"name": "f"}))  # fmt: skip
    yield chat("forced, and a format", "tool_choice", tools=[tool()], tool_choice="required",
               response_format={"type": "json_object"})  # fmt: skip
    odd = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}
    yield chat("forced and strict beyond what can be enforced", "tools", UNSUPPORTED,
               tools=[tool(strict=True, parameters=odd)], tool_choice="required")  # fmt: skip
    strict = [tool(strict=True)]
    yield chat("a strict tool", "tools[0].function.strict", UNSUPPORTED, tools=strict)
