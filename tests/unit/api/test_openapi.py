"""The server's description of itself agrees with the server."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from stoker.api.assembly import create_app
from stoker.api.openapi import docs_page, document
from stoker.api.operation import Operation
from stoker.api.routes import operations
from stoker.config.schema import LimitsSection, ServerSection
from tests.support.local_backend import LocalBackend
from tests.support.text import tiny_text, vocab_size


@pytest.fixture(scope="module")
def table() -> list[Operation]:
    application = create_app(
        LocalBackend(vocab_size()),
        tiny_text(),
        name="tiny",
        server=ServerSection(),
        limits=LimitsSection(),
    )
    return operations(application.front)


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for item in value.values() for found in references(item)]
    if isinstance(value, list):
        return [found for item in value for found in references(item)]
    return []


def test_every_reference_leads_somewhere(table: list[Operation]) -> None:
    described = document(table)
    names = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert set(references(described)) <= names
    json.dumps(described)


def test_every_operation_is_described(table: list[Operation]) -> None:
    paths = document(table)["paths"]
    for operation in table:
        described = paths[re.sub(r":\w+}", "}", operation.path)][operation.method.lower()]
        assert described["summary"]
        assert ("requestBody" in described) == (
            operation.method == "POST" and not operation.path.endswith("/cancel")
        )
        assert "default" in described["responses"]


def test_ranges_are_part_of_the_description(table: list[Operation]) -> None:
    schema = document(table)["components"]["schemas"]["ChatRequest"]
    assert schema["additionalProperties"] is False
    assert {"type": "number", "minimum": 0, "maximum": 2} in [
        {key: option[key] for key in ("type", "minimum", "maximum")}
        for option in schema["properties"]["temperature"]["anyOf"]
        if option["type"] == "number"
    ]


def test_the_page_fetches_nothing(table: list[Operation]) -> None:
    page = docs_page(table)
    assert not re.search(r"(src|href)=\"(?!/openapi.json)", page)
    assert "<script" not in page
    assert all(operation.path in page for operation in table)
