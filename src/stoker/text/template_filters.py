"""What chat templates may call: harmless filters, tests and functions, each counted."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jinja2 import TemplateError
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.tests import TESTS as JINJA_TESTS
from jinja2.utils import Namespace

from stoker.text.budget import Budget, LimitExceeded

FILTERS = frozenset(
    [
        "abs", "bool", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first",
        "float", "int", "items", "last", "length", "list", "lower", "map", "max", "min", "reject",
        "rejectattr", "reverse", "safe", "select", "selectattr", "sort", "string", "trim", "unique",
        "upper",
    ]
)  # fmt: skip
OWN_TESTS = frozenset(["filter", "test"])
"""Tests that would show what the sandbox holds."""
MAX_INDENT = 16
MAX_DIGITS = 15
MAX_PATTERN = 64
MAX_TITLE = 4096


def limited_filters(budget: Budget) -> dict[str, Any]:
    allowed: dict[str, Any] = {
        name: function for name, function in JINJA_FILTERS.items() if name in FILTERS
    }
    own: dict[str, Any] = {
        "from_json": json.loads,
        "indent": functools.partial(_indent, budget),
        "join": functools.partial(_join, budget),
        "replace": functools.partial(_replace, budget),
        "round": _round,
        "title": _title,
        "tojson": functools.partial(_to_json, budget),
    }
    return {name: _weighed(function, budget) for name, function in (allowed | own).items()}


def limited_tests(budget: Budget) -> dict[str, Any]:
    def timed(test: Any) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            budget.tick()
            return test(*args)

        return run

    return {name: timed(test) for name, test in JINJA_TESTS.items() if name not in OWN_TESTS}


def limited_functions(budget: Budget) -> dict[str, Any]:
    def bounded_range(*args: int) -> range:
        numbers = range(*args)
        budget.allow_values(len(numbers))
        return numbers

    return {
        "dict": dict,
        "namespace": Namespace,
        "raise_exception": _raise,
        "range": bounded_range,
        "strftime_now": _strftime_now,
    }


def _weighed(function: Any, budget: Budget) -> Callable[..., Any]:
    """The filter, with its input and its result counted. Lazy results count when they are read."""

    @functools.wraps(function, updated=())
    def run(*args: Any, **kwargs: Any) -> Any:
        passed = 1 if hasattr(function, "jinja_pass_arg") else 0
        budget.weigh(args[passed:], kwargs)
        result = function(*args, **kwargs)
        budget.weigh(result)
        if isinstance(result, str):
            budget.spend(len(result))
        return result

    if hasattr(function, "jinja_pass_arg"):
        run.jinja_pass_arg = function.jinja_pass_arg  # type: ignore[attr-defined]
    return run


def _join(budget: Budget, items: Any, separator: str = "", attribute: str | None = None) -> str:
    if attribute is not None:
        raise LimitExceeded("the template joins by attribute: use map first")
    texts = []
    for item in items:
        budget.weigh(item)
        texts.append(str(item))
        budget.spend(len(texts[-1]) + len(separator))
    return separator.join(texts)


def _replace(budget: Budget, text: Any, old: str, new: str, count: int = -1) -> str:
    whole = str(text)
    found = whole.count(old) if old else len(whole) + 1
    budget.spend(len(whole) + found * len(new))
    return whole.replace(old, new, count)


def _indent(
    budget: Budget, text: Any, width: int = 4, first: bool = False, blank: bool = False
) -> str:
    padding = " " * max(0, min(int(width), MAX_INDENT))
    lines = str(text).split("\n")
    budget.spend(len(str(text)) + len(lines) * len(padding))
    padded = [padding + line if line or blank else line for line in lines[1:]]
    return "\n".join([padding + lines[0] if first else lines[0], *padded])


def _round(value: float, precision: int = 0, method: str = "common") -> float:
    if method != "common" or not 0 <= precision <= MAX_DIGITS:
        raise LimitExceeded("the template rounds in a way that is not supported")
    return round(float(value), precision)


def _title(text: Any) -> str:
    if len(str(text)) > MAX_TITLE:
        raise LimitExceeded("the template changes the case of a long text")
    return str(text).title()


def _to_json(
    budget: Budget,
    value: Any,
    indent: int | None = None,
    ensure_ascii: bool = False,
    sort_keys: bool = False,
    separators: tuple[str, str] | None = None,
) -> str:
    """As models were trained on it: without the HTML escapes of Jinja's own."""
    if isinstance(value, Iterator):
        value = list(value)
        budget.weigh(value)
    return json.dumps(
        value,
        indent=None if indent is None else max(0, min(int(indent), MAX_INDENT)),
        ensure_ascii=ensure_ascii,
        sort_keys=sort_keys,
        separators=_checked(separators),
        default=_refuse,
    )


def _checked(separators: Any) -> tuple[str, str] | None:
    if separators is None:
        return None
    item, key = separators
    if len(item) > MAX_INDENT or len(key) > MAX_INDENT:
        raise LimitExceeded("the template separates JSON by too long a string")
    return str(item), str(key)


def _refuse(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TemplateError(f"a {type(value).__name__} cannot be written as JSON")


def _raise(message: object) -> None:
    raise TemplateError(str(message))


def _strftime_now(pattern: str) -> str:
    """Digits in a pattern are field widths, which may be any size."""
    if len(pattern) > MAX_PATTERN or any(letter.isdigit() for letter in pattern):
        raise LimitExceeded("the template formats the date in an unusual way")
    return time.strftime(pattern)
