"""The server described for machines (OpenAPI 3.1) and for people (one page, nothing fetched)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

import msgspec

import stoker
from stoker.api.operation import Operation

_REFERENCE = "#/components/schemas/{name}"
_FAILURES = {
    "400": "Malformed, out of range, or asking for what cannot be done",
    "401": "No API key, or a wrong one",
    "404": "No such model",
    "408": "The body arrived too slowly",
    "413": "The body is too large",
    "415": "The body is not JSON",
    "429": "Too busy; see Retry-After",
    "500": "A defect of the server",
    "502": "The engine was lost",
    "503": "Not ready; see Retry-After",
    "504": "The deadline passed",
}


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    used = ((o.request, o.response, o.dialect.error_record) for o in operations)
    records = {record for each in used for record in each if record}
    ordered = sorted(records, key=lambda record: record.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = re.sub(r":\w+}", "}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _describe(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Stoker", "version": stoker.__version__},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _describe(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": operation.summary,
        "responses": {
            "200": _content("Success", operation.response),
            "default": _failure("Error", operation),
        },
    }
    parameters = re.findall(r"{(\w+)", operation.path)
    if parameters:
        described["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in parameters
        ]
    if operation.request is not None:
        body = _content("", operation.request)["content"]
        described["requestBody"] = {
            "required": True,
            "content": {operation.media: body["application/json"]},
        }
        described["responses"] |= {
            code: _failure(text, operation) for code, text in _FAILURES.items()
        }
    return described


def _content(text: str, record: type[msgspec.Struct] | None) -> dict[str, Any]:
    if record is None:
        return {"description": text, "content": {"text/plain": {"schema": {"type": "string"}}}}
    reference = {"$ref": _REFERENCE.format(name=record.__name__)}
    return {"description": text, "content": {"application/json": {"schema": reference}}}


def _failure(text: str, operation: Operation) -> dict[str, Any]:
    return _content(text, operation.dialect.error_record)


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:3rem auto;padding:0 1rem;"
    "color:#222;background:#fff}table{border-collapse:collapse;width:100%}td,th{text-align:left;"
    "vertical-align:top;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #ddd}"
    "code{font-family:ui-monospace,monospace;font-size:.9em}h2{margin-top:2.5rem}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}"
    "td,th{border-color:#444}a{color:#8bf}}"
)


def docs_page(operations: Sequence[Operation]) -> str:
    rows = "".join(_row(operation) for operation in operations)
    sections = "".join(_section(operation) for operation in operations if operation.request)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Stoker API</title>'
        f"<style>{_STYLE}</style><h1>Stoker {stoker.__version__}</h1>"
        '<p>The machine-readable description is at <a href="/openapi.json">/openapi.json</a>.</p>'
        f"<table>{rows}</table>{sections}</html>"
    )


def _row(operation: Operation) -> str:
    return (
        f"<tr><td><code>{operation.method}</code><td><code>{escape(operation.path)}</code>"
        f"<td>{escape(operation.summary)}"
    )


def _section(operation: Operation) -> str:
    if operation.request is None:
        return ""
    fields = "".join(
        f"<tr><td><code>{field.encode_name}</code><td>{'required' if field.required else ''}"
        f"<td><code>{escape(_type(field.type))}</code>"
        for field in msgspec.structs.fields(operation.request)
        if field.type is not Any
    )
    return f"<h2><code>{escape(operation.path)}</code></h2><table>{fields}</table>"


def _type(annotation: object) -> str:
    """The JSON schema in a few words."""
    schema = msgspec.json.schema(annotation)
    options = schema.get("anyOf", [schema])
    return " or ".join(
        option.get("type", option.get("$ref", "value").rpartition("/")[2]) for option in options
    )
