"""Fields that chat and text completions share, and those of OpenAI's that we treat specially.

Nothing is swallowed: a field is used, or listed in Tolerated (it cannot change the answer), or
refused. The ranges in the annotations are checked by the decoder and appear in /openapi.json.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from stoker.api.openai.response_format import ResponseFormat, StructuredOutputs
from stoker.errors import UnsupportedConstraint

Temperature = Annotated[float, Meta(ge=0, le=2)]
Probability = Annotated[float, Meta(ge=0, le=1)]
TopP = Annotated[float, Meta(gt=0, le=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Repetition = Annotated[float, Meta(ge=0.01, le=10)]
"""Logits are divided by it: by less they would leave the range of their numbers."""
Bias = Annotated[float, Meta(ge=-100, le=100)]
TopK = Annotated[int, Meta(ge=-1, le=2**31 - 1)]
Seed = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
AtLeastOne = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Ignored = msgspec.Raw | msgspec.UnsetType
"""Any JSON, of which no objects are made: it would be held for as long as the request."""


class Tolerated(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Accepted and without effect: labels, billing, storage at OpenAI, and its own caches."""

    user: Ignored = msgspec.UNSET
    metadata: Ignored = msgspec.UNSET
    store: Ignored = msgspec.UNSET
    service_tier: Ignored = msgspec.UNSET
    safety_identifier: Ignored = msgspec.UNSET
    prompt_cache_key: Ignored = msgspec.UNSET
    prompt_cache_retention: Ignored = msgspec.UNSET


class StreamOptions(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    include_usage: bool | None = None
    include_obfuscation: Ignored = msgspec.UNSET


class SamplingFields(Tolerated, kw_only=True):
    model: str | None = None
    """None: the only one."""
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: AtLeastOne | None = None
    max_tokens: Count | None = None
    min_tokens: Count | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_k: TopK | None = None
    min_p: Probability | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repetition_penalty: Repetition | None = None
    logit_bias: dict[str, Bias] | None = None
    seed: Seed | None = None
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = None
    ignore_eos: bool | None = None
    prompt_logprobs: Count | None = None

    response_format: ResponseFormat | None = None
    guided_json: Any = None
    """vLLM's, as all that is guided: a schema, or the text of one."""
    guided_regex: str | None = None
    guided_choice: list[str] | None = None
    guided_grammar: str | None = None
    """Lark's notation or GBNF."""
    structured_outputs: StructuredOutputs | None = None
    grammar: str | None = None
    """llama.cpp's: GBNF."""
    json_schema: Any = None
    """llama.cpp's."""

    REFUSED: ClassVar[dict[str, tuple[object, ...]]] = {}
    """Fields we know but cannot honour → values that ask for nothing and are let through."""


def refuse_unsupported(request: msgspec.Struct, place: str = "") -> None:
    """Raises UnsupportedConstraint naming a field that asks for something we lack: one in the
    record's REFUSED, where it has that. `place` stands before the name."""
    refused: dict[str, tuple[object, ...]] = getattr(request, "REFUSED", {})
    for name, harmless in refused.items():
        value = getattr(request, name)
        if value is not None and value not in harmless:
            raise UnsupportedConstraint(
                f"'{place}{name}' is not supported",
                param=f"{place}{name}",
                hint="Leave the field out; the request is not served without what it asks for.",
            )
