"""How each byte-level vocabulary splits text before merging, by the name GGUF files give it.

A recipe is a normaliser (or None) and a list of pre-tokenisers, in the terms of tokenizer.json.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from stoker.errors import UnsupportedModel

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


class Recipe(NamedTuple):
    normalizer: dict[str, Any] | None
    steps: list[dict[str, Any]]
    ignore_merges: bool = False
    """A word that is a token itself is not built from merges (Llama 3)."""


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _bytes(*, use_regex: bool) -> dict[str, Any]:
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": False,
        "use_regex": use_regex,
    }


_DIGITS = {"type": "Digits", "individual_digits": True}
_GPT2 = Recipe(None, [_bytes(use_regex=True)])
_DIGITS_GPT2 = Recipe(None, [_DIGITS, _bytes(use_regex=True)])
_LLAMA3 = Recipe(
    None,
    [_split(f"{_CONTRACTIONS}|{_WORDS}|\\p{{N}}{{1,3}}|{_REST}"), _bytes(use_regex=False)],
    ignore_merges=True,
)
_QWEN2 = Recipe(
    {"type": "NFC"},
    [_split(f"{_CONTRACTIONS}|{_WORDS}|\\p{{N}}|{_REST}"), _bytes(use_regex=False)],
)

_RECIPES = {
    "default": _GPT2,
    "gpt-2": _GPT2,
    "smollm": _DIGITS_GPT2,
    "starcoder": _DIGITS_GPT2,
    "refact": _DIGITS_GPT2,
    "command-r": _DIGITS_GPT2,
    "llama-bpe": _LLAMA3,
    "llama3": _LLAMA3,
    "llama-v3": _LLAMA3,
    "qwen2": _QWEN2,
    "deepseek-r1-qwen": _QWEN2,
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
