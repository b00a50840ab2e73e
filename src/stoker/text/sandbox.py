"""A Jinja environment for templates from model files, which are untrusted.

Escapes: values show only the methods listed here, and filters are those of template_filters
(S06; CVE-2024-34359 and CVE-2026-5760 were templates in GGUF files). Bombs: every loop turn checks
the time, and everything that makes a value is counted before or right after (S07; budget.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from stoker.text.budget import Budget, LimitExceeded
from stoker.text.template_filters import limited_filters, limited_functions, limited_tests
from stoker.text.template_syntax import Generation, bounded

STRING_METHODS = frozenset(
    [
        "capitalize", "count", "endswith", "find", "index", "isalnum", "isalpha", "isdigit",
        "islower", "isspace", "isupper", "join", "lower", "lstrip", "partition", "removeprefix",
        "removesuffix", "replace", "rfind", "rpartition", "rsplit", "rstrip", "split",
        "splitlines", "startswith", "strip", "title", "upper",
    ]
)  # fmt: skip
MAPPING_METHODS = frozenset(["get", "items", "keys", "values"])
SEQUENCE_METHODS = frozenset(["count", "index"])


class SandboxEnvironment(ImmutableSandboxedEnvironment):
    """One per template, shared between threads. `budget.start()` begins a rendering."""

    intercepted_binops = frozenset(["+", "-", "*", "/", "//", "%", "**"])

    def __init__(self, seconds: float) -> None:
        self.budget = Budget(seconds)
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
            extensions=["jinja2.ext.loopcontrols", Generation],
            finalize=self._printable,
        )
        self.filters = limited_filters(self.budget)
        self.tests = limited_tests(self.budget)
        self.globals = limited_functions(self.budget)

    def concat(self, parts: Iterable[str]) -> str:
        """Joins the output of the template, of a macro or of a block."""
        kept = []
        length = 0
        for part in parts:
            length += len(part)
            self.budget.spend(len(part))
            kept.append(part)
        self.budget.spend(length)
        return "".join(kept)

    def tick(self) -> bool:
        """Every turn of every loop: template_syntax inserts it."""
        return self.budget.tick()

    def concatenate(self, *parts: Any) -> str:
        """`a ~ b`: template_syntax makes it a call of this."""
        self.budget.weigh(parts)
        texts = [str(part) for part in parts]
        self.budget.spend(sum(map(len, texts)))
        return "".join(texts)

    def weighed(self, value: Any) -> Any:
        """A list or dict written in the template: template_syntax wraps it in this."""
        self.budget.weigh(value)
        return value

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        self.budget.weigh(left, right)
        if operator == "*":
            self._check_repetition(left, right)
        elif operator == "**":
            raise LimitExceeded("the template raises to a power")
        elif operator == "%" and isinstance(left, str):
            raise LimitExceeded("the template formats a string with %")
        elif isinstance(left, str) and isinstance(right, str):
            self.budget.spend(len(left) + len(right))
        return super().call_binop(context, operator, left, right)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(argument, str):
            _check_public(obj, argument)
        found = super().getitem(obj, argument)
        if isinstance(found, str) and isinstance(argument, slice):
            self.budget.spend(len(found))
        return found

    def getattr(self, obj: Any, attribute: str) -> Any:
        _check_public(obj, attribute)
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        match obj:
            case str():
                allowed = attr in STRING_METHODS
            case Mapping():
                allowed = attr in MAPPING_METHODS
            case list() | tuple():
                allowed = attr in SEQUENCE_METHODS
            case _:
                allowed = isinstance(obj, LoopContext | Namespace | Undefined)
        return allowed and super().is_safe_attribute(obj, attr, value)

    def unsafe_undefined(self, obj: Any, attribute: str) -> Undefined:
        """An error at once: printed, Jinja's own answer would be an empty string."""
        raise SecurityError(f"'{attribute[:64]}' of a {type(obj).__name__} may not be used")

    def wrap_str_format(self, value: Any) -> Any:
        """Only `'{} of {}'.format(a, b)`: format specifications can ask for any width."""
        owner = getattr(value, "__self__", None)
        if not isinstance(owner, str) or getattr(value, "__name__", "") != "format":
            return None
        return lambda *args: self._fill(owner, args)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        __self.budget.tick()
        if not isinstance(__obj, Macro | LoopContext):
            # Jinja adds the loop's own variables, under names that templates cannot use.
            named = [value for name, value in kwargs.items() if not name.startswith("_")]
            __self.budget.weigh(args, named)
            __self._check_growth(__obj, args)
        result = super().call(__context, __obj, *args, **kwargs)
        if isinstance(result, str | list):
            __self.budget.weigh(result)
        return result

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return bounded(super()._parse(source, name, filename))

    def _printable(self, value: Any) -> Any:
        self.budget.weigh(value)
        return value

    def _check_repetition(self, left: Any, right: Any) -> None:
        for repeated, count in ((left, right), (right, left)):
            if isinstance(count, int) and isinstance(repeated, str):
                self.budget.spend(len(repeated) * max(count, 0))
            elif isinstance(count, int) and isinstance(repeated, list | tuple):
                self.budget.allow_values(len(repeated) * max(count, 0))

    def _check_growth(self, function: Any, args: tuple[Any, ...]) -> None:
        """str.replace and str.join can make much from little."""
        owner = getattr(function, "__self__", None)
        if not isinstance(owner, str):
            return
        name = getattr(function, "__name__", "")
        if name == "replace" and len(args) >= 2:
            self.budget.spend(_replaced_length(owner, str(args[0]), str(args[1])))
        elif name == "join" and args:
            self.budget.spend(_joined_length(owner, args[0]))
        else:
            self.budget.spend(len(owner))

    def _fill(self, pattern: str, values: tuple[Any, ...]) -> str:
        pieces = pattern.split("{}")
        if len(pieces) != len(values) + 1 or any("{" in piece or "}" in piece for piece in pieces):
            raise LimitExceeded("the template formats with more than {}")
        texts = [str(value) for value in values]
        self.budget.spend(len(pattern) + sum(map(len, texts)))
        return "".join(piece for pair in zip(pieces, [*texts, ""], strict=True) for piece in pair)


def _check_public(obj: Any, name: str) -> None:
    """Names with an underscore are looked for in the data of a request only."""
    if name.startswith("_") and not isinstance(obj, Mapping):
        raise SecurityError(f"'{name[:64]}' may not be used")


def _replaced_length(text: str, old: str, new: str) -> int:
    """At most how long text.replace(old, new) is."""
    found = text.count(old) if old else len(text) + 1
    return len(text) + found * len(new)


def _joined_length(separator: str, items: Any) -> int:
    """How long separator.join(items) is; what is not a list of strings fails by itself."""
    if not isinstance(items, list | tuple | str | Mapping):
        raise LimitExceeded("the template joins what is not a list")
    lengths = [len(item) for item in items if isinstance(item, str)]
    return sum(lengths) + len(separator) * len(lengths)
