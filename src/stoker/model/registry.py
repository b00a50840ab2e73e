"""Which families there are. Adding one is a file in families/ and a line here."""

from __future__ import annotations

import difflib

from stoker.errors import UnsupportedModel
from stoker.model.families.bert import BERT
from stoker.model.families.falcon import FALCON
from stoker.model.families.family import Family
from stoker.model.families.gemma import GEMMA3, GEMMA3_TEXT
from stoker.model.families.gemma2 import GEMMA2
from stoker.model.families.gpt2 import GPT2
from stoker.model.families.gpt_neox import GPT_NEOX
from stoker.model.families.gpt_oss import GPT_OSS
from stoker.model.families.granite import GRANITE
from stoker.model.families.llama import LLAMA, MISTRAL
from stoker.model.families.olmo import OLMO2
from stoker.model.families.phi import PHI3
from stoker.model.families.qwen import QWEN2, QWEN3
from stoker.model.families.qwen_moe import MIXTRAL, QWEN2_MOE, QWEN3_MOE
from stoker.model.families.starcoder import STARCODER2

FAMILIES: tuple[Family, ...] = (
    LLAMA, MISTRAL, QWEN2, QWEN3, GEMMA2, GEMMA3, GEMMA3_TEXT, PHI3, OLMO2, GRANITE, STARCODER2,
    GPT2, GPT_NEOX, FALCON, MIXTRAL, QWEN2_MOE, QWEN3_MOE, GPT_OSS, BERT,
)  # fmt: skip
_BY_NAME = {family.gguf_name: family for family in reversed(FAMILIES)} | {
    family.name: family for family in FAMILIES
}
"""Of families that share GGUF's name, the first reads its files."""


def find_family(name: str) -> Family:
    """By Hugging Face's model_type or GGUF's architecture.

    Raises UnsupportedModel naming the architecture and the nearest one we have.
    """
    family = _BY_NAME.get(name)
    if family is not None:
        return family
    nearest = difflib.get_close_matches(name, _BY_NAME, n=1, cutoff=0.4)
    hint = f"The nearest supported one is '{nearest[0]}'." if nearest else ""
    raise UnsupportedModel(f"architecture '{name}' is not supported", hint=hint)
