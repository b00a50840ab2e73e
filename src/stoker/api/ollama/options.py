"""The options of a request in Ollama's interface, and what they are called in ours."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from stoker.api.openai.fields import (
    Ignored,
    Penalty,
    Probability,
    Repetition,
    Seed,
    Temperature,
    TopK,
    TopP,
    refuse_unsupported,
)
from stoker.api.penalty_window import check_window
from stoker.errors import InvalidRequest

Length = Annotated[int, Meta(ge=-2, le=2**31 - 1)]
"""-1 and -2: all that the context holds."""


class OllamaOptions(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    seed: Seed | None = None
    num_predict: Length | None = None
    temperature: Temperature | None = None
    top_k: TopK | None = None
    top_p: TopP | None = None
    min_p: Probability | None = None
    repeat_penalty: Repetition | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repeat_last_n: Length | None = None
    """Ours are over the whole text, so only -1 is taken where anything is penalised."""
    stop: str | list[str] | None = None

    numa: Ignored = msgspec.UNSET
    """How a model is loaded is the operator's to say; so with those that follow. What does not fit
    into the context is refused and never cut, so that `num_keep` is kept, too."""
    num_ctx: Ignored = msgspec.UNSET
    num_batch: Ignored = msgspec.UNSET
    num_gpu: Ignored = msgspec.UNSET
    main_gpu: Ignored = msgspec.UNSET
    low_vram: Ignored = msgspec.UNSET
    f16_kv: Ignored = msgspec.UNSET
    use_mmap: Ignored = msgspec.UNSET
    use_mlock: Ignored = msgspec.UNSET
    num_thread: Ignored = msgspec.UNSET
    num_keep: Ignored = msgspec.UNSET
    mirostat_tau: Ignored = msgspec.UNSET
    """Without effect, since mirostat must be off; so with the next."""
    mirostat_eta: Ignored = msgspec.UNSET

    tfs_z: Any = None
    typical_p: Any = None
    mirostat: Any = None
    penalize_newline: Any = None
    logits_all: Any = None
    vocab_only: Any = None
    embedding_only: Any = None

    REFUSED: ClassVar[dict[str, tuple[object, ...]]] = {
        "tfs_z": (1,),
        "typical_p": (1,),
        "mirostat": (0,),
        "penalize_newline": (True,),
        "logits_all": (False,),
        "vocab_only": (False,),
        "embedding_only": (False,),
    }


class OurOptions(msgspec.Struct, frozen=True):
    length: int | None
    """The most tokens, as far as the context holds them; None: all that it holds."""
    fields: dict[str, Any]
    """Of our request."""


def our_options(options: OllamaOptions) -> OurOptions:
    """Raises RequestError."""
    refuse_unsupported(options, "options.")
    check_window(
        options.repeat_last_n,
        "options.repeat_last_n",
        repeat=options.repeat_penalty,
        presence=options.presence_penalty,
        frequency=options.frequency_penalty,
    )
    length = options.num_predict
    if length == 0:
        raise InvalidRequest("'options.num_predict' must not be 0", param="options.num_predict")
    fields = {
        "seed": options.seed,
        "temperature": options.temperature,
        "top_k": options.top_k,
        "top_p": options.top_p,
        "min_p": options.min_p,
        "repetition_penalty": options.repeat_penalty,
        "presence_penalty": options.presence_penalty,
        "frequency_penalty": options.frequency_penalty,
        "stop": options.stop,
    }
    return OurOptions(length if length is not None and length > 0 else None, fields)
