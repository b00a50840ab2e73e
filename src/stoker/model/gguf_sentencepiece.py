"""A folder's SentencePiece tokenizer (BPE over characters, bytes as a last resort) as GGUF has it.

GGUF readers join the neighbouring tokens whose whole scores highest. tokenizer.json lists which
pairs are joined, and in what order. The two agree when every pair that makes a token is listed and
pairs of one token stand together, as in files made from a SentencePiece model; scores are then the
order of the tokens. Runs of one letter, such as spaces, may be mixed among themselves: they share a
score. Whatever else would be split differently, so it is refused.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stoker.errors import UnsupportedModel
from stoker.model.weights import gguf_writer as gguf

SPACE = "\u2581"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
"""Token types of GGUF."""
UNMADE = 1000.0
"""Minus the score of tokens that are never made by joining."""
_BYTE_TOKEN = re.compile(r"<0x[0-9A-Fa-f]{2}>")

Pair = tuple[str, str]


def sentencepiece_entries(
    tokenizer: Mapping[str, Any], tokens: Sequence[str], types: Sequence[int]
) -> list[bytes]:
    """`tokens` and `types` are as for any tokenizer. Raises UnsupportedModel."""
    model = tokenizer["model"]
    adds_space = _adds_space(tokenizer)
    unknown = model.get("unk_token")
    spelled, kinds = [], []
    for token, kind in zip(tokens, types, strict=True):
        if kind == NORMAL and _BYTE_TOKEN.fullmatch(token):
            kind = BYTE
        # Readers look for these in text whose spaces are not replaced yet.
        spelled.append(token.replace(SPACE, " ") if kind == USER_DEFINED else token)
        kinds.append(UNKNOWN if token == unknown else kind)
    if kinds.count(BYTE) != 256 or model.get("ignore_merges"):
        raise _unlike("lacks bytes to fall back on, or takes whole words first")
    entries = [
        gguf.text("tokenizer.ggml.model", "llama"),
        gguf.text("tokenizer.ggml.pre", "default"),
        gguf.texts("tokenizer.ggml.tokens", spelled),
        gguf.numbers("tokenizer.ggml.scores", _scores(tokens, kinds, _pairs(model["merges"]))),
        gguf.integers("tokenizer.ggml.token_type", kinds),
        gguf.flag("tokenizer.ggml.add_space_prefix", adds_space),
    ]
    if unknown in tokens:
        entries.append(gguf.count("tokenizer.ggml.unknown_token_id", tokens.index(unknown)))
    return entries


def _pairs(merges: Iterable[Any]) -> list[Pair]:
    split = (merge.split(" ", 1) if isinstance(merge, str) else merge for merge in merges)
    return [(left, right) for left, right in split]


def _scores(tokens: Sequence[str], kinds: Sequence[int], pairs: Sequence[Pair]) -> list[float]:
    """Higher for tokens that are made earlier. Raises UnsupportedModel, as said at the top."""
    normal = {token for token, kind in zip(tokens, kinds, strict=True) if kind == NORMAL}
    listed: defaultdict[str, set[Pair]] = defaultdict(set)
    for pair in pairs:
        listed["".join(pair)].add(pair)
    for token in normal:
        cuts = ((token[:cut], token[cut:]) for cut in range(1, len(token)))
        if not listed[token].issuperset(p for p in cuts if p[0] in normal and p[1] in normal):
            raise _unlike(f"does not join all pairs that make {token!r}")
    places = _places("".join(pair) for pair in pairs if "".join(pair) in normal)
    joined = zip(tokens, kinds, strict=True)
    return [-float(places.get(token, UNMADE)) if kind == NORMAL else -UNMADE
            for token, kind in joined]  # fmt: skip


def _places(wholes: Iterable[str]) -> dict[str, int]:
    """Token → its place in the order, from what each pair in turn makes."""
    places: dict[str, int] = {}
    for _, together in itertools.groupby(wholes, key=_letter_or_itself):
        turns = [whole for whole, _ in itertools.groupby(together)]
        mixed = len(set(turns)) < len(turns)
        first = len(places)
        for whole in dict.fromkeys(turns):
            if whole in places:
                raise _unlike(f"joins {whole!r} at two places of its order")
            places[whole] = first if mixed else len(places)
    return places


def _letter_or_itself(token: str) -> str:
    return token[0] if token == token[0] * len(token) else token


def _adds_space(tokenizer: Mapping[str, Any]) -> bool:
    """Whether a space is put before all text. Raises UnsupportedModel for a step GGUF lacks."""
    effects = [_effect(step) for step in _steps(tokenizer, "normalizer", "normalizers")]
    effects += [_effect(step) for step in _steps(tokenizer, "pre_tokenizer", "pretokenizers")]
    if not any("spaces" in effect for effect in effects):
        raise _unlike("does not write spaces as SentencePiece does")
    return any("prefix" in effect for effect in effects)


def _steps(tokenizer: Mapping[str, Any], part: str, inner: str) -> list[Mapping[str, Any]]:
    found = tokenizer.get(part)
    return [] if found is None else found.get(inner, [found])


def _effect(step: Mapping[str, Any]) -> set[str]:
    match step:
        case {"type": "Prepend", "prepend": "\u2581"}:
            return {"prefix"}
        case {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}:
            return {"spaces"}
        case {"type": "Metaspace", "replacement": "\u2581", "split": False}:
            scheme = step.get("prepend_scheme", "always")
            return {"spaces"} if scheme == "never" else {"spaces", "prefix"}
        case {"type": "Split", "pattern": {"String": " "}}:
            return set()  # there are none left by then
    raise _unlike(f"has a step '{step.get('type')}'")


def _unlike(reason: str) -> UnsupportedModel:
    return UnsupportedModel(
        f"the folder's tokenizer {reason}, which GGUF files cannot state",
        hint="Serve the folder itself; --quantize makes it smaller while it loads.",
    )
