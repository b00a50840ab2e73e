"""Which families there are. Adding one is a file in families/ and a line here."""

from __future__ import annotations

import difflib

from stoker.errors import UnsupportedModel
from stoker.model.families.family import Family
from stoker.model.families.gemma import GEMMA3, GEMMA3_TEXT
from stoker.model.families.llama import LLAMA, MISTRAL
from stoker.model.families.qwen import QWEN2, QWEN3

FAMILIES: dict[str, Family] = {
    family.name: family for family in (LLAMA, MISTRAL, QWEN2, QWEN3, GEMMA3, GEMMA3_TEXT)
}


def find_family(name: str) -> Family:
    """Raises UnsupportedModel naming the architecture and the nearest one we have."""
    family = FAMILIES.get(name)
    if family is not None:
        return family
    nearest = difflib.get_close_matches(name, FAMILIES, n=1, cutoff=0.4)
    hint = f"The nearest supported one is '{nearest[0]}'." if nearest else ""
    raise UnsupportedModel(f"architecture '{name}' is not supported", hint=hint)
