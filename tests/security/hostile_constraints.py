"""Constraints that have broken grammar libraries, by kind and name (S25), built from small parts.

Each is to be refused with a reason, or enforced.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from stoker.core.constraint import Constraint, ConstraintKind


def nested(kind: str, depth: int) -> Any:
    schema: Any = {"type": "string"}
    for _ in range(depth):
        schema = {
            "object": {"type": "object", "properties": {"a": schema}, "required": ["a"]},
            "array": {"type": "array", "items": schema, "minItems": 1},
            "anyOf": {"anyOf": [schema, {"type": "null"}]},
            "allOf": {"allOf": [schema]},
            "not": {"not": schema},
            "additional": {"type": "object", "additionalProperties": schema},
            "prefix": {"type": "array", "prefixItems": [schema], "items": False},
        }[kind]
    return schema


def _nested_schemas() -> Iterator[tuple[str, Any]]:
    for kind in ("object", "array", "anyOf", "allOf", "not", "additional", "prefix"):
        for depth in (10, 30, 100, 250):
            yield f"{depth} nested {kind}", nested(kind, depth)


def _wide_schemas() -> Iterator[tuple[str, Any]]:
    for count in (100, 1000, 2000):
        names = {f"p{number}": {"type": "string"} for number in range(count)}
        yield f"{count} optional properties", {"type": "object", "properties": names}
        yield f"{count} required", {
            "type": "object", "properties": names, "required": list(names),
        }  # fmt: skip
        yield f"{count} choices", {"enum": [f"choice {number}" for number in range(count)]}
        yield f"{count} alternatives", {"anyOf": [{"const": number} for number in range(count)]}
        yield f"{count} conditions", {"allOf": [{"minimum": -number} for number in range(count)]}
        yield f"{count} definitions", {"$defs": names, "type": "integer"}


def _counted_schemas() -> Iterator[tuple[str, Any]]:
    for count in (10**2, 10**4, 10**6, 2**31, 2**63, 2**64, 10**40, -1, 1.5):
        for name in ("minLength", "maxLength"):
            yield f"{name} {count}", {"type": "string", name: count}
        for name in ("minItems", "maxItems"):
            yield f"{name} {count}", {"type": "array", "items": {"type": "integer"}, name: count}
        for name in ("minProperties", "maxProperties"):
            yield f"{name} {count}", {"type": "object", name: count}
        for name in ("minimum", "maximum", "exclusiveMinimum", "multipleOf"):
            yield f"{name} {count}", {"type": "number", name: count}


def _referring_schemas() -> Iterator[tuple[str, Any]]:
    refs = (
        "#", "#/$defs/a", "#/nowhere", "", "x", "http://10.0.0.1/s", "file:///etc/passwd",
        "#/%24defs/a", "#/$defs/a/properties/b", "#/" + "a/" * 1000, "//", "#a", "\x00", "é",
    )  # fmt: skip
    for ref in refs:
        shown = ref[:12].encode("unicode_escape").decode()
        yield f"a reference to '{shown}'", {"$defs": {"a": {"type": "integer"}}, "$ref": ref}
        yield f"nested, to '{shown}'", {
            "type": "object", "properties": {"b": {"$ref": ref}}, "required": ["b"],
            "$defs": {"a": {"type": "integer"}},
        }  # fmt: skip
    yield "a ring", {"$ref": "#/$defs/a", "$defs": {
        "a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"},
    }}  # fmt: skip
    yield (
        "itself in allOf",
        {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"},
    )
    yield "twice itself", {"$defs": {"a": {"type": "array", "items": {"anyOf": [
        {"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}}, "$ref": "#/$defs/a"}  # fmt: skip
    doubling: dict[str, Any] = {"d0": {"type": "integer"}}
    for number in range(1, 40):
        last = {"$ref": f"#/$defs/d{number - 1}"}
        doubling[f"d{number}"] = {"type": "array", "prefixItems": [last, last], "minItems": 2}
    yield "doubling", {"$defs": doubling, "$ref": "#/$defs/d39"}


KEYWORDS = (
    "type", "properties", "required", "items", "prefixItems", "additionalProperties", "enum",
    "const", "anyOf", "oneOf", "allOf", "not", "if", "$ref", "$defs", "pattern", "format",
    "minLength", "minItems", "minimum", "patternProperties", "uniqueItems", "contains",
    "propertyNames", "dependentRequired", "unevaluatedProperties", "$schema", "$id", "$anchor",
)  # fmt: skip
ODD: tuple[Any, ...] = (None, True, 5, "x", [], {}, [None], {"a": 5}, "\ud7ff", 1e308)


def _odd_schemas() -> Iterator[tuple[str, Any]]:
    for keyword in KEYWORDS:
        for number, value in enumerate(ODD):
            yield f"{keyword} of odd kind {number}", {keyword: value}


REGEXES = (
    "(a+)+$", "(a|aa)+", "(a|a?)+", "(.*a){20}", "(x+x+)+y", r"(\w+\s?)*", "((a*)*)*", "a{1000}",
    "a{100000}", "a{1000000000}", "(a{100}){100}", "((a{30}){30}){30}", "(((a{9}){9}){9}){9}",
    r"\p{L}{1000}", r"(\p{L}|\p{N}|\p{S}){500}", "(.|\n)*x(.|\n){500}", "[a-z]*x[a-z]{300}",
    "(?=a)b", "(?<=a)b", "(?!a)b", r"(a)\1", r"(?P<n>a)(?P=n)", "(?R)", "(", ")", "[", "]", "{",
    "a{", "a{2", "a{2,1}", "*", "+", "?", "a**", "[z-a]", "[[:nope:]]", r"\p{Nope}", "\\", r"\x",
    r"\u{110000}", r"\u{d800}", "(?i)ſ", "(?x) a # b", "(?s-u:.)", "\x00", "a\x00b", "", "^", "$",
    "^^a$$", "a^b", "a$b", "|", "||||", "(|)*", "()*", "(" * 500 + ")" * 500, "a|" * 5000,
    "(a?){500}a{500}", "[^a]" * 2000, "(?:" * 1000, "🙂{500}", r"\b", r"a\Bb", "[\\s\\S]*" * 50,
)  # fmt: skip
GBNFS = (
    "", "root", "root ::=", "root ::= root", "root ::= root root", 'root ::= root "a"',
    'root ::= "a" root', "root ::= a", 'root ::= "', "root ::= [", "root ::= [a", "root ::= [z-a]",
    "root ::= (", "root ::= )", 'root ::= "a"{', 'root ::= "a"{5,2}', 'root ::= "a"{1000000}',
    'root ::= ("a"{1000}){1000}', "root ::= " + "(" * 900 + '"a"' + ")" * 900, 'root ::= "a" |',
    'root ::= ("a" | "a")*', 'root ::= ("a"*)*', 'root ::= ("")*', 'root ::= "\\xff"',
    'root ::= "\\q"', 'a ::= "a"', 'root ::= "a"\nroot ::= "b"', "root ::= x\nx ::= root",
    'root ::= ("a"?){500} "a"{500}', "root ::= .", "root ::= [^]", 'root::="a"', "::=", "::= ::=",
    "\n".join(["root ::= r0", *(f"r{i} ::= r{i + 1} r{i + 1}" for i in range(40)), 'r40 ::= "a"']),
    "\n".join(f"r{i} ::= r{i + 1}" for i in range(3000)),
)  # fmt: skip
LARKS = (
    "", "start", "start:", "start: start", "start: start start", 'start: start "a"', "start: a",
    "start: A\nA: A", 'start: "', "start: /(/", "start: /(a+)+/{1000}", 'start: "a"{1000000}',
    'start: ("a"{1000}){1000}', "%import common.INT\nstart: INT", "%import os.system\nstart: x",
    "%ignore /a/\nstart: \"b\"", "start: %json {", 'start: %json {"type": 5}', "start: <[999999]>",
    "start: <[-1]>", "start: <|nobody|>", "start: @x", "start: %regex {", "start: " + "(" * 900,
    'start: ("a" | "a")*', 'start: ""*', "start: A & B\nA: /a/\nB: /b/", "start: ~/a/",
    "start: A\nA[lazy]: /(.|\\n)*/", "start[max_tokens=0]: /a*/", "start[stop=\"\"]: /a*/",
    "start[capture]: /a/", "start[temperature=99]: /a/", 'start: "a" -> b', "start: /a/x", "? : ?",
)  # fmt: skip


def hostile() -> Iterator[tuple[str, Constraint]]:
    schemas = (_nested_schemas, _wide_schemas, _counted_schemas, _referring_schemas, _odd_schemas)
    for one in schemas:
        for name, schema in one():
            yield f"schema {name}", Constraint(ConstraintKind.JSON_SCHEMA, json.dumps(schema))
    for kind, texts in (
        (ConstraintKind.REGEX, REGEXES), (ConstraintKind.GBNF, GBNFS), (ConstraintKind.LARK, LARKS),
    ):  # fmt: skip
        for number, text in enumerate(texts):
            yield f"{kind.value} {number} {text[:16]!r}", Constraint(kind, text)
