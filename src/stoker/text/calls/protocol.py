"""How one model is told of tools, and how its answers are read: what its chat template decides."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stoker.core.constraint import Constraint, ConstraintKind
from stoker.core.ids import TokenId
from stoker.errors import InvalidRequest
from stoker.text.calls.call_grammar import CallGrammar
from stoker.text.calls.derive import derive
from stoker.text.calls.format import AnswerFormat
from stoker.text.calls.generic import GENERIC_CALLS, as_text
from stoker.text.calls.marks import ControlMarks
from stoker.text.calls.probes import FIRST, QUESTION, Dialect, Prober
from stoker.text.calls.reader import AnswerReader
from stoker.text.calls.schemas import OfferedTools
from stoker.text.calls.template_trial import TemplateTrial
from stoker.text.chat_template import ChatTemplate
from stoker.text.detokenizer import Detokenizer
from stoker.text.tokenizer import Tokenizer

ID_LENGTH = 9
PROMPT_END = 64
"""Tokens of a prompt that may say what its answer begins with."""

Message = Mapping[str, Any]
Tool = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChatProtocol:
    form: AnswerFormat
    dialect: Dialect
    shown: Mapping[TokenId, str]
    """Control tokens that answers are taken apart by."""
    generic: bool
    """The template does not know tools, or writes calls in no way that can be read back."""
    takes_system: bool

    def conversation(
        self, messages: Sequence[Message], tools: Sequence[Tool]
    ) -> tuple[Sequence[Message], Sequence[Tool] | None]:
        """What to give the template. Arguments of earlier calls are JSON texts, as in OpenAI's
        interface; what is no object becomes one that holds it."""
        prepared = [self._message(message) for message in messages]
        if self.generic:
            return as_text(prepared, tools, system=self.takes_system), None
        return prepared, tools or None

    def _message(self, message: Message) -> Message:
        prepared = {key: value for key, value in message.items() if key != "reasoning_content"}
        if message.get("reasoning_content"):
            prepared[self.dialect.reasoning_key] = message["reasoning_content"]
        if message.get("tool_calls"):
            prepared["tool_calls"] = [self._call(call) for call in message["tool_calls"]]
        if message.get("tool_call_id"):
            prepared["tool_call_id"] = short_id(message["tool_call_id"])
        return prepared

    def _call(self, call: Mapping[str, Any]) -> Mapping[str, Any]:
        arguments = _object(call["function"]["arguments"])
        shown: Any = arguments
        if self.dialect.arguments_as_text and not self.generic:
            shown = json.dumps(arguments, ensure_ascii=False)
        function = {"name": call["function"]["name"], "arguments": shown}
        return {"id": short_id(call["id"]), "type": "function", "function": function}

    def reading(
        self,
        tokenizer: Tokenizer,
        prompt: Sequence[TokenId],
        tools: Sequence[Tool] | None,
        most_calls: int = sys.maxsize,
    ) -> Reading | None:
        """How to read an answer to the prompt; None where there is nothing to take apart. Calls
        are looked for where tools were offered."""
        if tools is None and self.form.reasoning is None and not self.form.content_open:
            return None
        ending = Detokenizer(tokenizer, self.shown).push(prompt[-PROMPT_END:])
        offered = None if tools is None else OfferedTools(tools)
        return Reading(self.form, offered, ending, self.shown, most_calls)


@dataclass(frozen=True, slots=True)
class Reading:
    """How the answers to one prompt are read."""

    form: AnswerFormat
    tools: OfferedTools | None
    prompt_end: str
    shown: Mapping[TokenId, str]
    most_calls: int
    """Nothing is told after so many."""

    def forced(self, tools: Sequence[Tool]) -> Constraint:
        """What makes the answer call some of the tools, and nothing else. Raises
        UnsupportedConstraint for a strict tool that this model's form of calls cannot keep to."""
        tokens = {mark: token for token, mark in self.shown.items()}
        grammar = CallGrammar(self.form, self.form.calls or GENERIC_CALLS, tokens)
        text = grammar.forced(tools, self.prompt_end.rstrip(), self.most_calls)
        return Constraint(ConstraintKind.LARK, text)

    def reader(self) -> AnswerReader:
        return AnswerReader(self.form, self.tools, self.prompt_end)


def derive_protocol(template: ChatTemplate, tokenizer: Tokenizer) -> ChatProtocol:
    """Renders the template a few dozen times, or until that took too long."""
    marks, trial = ControlMarks(tokenizer), TemplateTrial(template)

    def render(*args: Any, **kwargs: Any) -> str:
        return marks.marked(trial.render(*args, **kwargs))

    form, dialect = derive(render)
    prompt = Prober(render, dialect).prompt()
    generic = form.calls is None or prompt is None or FIRST not in prompt
    if generic:
        form = replace(form, calls=GENERIC_CALLS)
    shown = marks.shown(repr_of(form))
    return ChatProtocol(form, dialect, shown, generic, _takes_system(trial))


def repr_of(form: AnswerFormat) -> str:
    """All text in it."""
    found: list[str] = []
    pending: list[Any] = [form]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, tuple):
            pending += value
        elif hasattr(value, "__slots__"):
            pending += [getattr(value, name) for name in value.__slots__]
    return "".join(found)


def _takes_system(trial: TemplateTrial) -> bool:
    told = "systemprobe"
    try:
        return told in trial.render([{"role": "system", "content": told}, QUESTION])
    except InvalidRequest:
        return False


def short_id(id_: str) -> str:
    """Nine letters and digits, which every template takes; the same for the same id."""
    if len(id_) == ID_LENGTH and id_.isalnum() and id_.isascii():
        return id_
    return hashlib.blake2b(id_.encode(errors="replace")).hexdigest()[:ID_LENGTH]


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    return value if isinstance(value, dict) else {"arguments": value}
