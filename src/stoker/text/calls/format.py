"""How a model writes reasoning, text and tool calls: what is derived from its chat template.

Control tokens stand in all of it as lone surrogates (see markers.py), which no text can hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from stoker.text.calls.literal import Literal

NOTHING = Literal(())


@dataclass(frozen=True, slots=True)
class ReasoningFormat:
    open: Literal
    """Empty where only the prompt opens it."""
    close: Literal
    begun: str
    """A prompt that ends with this, white space aside, has opened it."""


@dataclass(frozen=True, slots=True)
class ObjectCall:
    """A JSON object holds name and arguments. Without a key for the name it is the one key."""

    name_key: str | None
    arguments_key: str


@dataclass(frozen=True, slots=True)
class JsonArguments:
    """The arguments as one JSON value."""


@dataclass(frozen=True, slots=True)
class TaggedArguments:
    """Each argument between tags; a string stands as it is, anything else as JSON."""

    key_open: Literal
    value_open: Literal
    """Between key and value. Its hole, if it has one, says the type."""
    value_close: Literal
    string_word: str | None
    """What stands in that hole before a string."""
    padding: tuple[str, str]
    """White space around a value that is not part of it."""
    wrapping: tuple[str, str] = ("", "")
    """What may stand around a string besides: XML's CDATA."""


@dataclass(frozen=True, slots=True)
class PlainArguments:
    """`key=value, key=value` with values as programs write them."""

    assign: str
    quote: str
    """Around strings."""


@dataclass(frozen=True, slots=True)
class NamedCall:
    """The name, what ends it, and the arguments."""

    name_end: Literal
    arguments: JsonArguments | TaggedArguments | PlainArguments


@dataclass(frozen=True, slots=True)
class CallsFormat:
    section_open: Literal
    call_open: Literal
    call: ObjectCall | NamedCall
    call_close: Literal
    separator: Literal
    """Between two calls; a comma may always stand there."""
    section_close: Literal
    begun: str = ""
    """A prompt that ends with this has written what comes before the first call."""

    @property
    def opening(self) -> Literal:
        return Literal((*self.section_open.words, *self.call_open.words))


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    reasoning: ReasoningFormat | None = None
    calls: CallsFormat | None = None
    content_open: Literal = NOTHING
    closings: tuple[Literal, ...] = field(default=())
    """What may stand after text and is not part of it."""
