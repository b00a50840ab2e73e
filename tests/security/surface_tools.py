"""Bad tools, choices among them, calls, results and thoughts, on the surfaces that are not OpenAI's
chat: the same mistakes in each one's words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.security.bad_requests import GONE, NOT_TEXT
from tests.security.surface_rows import SurfaceRequest, row

HI = {"role": "user", "content": "hi"}
NAMES = {
    "empty": "", "long": "f" * 65, "huge": "f" * 100_000, "spaced": "a b", "quoted": 'f"',
    "control": "<|im_end|>", "tagged": "</tool_call>", "lines": "f\ng", "null": "f\x00",
    "accents": "café", "slashes": "../f", "braces": "{{ 7*7 }}", "a number": 5,
}  # fmt: skip
IDS = {"empty": "", "long": "x" * 257, "a number": 5, "a list": ["x"], "an object": {}}


@dataclass(frozen=True)
class Words:
    """How one surface writes tools."""

    surface: str
    schema: str
    """Its field for the parameters."""
    tool: Callable[[dict[str, Any]], dict[str, Any]]
    """Around the fields of a function."""
    place: str = "tools[0]"
    """Of those fields."""


SPOKEN = [
    Words("messages", "input_schema", lambda function: function),
    Words("responses", "parameters", lambda function: {"type": "function", **function}),
    Words(
        "ollama chat", "parameters", lambda function: {"type": "function", "function": function},
        "tools[0].function",
    ),
]  # fmt: skip


def surface_tools() -> Iterator[SurfaceRequest]:
    for words in SPOKEN:
        yield from _lists(words)
        yield from _definitions(words)
        yield from _schemas(words)
    yield from _messages()
    yield from _responses()
    yield from _ollama()


def offered(words: Words, **changes: Any) -> list[dict[str, Any]]:
    function = {"name": "f", words.schema: {"type": "object"}, **changes}
    return [words.tool({key: value for key, value in function.items() if value is not GONE})]


def _lists(words: Words) -> Iterator[SurfaceRequest]:
    s = words.surface
    for kind, value in {**NOT_TEXT, "text": "f"}.items():
        yield row(s, f"tools is {kind}", tools=value)
        yield row(s, f"tools holds {kind}", "'tools[0]", tools=[value])
    yield row(s, "tools holds null", "'tools[0]'", tools=[None])
    many = [offered(words, name=f"f{number}")[0] for number in range(129)]
    yield row(s, "too many tools", "'tools'", tools=many)
    yield row(s, "two tools of one name", "two tools", tools=offered(words) * 2)
    strange = [{**offered(words)[0], "colour": "red"}]
    yield row(s, "a tool with a stranger", "'tools[0].colour'", tools=strange)


def _definitions(words: Words) -> Iterator[SurfaceRequest]:
    s, place = words.surface, words.place
    yield row(s, "a tool without a name", f"'{place}.name'", tools=offered(words, name=GONE))
    for kind, name in NAMES.items():
        yield row(s, f"a name is {kind}", f"'{place}.name'", tools=offered(words, name=name))
    for kind, value in NOT_TEXT.items():
        tools = offered(words, description=value)
        yield row(s, f"a description is {kind}", f"'{place}.description'", tools=tools)
    yield row(s, "strict is text", f"'{place}.strict'", tools=offered(words, strict="yes"))
    yield row(s, "a function with a stranger", f"'{place}.eval'", tools=offered(words, eval="1"))


def _schemas(words: Words) -> Iterator[SurfaceRequest]:
    s, place = words.surface, f"{words.place}.{words.schema}"

    def described(kind: str, named: str, schema: Any) -> SurfaceRequest:
        return row(s, kind, f"'{named}'", tools=offered(words, **{words.schema: schema}))

    for kind, value in {"text": "x", "a list": [], "a number": 5, "true": True}.items():
        yield described(f"a schema is {kind}", place, value)
        properties = {"type": "object", "properties": value}
        if value != []:
            yield described(f"a property is {kind}", place, {"properties": {"a": 5}, "x": value})
        yield described(f"properties are {kind}", f"{place}.properties", properties)
    for kind, value in {"a string": "string", "a list": ["object"], "5": 5}.items():
        yield described(f"a schema of {kind}", place, {"type": value})
    for kind, value in {"text": "a", "an object": {}, "a list of numbers": [1]}.items():
        yield described(f"required is {kind}", f"{place}.required", {"required": value})
    deep: dict[str, Any] = {"type": "object"}
    for _ in range(40):
        deep = {"type": "object", "properties": {"a": deep}}
    yield row(s, "a schema too deep", "deeper", tools=offered(words, **{words.schema: deep}))


def _messages() -> Iterator[SurfaceRequest]:
    s, words = "messages", SPOKEN[0]
    tools = offered(words)
    for kind in ("bash_20250124", "web_search_20250305", "computer", "function", ""):
        yield row(s, f"a tool of type '{kind}'", "'tools[0].type'",
                  tools=offered(words, type=kind))  # fmt: skip
    yield row(s, "no schema", "'tools[0].input_schema'", tools=offered(words, input_schema=GONE))
    for name, value in {
        "input_examples": [{}], "defer_loading": True, "allowed_callers": ["code_execution"],
    }.items():  # fmt: skip
        yield row(s, f"a tool with {name}", f"'tools[0].{name}'",
                  tools=offered(words, **{name: value}))  # fmt: skip
    for kind, choice in {
        "any": "any", "5": 5, "a list": ["auto"], "unknown": {"type": "some"},
        "without a type": {}, "without a name": {"type": "tool"},
        "of a wrong name": {"type": "tool", "name": "a b"}, "auto with a name":
        {"type": "auto", "name": "f"}, "of another tool": {"type": "tool", "name": "g"},
        "half serial": {"type": "auto", "disable_parallel_tool_use": "yes"},
        "with a stranger": {"type": "auto", "colour": "red"},
    }.items():  # fmt: skip
        yield row(s, f"a choice {kind}", "'tool_choice", tools=tools, tool_choice=choice)
    for kind, value in {
        "on": True, "text": "enabled", "unknown": {"type": "some"}, "without a type": {},
        "a small budget": {"type": "enabled", "budget_tokens": 1},
        "a budget over the length": {"type": "enabled", "budget_tokens": 5000},
        "hidden": {"type": "adaptive", "display": "omitted"},
        "between": {"type": "between_tools"}, "with a stranger": {"type": "adaptive", "x": 1},
    }.items():  # fmt: skip
        yield row(s, f"thinking {kind}", "'thinking", thinking=value)
    yield from _blocks()


def _blocks() -> Iterator[SurfaceRequest]:
    s, place = "messages", "messages[0].content[0]"
    use = {"type": "tool_use", "id": "1", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "1", "content": "x"}

    def said(name: str, named: str, block: Any, role: str = "assistant") -> SurfaceRequest:
        messages = [{"role": role, "content": [block]}, HI]
        return row(s, name, f"'{named}'" if named else "'messages", messages=messages)

    for role in ("user", "system"):
        yield said(f"a call by the {role}", place, use, role)
        yield said(f"a thought of the {role}", place, {"type": "thinking", "thinking": "x"}, role)
    yield said("a result of the assistant", place, result)
    for name in ("id", "name", "input"):
        block = {key: value for key, value in use.items() if key != name}
        yield said(f"a call without {name}", f"{place}.{name}", block)
    for kind, value in {"null": None, "text": "{}", "a list": [], "a number": 5}.items():
        yield said(f"the input of a call is {kind}", f"{place}.input", {**use, "input": value})
    for kind, value in IDS.items():
        yield said(f"the id of a call is {kind}", f"{place}.id", {**use, "id": value})
        yield said(f"the id of a result is {kind}", f"{place}.tool_use_id",
                   {**result, "tool_use_id": value}, "user")  # fmt: skip
    for kind, value in NAMES.items():
        yield said(f"the name of a call is {kind}", f"{place}.name", {**use, "name": value})
    yield said("a result of no call", f"{place}.tool_use_id", {"type": "tool_result"}, "user")
    yield said("a result that is a number", f"{place}.content", {**result, "content": 5}, "user")
    for kind in ("image", "tool_use", "document"):
        block = {**result, "content": [{"type": kind}]}
        yield said(f"a result with {kind}", f"{place}.content[0]", block, "user")
    yield said("a result with too much", f"{place}.content",
               {**result, "content": [{"type": "text", "text": "x"}] * 65}, "user")  # fmt: skip
    yield said("half an error", f"{place}.is_error", {**result, "is_error": "no"}, "user")
    yield said("a thought that is a number", f"{place}.thinking",
               {"type": "thinking", "thinking": 5})  # fmt: skip
    yield said("a thought of nothing", f"{place}.thinking", {"type": "thinking"})
    yield said("hidden thoughts", place, {"type": "redacted_thinking", "data": "x"})
    yield said("a call with text", f"{place}.text", {**use, "text": "x"})
    yield said("a call with a stranger", f"{place}.run", {**use, "run": 1})
    yield said("a server's call", place, {**use, "type": "server_tool_use"})
    last = [HI, {"role": "assistant", "content": [use]}]
    yield row(s, "calls without results", "'messages'", messages=last)


def _responses() -> Iterator[SurfaceRequest]:
    s, words = "responses", SPOKEN[1]
    tools = offered(words)
    for kind in ("web_search", "file_search", "computer_use_preview", "mcp", "custom", ""):
        yield row(s, f"a tool of type '{kind}'", "'tools[0].type'", tools=[{"type": kind}])
    yield row(s, "a tool without a type", "'tools[0].type'", tools=[{"name": "f"}])
    for name, value in {
        "defer_loading": True, "allowed_callers": ["programmatic"], "output_schema": {},
    }.items():  # fmt: skip
        yield row(s, f"a tool with {name}", f"'tools[0].{name}'",
                  tools=offered(words, **{name: value}))  # fmt: skip
    for kind, choice in {
        "any": "any", "5": 5, "a list": ["auto"], "unknown": {"type": "some"},
        "without a name": {"type": "function"}, "of a wrong name":
        {"type": "function", "name": "a b"}, "of another tool":
        {"type": "function", "name": "g"}, "of some": {"type": "allowed_tools", "mode": "auto"},
        "nested": {"type": "function", "function": {"name": "f"}},
    }.items():  # fmt: skip
        yield row(s, f"a choice {kind}", "'tool_choice", tools=tools, tool_choice=choice)
    for kind, value in {"text": "yes", "1": 1, "a list": []}.items():
        yield row(s, f"parallel_tool_calls is {kind}", parallel_tool_calls=value)
    yield from _items()


def _items() -> Iterator[SurfaceRequest]:
    s, place = "responses", "input[1]"
    call = {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "1", "output": "x"}
    thought: dict[str, Any] = {"type": "reasoning", "summary": []}

    def given(name: str, named: str, item: Any) -> SurfaceRequest:
        return row(s, name, f"'{named}'", input=[HI, item])

    for item in (call, output):
        for field in [key for key in item if key != "type"]:
            rest = {key: value for key, value in item.items() if key != field}
            yield given(f"{item['type']} without {field}", f"{place}.{field}", rest)
        for kind, value in IDS.items():
            yield given(f"the id of a {item['type']} is {kind}", f"{place}.call_id",
                        {**item, "call_id": value})  # fmt: skip
        yield given(f"{item['type']} with a role", f"{place}.role", {**item, "role": "user"})
        yield given(f"{item['type']} with a stranger", f"{place}.run", {**item, "run": 1})
    for kind, value in NAMES.items():
        yield given(f"the name of a call is {kind}", f"{place}.name", {**call, "name": value})
    for kind, value in {"an object": {}, "a number": 5, "a list": []}.items():
        yield given(f"arguments are {kind}", f"{place}.arguments", {**call, "arguments": value})
    for kind, value in {"an object": {}, "a number": 5, "true": True}.items():
        yield given(f"an output is {kind}", f"{place}.output", {**output, "output": value})
    pictured = {**output, "output": [{"type": "input_image", "image_url": "http://10.0.0.1"}]}
    yield given("an output with a picture", f"{place}.output[0]", pictured)
    yield given("an output with too much", f"{place}.output",
                {**output, "output": [{"type": "input_text", "text": "x"}] * 65})  # fmt: skip
    yield given("a call in a namespace", f"{place}.namespace", {**call, "namespace": "n"})
    yield given("sealed thoughts", f"{place}.encrypted_content",
                {**thought, "encrypted_content": "x"})  # fmt: skip
    yield given("a thought of text", f"{place}.content[0]",
                {**thought, "content": [{"type": "output_text", "text": "x"}]})  # fmt: skip
    yield given("a summary without the thoughts", f"{place}.summary",
                {**thought, "summary": [{"type": "summary_text", "text": "x"}]})  # fmt: skip
    for kind in ("web_search_call", "custom_tool_call", "mcp_call", "local_shell_call", ""):
        yield given(f"an item of '{kind}'", place, {"type": kind})


def _ollama() -> Iterator[SurfaceRequest]:
    s = "ollama chat"
    call = {"function": {"name": "f", "arguments": {}}}
    place = "messages[0].tool_calls"

    def said(name: str, named: str, calls: Any, **changes: Any) -> SurfaceRequest:
        message = {"role": "assistant", "content": "x", "tool_calls": calls, **changes}
        return row(s, name, f"'{named}", messages=[message, HI])

    for kind in ("retrieval", "code_interpreter", ""):
        tools = [{"type": kind, "function": {"name": "f"}}]
        yield row(s, f"a tool of type '{kind}'", "'tools[0].type'", tools=tools)
    yield row(s, "a tool without a function", "'tools[0].function'", tools=[{"type": "function"}])
    yield said("too many calls", place, [call] * 129)
    yield said("calls are text", place, "f()")
    yield said("a call is null", f"{place}[0]", [None])
    yield said("a call without a function", f"{place}[0].function", [{}])
    yield said("a call with a stranger", f"{place}[0].run", [{**call, "run": 1}])
    yield said("calls by a user", place, [call], role="user")
    yield said("thoughts of a user", "messages[0].thinking", None, role="user", thinking="x")
    yield said("a result of the assistant", "messages[0].tool_name", None, tool_name="f")
    yield said("neither content nor calls", "messages[0].content", [], content=None)
    yield said("thoughts are a number", "messages[0].thinking", None, thinking=5)
    for kind, value in NAMES.items():
        function = {"name": value, "arguments": {}}
        yield said(f"the name of a call is {kind}", f"{place}[0].function.name",
                   [{"function": function}])  # fmt: skip
    for kind, value in {"text": "{}", "null": None, "a number": 5, "a list": []}.items():
        function = {"name": "f", "arguments": value}
        yield said(f"arguments are {kind}", f"{place}[0].function.arguments",
                   [{"function": function}])  # fmt: skip
    for kind, value in {"empty": "", "long": "x" * 257, "a number": 5}.items():
        yield said(f"the id of a call is {kind}", f"{place}[0].id", [{**call, "id": value}])
    yield row(s, "a result of nothing", "'messages[0].content'", messages=[{"role": "tool"}])
    for kind, value in {"text": "yes", "a number": 1, "a list": [], "an object": {}}.items():
        for surface in (s, "ollama generate"):
            yield row(surface, f"think is {kind}", think=value)
    yield row("ollama generate", "thinking over a raw prompt", "'think'", raw=True, think=True)
