"""A piece of protocol as a template writes it, matched as models write it: whatever the spaces."""

from __future__ import annotations

import re
from dataclasses import dataclass

HOLE = "\x00"
"""Stands in a pattern for a few characters that differ from call to call: an id, a number."""


@dataclass(frozen=True, slots=True)
class Literal:
    """Words with any white space between them, or none. HOLE may be one of the words."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, pattern: str) -> Literal:
        return cls(tuple(re.findall(rf"{HOLE}|[^\s{HOLE}]+", pattern)))

    def __bool__(self) -> bool:
        return bool(self.words)

    @property
    def first(self) -> str:
        """What to look for. Only of a literal that is true."""
        return next(word for word in self.words if word != HOLE)


def pattern(one: str, other: str) -> str:
    """What two texts have in common at their ends, with a hole for what differs between."""
    if one == other:
        return one
    start = len(common_prefix(one, other))
    end = len(common_suffix(one[start:], other[start:]))
    return one[:start] + HOLE + one[len(one) - end :]


def common_prefix(one: str, other: str) -> str:
    length = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        length += 1
    return one[:length]


def common_suffix(one: str, other: str) -> str:
    return common_prefix(one[::-1], other[::-1])[::-1]


_OPEN_AT_END = re.compile(r"(?:<[^<>\s]*|\[/?[A-Z_]*|\s\w+=)$")
_CLOSED_AT_START = re.compile(r"^(?:[^<>\s]*>|/?[A-Z_]+\])")


def without_half_tag(prefix: str) -> str:
    """`\\n<t` of `\\n<think>` and `\\n<tool_call>` is the line break only."""
    return _OPEN_AT_END.sub("", prefix)


def without_tag_rest(suffix: str, whole: str) -> str:
    """`_call>` of `<tool_call>` and `</tool_call>` is nothing. `whole` ends with `suffix`."""
    before = whole[: len(whole) - len(suffix)]
    return _CLOSED_AT_START.sub("", suffix) if _OPEN_AT_END.search(before) else suffix
