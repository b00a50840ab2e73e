"""Writes a grammar in llguidance's Lark, rule by rule, over literals with control tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from stoker.constrain.notation import JSON_OPTIONS, OPTIONS_KEY
from stoker.core.ids import TokenId
from stoker.text.calls.literal import HOLE, Literal

_PARTS = re.compile(r"[\ud800-\udfff]|[^\ud800-\udfff]+")
_ALWAYS = [r"WS: /[ \n]{1,4}/", "HOLE: /[a-zA-Z0-9]{1,9}/"]


def spaced(*parts: str) -> str:
    """Any white space between them; empty ones are left out."""
    return " WS? ".join(filter(None, parts))


class LarkRules:
    def __init__(self, tokens: Mapping[str, TokenId]) -> None:
        """`tokens` are the control tokens by their marks in literals."""
        self._tokens = tokens
        self._rules: list[str] = []

    def __str__(self) -> str:
        return "\n".join([*self._rules, *_ALWAYS])

    def add(self, name: str, body: str) -> str:
        self._rules.append(f"{name}: {body}" if body else f'{name}: ""')
        return name

    def json(self, name: str, schema: Any, *, strict: bool) -> str:
        """JSON that follows the schema: all of it, or where not `strict` as far as it is known how
        to."""
        schema = {} if schema is True else schema
        options = {**JSON_OPTIONS, "lenient": not strict}
        return self.add(name, f"%json {json.dumps({**schema, OPTIONS_KEY: options})}")

    def text_until(self, name: str, close: Literal) -> str:
        """Any text, and then `close`."""
        first, *words = close.words
        part, *parts = _PARTS.findall(first)
        if part in self._tokens:
            before = f"/(?s:.+)/? {self._part(part)}"
        else:
            before = f"{name}_text"
            self._rules.append(f"{before}[lazy]: /(?s:.*){_escaped(part)}/")
        closed = " ".join([before, *map(self._part, parts)])
        return self.add(name, spaced(closed, self.literal(Literal(tuple(words)))))

    def literal(self, literal: Literal, hole: str = "") -> str:
        """What its hole holds may be given."""
        groups: list[str] = [""]
        for word in literal.words:
            if word == HOLE:  # white space next to it would be part of what it holds
                groups[-1] += f" {json.dumps(hole) if hole else 'HOLE'} "
            elif groups[-1].endswith(" "):
                groups[-1] += self._word(word)
            else:
                groups.append(self._word(word))
        return spaced(*groups)

    def _word(self, word: str) -> str:
        return " ".join(map(self._part, _PARTS.findall(word)))

    def _part(self, part: str) -> str:
        return f"<[{self._tokens[part]}]>" if part in self._tokens else json.dumps(part)


def _escaped(text: str) -> str:
    return re.sub(r"\W", lambda found: f"\\x{{{ord(found[0]):x}}}", text)
