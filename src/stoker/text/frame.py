"""The special tokens that a model wants around a text, or around the two of a pair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stoker.core.ids import TokenId
from stoker.text.vocabulary import Vocabulary, token_id

Tokens = tuple[TokenId, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    before: Tokens = ()
    between: Tokens = ()
    """The two texts of a pair."""
    after: Tokens = ()

    @property
    def size(self) -> int:
        """Tokens that it adds to one text."""
        return len(self.before) + len(self.after)

    @property
    def pair_size(self) -> int:
        return self.size + len(self.between)

    def one(self, text: Sequence[TokenId]) -> Tokens:
        return (*self.before, *text, *self.after)

    def pair(self, first: Sequence[TokenId], second: Sequence[TokenId]) -> tuple[Tokens, int]:
        """The tokens, and where the second text begins."""
        begun = (*self.before, *first, *self.between)
        return (*begun, *second, *self.after), len(begun)


NO_FRAME = Frame()


def frame_of(metadata: Mapping[str, Any], vocabulary: Vocabulary) -> Frame:
    """As the model's own tokenizer puts them. Raises what malformed metadata raises: KeyError,
    TypeError, ValueError, AttributeError or IndexError."""
    processor = metadata.get("tokenizer.json", {}).get("post_processor")
    for node in _steps(processor):
        if node.get("type") in ("BertProcessing", "RobertaProcessing"):
            separator = (int(node["sep"][1]),)
            return Frame((int(node["cls"][1]),), separator, separator)
        if node.get("type") == "TemplateProcessing":
            return _from_template(node, vocabulary)
    return Frame(_begin(vocabulary), (), _end(metadata, vocabulary))


def _begin(vocabulary: Vocabulary) -> Tokens:
    bos = vocabulary.bos_token_id
    return (bos,) if vocabulary.adds_bos and bos is not None else ()


def _end(metadata: Mapping[str, Any], vocabulary: Vocabulary) -> Tokens:
    end = token_id(metadata, "eos_token_id", vocabulary.tokens)
    return (end,) if metadata.get("tokenizer.ggml.add_eos_token") and end is not None else ()


def _steps(processor: Any) -> Iterator[dict[str, Any]]:
    if isinstance(processor, dict):
        yield processor
        for step in processor.get("processors") or []:
            yield from _steps(step)


def _from_template(node: Mapping[str, Any], vocabulary: Vocabulary) -> Frame:
    specials: dict[str, Tokens] = {name: (i,) for name, i in vocabulary.control_tokens.items()}
    for name, entry in (node.get("special_tokens") or {}).items():
        specials[name] = tuple(int(i) for i in entry["ids"])
    before, after = _around(node["single"], "A", specials)
    _, rest = _around(node.get("pair") or [], "A", specials)
    between = rest[: len(rest) - len(after)] if after else rest
    if vocabulary.bos_token_id is not None:  # whether it begins a text is said elsewhere too
        before = _begin(vocabulary)
    return Frame(before, between, after)


def _around(
    template: Sequence[Mapping[str, Any]], text: str, specials: Mapping[str, Tokens]
) -> tuple[Tokens, Tokens]:
    """The special tokens before and behind a text in a template."""
    before: list[TokenId] = []
    after: list[TokenId] = []
    side = before
    for piece in template:
        if "SpecialToken" in piece:
            side += specials[piece["SpecialToken"]["id"]]
        elif piece["Sequence"]["id"] == text:
            side = after
    return tuple(before), tuple(after)
