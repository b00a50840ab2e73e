"""A Jinja environment for templates from model files: no attributes that start with an underscore,
no mutation, only filters known to be harmless, and a bound on time and on the size of any string.

Attribute escapes are the sandbox's business (CVE-2024-34359, CVE-2026-5760); bombs are ours: every
loop turn and every operation that can grow a string passes a check.
"""

from __future__ import annotations

import json
import time
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

ALLOWED_FILTERS = frozenset(
    [
        "abs", "bool", "capitalize", "count", "default", "d", "dictsort", "escape", "e",
        "first", "float", "indent", "int", "items", "join", "last", "length", "list",
        "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round",
        "safe", "select", "selectattr", "sort", "string", "sum", "title", "trim", "tojson",
        "unique", "upper",
    ]
)  # fmt: skip
GROWING_METHODS = frozenset(
    [
        "center",
        "ljust",
        "rjust",
        "zfill",
        "expandtabs",
        "format",
        "format_map",
        "translate",
        "encode",
    ]
)
MAX_INDENT = 16


class LimitExceeded(TemplateError):
    """The template used more time or memory than it may."""


class SandboxEnvironment(ImmutableSandboxedEnvironment):
    """One per template. `start` begins a render; it may not be shared between threads at once."""

    intercepted_binops = frozenset(["+", "*", "**", "%"])

    def __init__(self, max_output: int, max_seconds: float) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols"],
        )
        self._max_output = max_output
        self._max_seconds = max_seconds
        self._deadline = 0.0
        self.filters = {name: f for name, f in self.filters.items() if name in ALLOWED_FILTERS}
        self.filters |= {"tojson": _to_json, "replace": self._replace, "indent": self._indent}
        self.globals = {
            "range": self.globals["range"],
            "namespace": self.globals["namespace"],
            "dict": dict,
            "raise_exception": _raise,
            "strftime_now": _strftime_now,
        }

    def start(self) -> None:
        self._deadline = time.monotonic() + self._max_seconds

    def tick(self) -> str:
        """Called at every turn of every loop."""
        if time.monotonic() > self._deadline:
            raise LimitExceeded("the template takes too long")
        return ""

    def concatenate(self, *parts: Any) -> str:
        texts = [str(part) for part in parts]
        self._check_size(sum(map(len, texts)))
        return "".join(texts)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "*":
            self._check_product(left, right)
        elif operator == "+" and isinstance(left, str | list) and isinstance(right, str | list):
            self._check_size(len(left) + len(right))
        elif operator == "**":
            raise LimitExceeded("the template raises to a power")
        elif operator == "%" and isinstance(left, str):
            raise LimitExceeded("the template formats a string")
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, str) and attr in GROWING_METHODS:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str) and getattr(__obj, "__name__", "") in ("replace", "join"):
            __self._check_size(_largest_result(owner, args))
        __self.tick()
        return super().call(__context, __obj, *args, **kwargs)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in list(tree.find_all(nodes.For)):
            tick = nodes.Call(nodes.EnvironmentAttribute("tick"), [], [], None, None)
            loop.body.insert(0, nodes.ExprStmt(tick, lineno=loop.lineno))
        _replace_concatenations(tree)
        return tree

    def _check_size(self, size: int) -> None:
        self.tick()
        if size > self._max_output:
            raise LimitExceeded("the template builds too long a string")

    def _check_product(self, left: Any, right: Any) -> None:
        for sequence, count in ((left, right), (right, left)):
            if isinstance(sequence, str | list | tuple) and isinstance(count, int):
                self._check_size(len(sequence) * max(count, 0))

    def _replace(self, text: Any, old: str, new: str, count: int | None = None) -> str:
        self._check_size(_largest_result(str(text), (old, new)))
        return str(text).replace(old, new, -1 if count is None else count)

    def _indent(self, text: str, width: int = 4, first: bool = False, blank: bool = False) -> str:
        del blank
        padding = " " * max(0, min(int(width), MAX_INDENT))
        self._check_size(len(text) + text.count("\n") * len(padding))
        indented = text.replace("\n", "\n" + padding)
        return padding + indented if first else indented


def _replace_concatenations(node: nodes.Node) -> None:
    """`a ~ b` becomes a call of `concatenate`, which checks the length."""
    for field, value in list(node.iter_fields()):
        if isinstance(value, nodes.Node):
            setattr(node, field, _concatenation(value))
        elif isinstance(value, list):
            setattr(
                node, field, [_concatenation(v) if isinstance(v, nodes.Node) else v for v in value]
            )


def _concatenation(node: nodes.Node) -> nodes.Node:
    _replace_concatenations(node)
    if not isinstance(node, nodes.Concat):
        return node
    function = nodes.EnvironmentAttribute("concatenate", lineno=node.lineno)
    return nodes.Call(function, list(node.nodes), [], None, None, lineno=node.lineno)


def _largest_result(text: str, args: tuple[Any, ...]) -> int:
    """An upper bound for str.replace(old, new) and str.join(items)."""
    if len(args) >= 2:
        found = text.count(str(args[0])) if args[0] else len(text) + 1
        return len(text) + found * len(str(args[1]))
    if len(args) == 1 and isinstance(args[0], list | tuple):
        return len(text) * len(args[0]) + sum(
            len(item) for item in args[0] if isinstance(item, str)
        )
    return len(text)


def _to_json(value: Any, indent: int | None = None, ensure_ascii: bool = False, **_: Any) -> str:
    width = None if indent is None else max(0, min(int(indent), MAX_INDENT))
    return json.dumps(value, indent=width, ensure_ascii=ensure_ascii)


def _raise(message: str) -> None:
    raise TemplateError(str(message))


def _strftime_now(pattern: str) -> str:
    if len(pattern) > 64 or any(c.isdigit() for c in pattern):
        raise SecurityError("strftime pattern")
    return time.strftime(pattern)
