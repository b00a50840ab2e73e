"""How each byte-level vocabulary splits text before merging, by the name GGUF files give it.

A recipe is data: patterns applied one after another, each cutting the pieces the last one left.
The patterns are part of the trained models, as published in their tokenizer files.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from stoker.errors import UnsupportedModel

_SUFFIXES = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SPACES = r"\s+(?!\S)|\s+"
_LINES = rf"\s*[\r\n]+|{_SPACES}"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_START = r"[^\r\n\p{L}\p{N}]?"

GPT2_PATTERN = (
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|" + _SPACES  # one word a piece
)
_SYMBOLS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_CL100K = rf"{_SUFFIXES}|{_START}\p{{L}}+|%s|{_SYMBOLS}|{_LINES}"
_MARKS = (
    rf"{_SUFFIXES}|{_START}[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_LINES}"
)
_CASED = (
    rf"{_START}{_UPPER}*{_LOWER}+%s|{_START}{_UPPER}+{_LOWER}*%s|%s"
    rf"| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_LINES}"
)
_CHINESE = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
_DEEPSEEK_WORDS = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    rf"| ?[\p{{P}}\p{{S}}]+[\r\n]*|{_LINES}"
)
_DEEPSEEK_PUNCTUATION = "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"


class Recipe(NamedTuple):
    patterns: tuple[str, ...]
    composed: bool = False
    """Text is put into Unicode form NFC first."""
    whole_words: bool = False
    """A word that is a token itself is not built from merges (Llama 3)."""


_GPT2 = Recipe((GPT2_PATTERN,))
_DIGITS = Recipe((r"\p{N}", GPT2_PATTERN))
_LLAMA3 = Recipe((_CL100K % r"\p{N}{1,3}",), whole_words=True)
_GLM4 = Recipe((_CL100K % r"\p{N}{1,3}",))
_QWEN2 = Recipe((_CL100K % r"\p{N}",), composed=True)
_DEEPSEEK3 = Recipe((r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", _DEEPSEEK_WORDS))
_GPT4O = Recipe((_CASED % (_SUFFIXES + "?", _SUFFIXES + "?", r"\p{N}{1,3}"),))

_RECIPES = {
    "default": _GPT2,
    "gpt-2": _GPT2,
    "mpt": _GPT2,
    "olmo": _GPT2,
    "exaone4": _GPT2,
    "granite-docling": _GPT2,
    "smollm": _DIGITS,
    "starcoder": _DIGITS,
    "refact": _DIGITS,
    "command-r": _DIGITS,
    "codeshell": _DIGITS,
    "exaone": _DIGITS,
    "llama-bpe": _LLAMA3,
    "llama3": _LLAMA3,
    "llama-v3": _LLAMA3,
    "falcon3": _LLAMA3,
    "lfm2": _LLAMA3,
    "chatglm-bpe": _GLM4,
    "glm4": _GLM4,
    "qwen2": _QWEN2,
    "deepseek-r1-qwen": _QWEN2,
    "megrez": _QWEN2,
    "stablelm2": _QWEN2,
    "qwen35": Recipe((_MARKS,)),
    "deepseek-llm": Recipe(
        (
            r"[\r\n]",
            r"\s?[\p{Lu}\p{Ll}\p{Lt}]+",
            _DEEPSEEK_PUNCTUATION,
            r"\s+$",
            _CHINESE,
            r"\p{N}+",
        )
    ),
    "deepseek-coder": Recipe((r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _CHINESE, r"\p{N}")),
    "deepseek-v3": _DEEPSEEK3,
    "falcon": Recipe((r"[\p{P}\$\+<=>\^~\|`]+", GPT2_PATTERN, r"[0-9][0-9][0-9]")),
    "tekken": Recipe((_CASED % ("", "", r"\p{N}"),), whole_words=True),
    "gpt-4o": _GPT4O,
    "llama4": _GPT4O,
}


def recipe(name: str) -> Recipe:
    """Raises UnsupportedModel for a splitting rule we do not know: guessing would give other
    tokens than the model was trained on, silently."""
    found = _RECIPES.get(name)
    if found is None:
        raise UnsupportedModel(
            f"the tokenizer splits text by the rule '{name}', which is not supported",
            hint=f"Supported: {', '.join(sorted(_RECIPES))}.",
        )
    return found


def split_steps(found: Recipe) -> list[dict[str, Any]]:
    """The recipe as pre-tokenisers of tokenizer.json."""
    splits: list[dict[str, Any]] = [
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        for pattern in found.patterns
    ]
    spelling = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": False,
        "use_regex": False,
    }
    return [*splits, spelling]
