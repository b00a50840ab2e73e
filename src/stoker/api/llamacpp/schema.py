"""The wire records of llama.cpp's completions: what is asked."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from stoker.api.openai.fields import (
    Bias,
    Count,
    Ignored,
    Penalty,
    Probability,
    Repetition,
    Seed,
    TopK,
    TopP,
)

Length = Annotated[int, Meta(ge=-2, le=2**31 - 1)]
"""-1 and -2: all that the context holds."""
Warmth = Annotated[float, Meta(ge=-1, le=2)]
"""Below 0 as at 0: the likeliest token is taken."""


class LlamaCppRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    prompt: str | list[str | int | list[int]]
    """A text, several texts, token ids, or several lists of them."""
    model: str | None = None
    stream: bool | None = None
    n_predict: Length | None = None
    temperature: Warmth | None = None
    top_k: TopK | None = None
    top_p: TopP | None = None
    min_p: Probability | None = None
    repeat_penalty: Repetition | None = None
    repeat_last_n: Length | None = None
    """Ours are over the whole text, so only -1 is taken where anything is penalised."""
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    seed: Seed | None = None
    """-1: draw one."""
    stop: str | list[str] | None = None
    ignore_eos: bool | None = None
    logit_bias: dict[str, Bias] | list[tuple[int, Bias | bool]] | None = None
    """`false` as a bias: never."""
    n_probs: Count | None = None
    return_tokens: bool | None = None
    json_schema: Any = None
    grammar: Any = None

    cache_prompt: Ignored = msgspec.UNSET
    """Prompts that begin alike always share their beginning, so there is no slot to choose."""
    id_slot: Ignored = msgspec.UNSET
    n_keep: Ignored = msgspec.UNSET
    """What does not fit is refused and never cut."""
    n_discard: Ignored = msgspec.UNSET
    mirostat_tau: Ignored = msgspec.UNSET
    """Without effect as long as what they belong to is off; so with the rest."""
    mirostat_eta: Ignored = msgspec.UNSET
    dynatemp_exponent: Ignored = msgspec.UNSET
    xtc_threshold: Ignored = msgspec.UNSET
    dry_base: Ignored = msgspec.UNSET
    dry_allowed_length: Ignored = msgspec.UNSET
    dry_penalty_last_n: Ignored = msgspec.UNSET
    dry_sequence_breakers: Ignored = msgspec.UNSET

    mirostat: Any = None
    dynatemp_range: Any = None
    xtc_probability: Any = None
    dry_multiplier: Any = None
    typical_p: Any = None
    typ_p: Any = None
    top_n_sigma: Any = None
    min_keep: Any = None
    samplers: Any = None
    n_indent: Any = None
    n_cmpl: Any = None
    t_max_predict_ms: Any = None
    image_data: Any = None
    multimodal_data: Any = None
    lora: Any = None
    response_fields: Any = None
    post_sampling_probs: Any = None
    timings_per_token: Any = None
    return_progress: Any = None

    REFUSED: ClassVar[dict[str, tuple[object, ...]]] = {
        "mirostat": (0,),
        "dynatemp_range": (0,),
        "xtc_probability": (0,),
        "dry_multiplier": (0,),
        "typical_p": (1,),
        "typ_p": (1,),
        "top_n_sigma": (-1,),
        "min_keep": (0, 1),
        "samplers": (),
        "n_indent": (0,),
        "n_cmpl": (1,),
        "t_max_predict_ms": (0, -1),
        "image_data": ([],),
        "multimodal_data": ([],),
        "lora": ([],),
        "response_fields": ([],),
        "post_sampling_probs": (False,),
        "timings_per_token": (False,),
        "return_progress": (False,),
    }
