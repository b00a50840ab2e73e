"""The wire records of text-generation-inference."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from stoker.api.openai.fields import AtLeastOne, Count, Penalty, Repetition, TopK, TopP

Warm = Annotated[float, Meta(gt=0, le=2)]
UnsignedSeed = Annotated[int, Meta(ge=0)]
"""Under 2^64, a bound that the decoder cannot check."""


class Grammar(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    type: Literal["json", "json_schema", "regex"]
    value: Any


class Parameters(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    max_new_tokens: AtLeastOne | None = None
    do_sample: bool | None = None
    """Or any of temperature, top_k and top_p; without them the likeliest token is taken."""
    temperature: Warm | None = None
    top_k: TopK | None = None
    top_p: TopP | None = None
    repetition_penalty: Repetition | None = None
    frequency_penalty: Penalty | None = None
    seed: UnsignedSeed | None = None
    stop: list[str] | None = None
    return_full_text: bool | None = None
    details: bool | None = None
    decoder_input_details: bool | None = None
    """The prompt's tokens and their log probabilities; not while streaming."""
    top_n_tokens: Count | None = None
    grammar: Grammar | None = None

    best_of: Any = None
    typical_p: Any = None
    truncate: Any = None
    watermark: Any = None
    adapter_id: Any = None

    REFUSED: ClassVar[dict[str, tuple[object, ...]]] = {
        "best_of": (1,),
        "typical_p": (),
        "truncate": (),
        "watermark": (False,),
        "adapter_id": (),
    }


class GenerateRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    inputs: str
    parameters: Parameters | None = None
    stream: bool | None = None
    model: str | None = None
    """Ours: needed where several models are served."""


class GeneratedToken(msgspec.Struct, frozen=True):
    id: int
    text: str
    logprob: float
    special: bool


class PrefillToken(msgspec.Struct, frozen=True):
    id: int
    text: str
    logprob: float | None
    """None for the first, which nothing predicted."""


class GeneratedDetails(msgspec.Struct, frozen=True, kw_only=True):
    finish_reason: str
    generated_tokens: int
    seed: int | None
    prefill: list[PrefillToken]
    tokens: list[GeneratedToken]
    top_tokens: list[list[GeneratedToken]] | msgspec.UnsetType = msgspec.UNSET


class Generated(msgspec.Struct, frozen=True):
    generated_text: str
    details: GeneratedDetails | None = None


class StreamDetails(msgspec.Struct, frozen=True):
    finish_reason: str
    generated_tokens: int
    seed: int | None
    input_length: int


class GeneratedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The last one has the whole text."""

    index: int
    token: GeneratedToken
    top_tokens: list[GeneratedToken] | msgspec.UnsetType = msgspec.UNSET
    generated_text: str | None = None
    details: StreamDetails | None = None
