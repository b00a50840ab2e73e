"""A model loaded into this process for `run` and `chat`, with a bar for each slow step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from stoker.cli.progress import bar
from stoker.config.schema import Config
from stoker.core.sampling import SamplingParams

if TYPE_CHECKING:
    from stoker.llm import LLM


@contextmanager
def local_model(config: Config) -> Iterator[LLM]:
    """Fetched, quantised if asked for, loaded, and closed at the end. Raises SetupError's kinds."""
    from stoker.cli.fetch import fetch
    from stoker.llm import LLM

    path = fetch(config.model)
    with bar(f"Loading {config.model.name}") as progress:
        engine = msgspec.structs.asdict(config.engine)
        llm = LLM(
            str(path),
            quantize=config.model.quantize,
            cache=config.model.cache,
            progress=progress,
            **engine,
        )
    with llm:
        yield llm


def within_context(llm: LLM, num_prompt_tokens: int, sampling: SamplingParams) -> SamplingParams:
    """With no more new tokens than the context leaves: a default must not be what is refused."""
    room = max(1, llm.info.max_context - num_prompt_tokens)
    return msgspec.structs.replace(sampling, max_tokens=min(sampling.max_tokens, room))
