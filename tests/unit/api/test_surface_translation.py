"""What becomes of a client's body: our request, and refusals that name the client's field."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stoker.api.anthropic.messages import Messages
from stoker.api.llamacpp.completion import LlamaCppCompletions
from stoker.api.ollama.chat import OllamaChat
from stoker.api.openai.responses import Responses
from stoker.api.surface import Surface, spelled
from stoker.api.tgi.generate import Generate
from stoker.config.schema import LimitsSection
from stoker.errors import InvalidRequest

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
SAID = [{"role": "user", "content": "a"}]


def our_request(surface: Surface[Any], **body: Any) -> Any:
    encoded = msgspec.json.encode({"model": "m", **body})
    decoded = msgspec.json.decode(encoded, type=surface.record)
    return surface.asked(decoded, LimitsSection()).request


@pytest.mark.parametrize(
    ("surface", "body"),
    [
        (
            Messages(),
            {
                "messages": SAID,
                "max_tokens": 5,
                "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
            },
        ),
        (
            Responses(),
            {
                "input": "a",
                "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}},
            },
        ),
        (OllamaChat(), {"messages": SAID, "format": SCHEMA}),
    ],
    ids=["messages", "responses", "ollama"],
)
def test_a_schema_arrives_as_our_response_format(
    surface: Surface[Any], body: dict[str, Any]
) -> None:
    asked = our_request(surface, **body).response_format
    assert asked.type == "json_schema"
    assert asked.json_schema.schema == SCHEMA


def test_any_json_arrives_as_our_response_format() -> None:
    wanted = {"type": "json_object"}
    asked = our_request(OllamaChat(), messages=SAID, format="json").response_format
    assert asked.type == "json_object"
    text = {"format": wanted}
    assert our_request(Responses(), input="a", text=text).response_format.type == "json_object"
    plain = {"format": {"type": "text"}}
    assert our_request(Responses(), input="a", text=plain).response_format is None


def test_grammars_arrive_under_our_names() -> None:
    generate = Generate(stream=False, in_list=False)
    for kind, name in {"json": "guided_json", "regex": "guided_regex"}.items():
        parameters = {"grammar": {"type": kind, "value": "v"}}
        assert getattr(our_request(generate, inputs="a", parameters=parameters), name) == "v"
    named = {"grammar": {"type": "json_schema", "value": {"name": "n", "schema": SCHEMA}}}
    assert our_request(generate, inputs="a", parameters=named).guided_json == SCHEMA
    asked = our_request(LlamaCppCompletions(), prompt="a", json_schema=SCHEMA, grammar="g")
    assert (asked.guided_json, asked.guided_grammar) == (SCHEMA, "g")


@pytest.mark.parametrize(
    ("param", "message", "told_param", "told"),
    [
        ("stop", "'stop' is wrong", "options.stop", "'options.stop' is wrong"),
        ("stop[0].x", "'stop[0].x' is wrong", "options.stop[0].x", "'options.stop[0].x' is wrong"),
        ("stops", "'stops' is wrong", "stops", "'stops' is wrong"),
        (None, "a 'stop.y' stop", None, "a 'options.stop.y' stop"),
    ],
)
def test_a_later_refusal_names_the_clients_field(
    param: str | None, message: str, told_param: str | None, told: str
) -> None:
    with (
        pytest.raises(InvalidRequest) as caught,
        spelled({"stop": "options.stop", "max_tokens": "stop"}),
    ):
        raise InvalidRequest(message, param=param)
    assert (caught.value.param, caught.value.message) == (told_param, told)


def test_places_in_lists_are_kept_where_a_refusal_is_named_anew() -> None:
    names = {"tools[].function.parameters": "tools[].schema", "tools[].function": "tools[]"}
    with pytest.raises(InvalidRequest) as caught, spelled(names):
        raise InvalidRequest(
            "'tools[3].function.parameters.type' is wrong, as is 'tools[12].function.name'",
            param="tools[12].function.name",
        )
    assert caught.value.message == "'tools[3].schema.type' is wrong, as is 'tools[12].name'"
    assert caught.value.param == "tools[12].name"
