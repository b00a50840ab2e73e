"""A grammar of answers that call: of what the reader of answers takes for calls."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stoker.core.ids import TokenId
from stoker.text.calls.argument_rules import ArgumentRules
from stoker.text.calls.format import AnswerFormat, CallsFormat, NamedCall, ObjectCall
from stoker.text.calls.lark_rules import LarkRules, spaced

MOST_CALLS = 32
"""In an answer that has to call: one drawn wildly would have no end."""


@dataclass(frozen=True, slots=True)
class CallGrammar:
    form: AnswerFormat
    calls: CallsFormat
    tokens: Mapping[str, TokenId]
    """Control tokens by the marks they have in the form."""

    def forced(self, tools: Sequence[Mapping[str, Any]], prompt_end: str, most_calls: int) -> str:
        """One to `most_calls` calls and nothing else, but for the rest of reasoning that the prompt
        has begun. Arguments of a tool that is `strict` follow its schema; those of others do as far
        as it is known how to.

        Raises UnsupportedConstraint for a strict schema that this form cannot keep to."""
        rules, calls = LarkRules(self.tokens), self.calls
        reasoning = self._rest_of_reasoning(rules, prompt_end)
        begun = not reasoning and self._begun(prompt_end)
        opening = "" if begun else rules.literal(calls.opening)
        close = rules.literal(calls.call_close)
        next_ = spaced(
            close, rules.literal(calls.separator), rules.literal(calls.call_open), "call"
        )
        more = min(most_calls, MOST_CALLS) - 1
        end = spaced(close, rules.literal(calls.section_close))
        repeated = f"(WS? {next_}){{0,{more}}}" if more else ""
        last = f"WS? {end}" if end else ""
        rules.add("start", f"{spaced(reasoning, opening, 'call')} {repeated} {last}")
        names = [f"call_{number}" for number in range(len(tools))]
        rules.add("call", " | ".join(names))
        for name, tool in zip(names, tools, strict=True):
            self._add_call(rules, name, tool["function"])
        return str(rules)

    def _rest_of_reasoning(self, rules: LarkRules, prompt_end: str) -> str:
        reasoning = self.form.reasoning
        if not reasoning or not reasoning.begun or not prompt_end.endswith(reasoning.begun):
            return ""
        return rules.text_until("reasoning", reasoning.close)

    def _add_call(self, rules: LarkRules, rule: str, function: Mapping[str, Any]) -> None:
        strict = bool(function.get("strict"))
        name, schema, arguments = function["name"], function["parameters"], f"{rule}_arguments"
        match self.calls.call:
            case ObjectCall() as form:
                rules.add(rule, _object(form, name, arguments))
                rules.json(arguments, schema, strict=strict)
            case NamedCall() as form:
                opening = f"{json.dumps(name)} {rules.literal(form.name_end)}"
                rules.add(rule, spaced(opening, arguments))
                ArgumentRules(rules, arguments, schema, strict).add(form.arguments)

    def _begun(self, prompt_end: str) -> bool:
        calls = self.calls
        return (not calls.opening or bool(calls.begun)) and prompt_end.endswith(calls.begun)


def _object(form: ObjectCall, name: str, arguments: str) -> str:
    if form.name_key is None:
        return spaced('"{"', _quoted(name), '":"', arguments, '"}"')
    told = spaced(_quoted(form.name_key), '":"', _quoted(name))
    return spaced('"{"', told, '","', _quoted(form.arguments_key), '":"', arguments, '"}"')


def _quoted(text: str) -> str:
    """What spells a JSON string."""
    return json.dumps(json.dumps(text))
