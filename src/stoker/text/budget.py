"""How much one rendering of a chat template may use: processor time, characters, values."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Set
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from jinja2 import TemplateError
from jinja2.runtime import LoopContext, Macro, TemplateReference
from jinja2.utils import Namespace

MAX_VALUES = 200_000
"""Values in one list or dict, with all that is in it counted as often as it appears."""
MAX_CHARACTERS = 8 * 1024 * 1024
"""Of one string, or of the strings in one list."""
MAX_TOTAL_CHARACTERS = 64 * 1024 * 1024
"""Of all strings made in one rendering."""
MAX_INTEGER_BITS = 1024
_CODE = (FunctionType, MethodType, BuiltinFunctionType, type, Macro, LoopContext, TemplateReference)


class LimitExceeded(TemplateError):
    """The template used more time or memory than it may."""


class Budget(threading.local):
    """One a thread: templates are shared, renderings are not.

    Time is this thread's processor time, so a busy machine does not fail an innocent template.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline = 0.0
        self._characters = 0

    def start(self) -> None:
        self._deadline = time.thread_time() + self._seconds
        self._characters = 0

    def tick(self) -> bool:
        """True, so that it can be a loop's condition. Raises LimitExceeded when time is up."""
        if time.thread_time() > self._deadline:
            raise LimitExceeded("the template takes too long")
        return True

    def spend(self, characters: int) -> None:
        """Call before making a string that long."""
        self.tick()
        self._characters += characters
        if characters > MAX_CHARACTERS or self._characters > MAX_TOTAL_CHARACTERS:
            raise LimitExceeded("the template builds too much text")

    def allow_values(self, count: int) -> None:
        """Call before making a list that long."""
        self.tick()
        if count > MAX_VALUES:
            raise LimitExceeded("the template builds too long a list")

    def weigh(self, *values: Any) -> None:
        """Raises LimitExceeded for what is too big to compare, print or copy.

        Lists that hold the same list many times are small in memory and endless when printed, so
        everything is counted as often as it appears. Namespaces could be changed after they were
        counted, and code printed would show addresses: neither may be inside a value.
        """
        self.tick()
        counted = characters = 0
        pending = list(values)
        while pending:
            value = pending.pop()
            counted += 1
            if isinstance(value, str):
                characters += len(value)
            elif isinstance(value, Mapping):
                pending += value.keys()
                pending += value.values()
            elif isinstance(value, list | tuple | Set):
                pending += value
            else:
                _check_scalar(value)
            if counted > MAX_VALUES or characters > MAX_CHARACTERS:
                raise LimitExceeded("the template builds too big a value")


def _check_scalar(value: Any) -> None:
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        raise LimitExceeded("the template computes too big a number")
    if isinstance(value, Namespace):
        raise LimitExceeded("the template uses a namespace as a value")
    if isinstance(value, _CODE):
        raise LimitExceeded("the template uses code as a value")
