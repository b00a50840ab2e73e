"""Who guesses ahead for an engine: nobody, the text itself, or a smaller model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stoker.engine.frames import EngineSettings
from stoker.engine.model_drafter import ModelDrafter
from stoker.errors import ConfigError
from stoker.executor.interface import MemoryPlan
from stoker.executor.native import NativeExecutor, NativeOptions
from stoker.model.load import Model, open_model
from stoker.scheduler.prompt_lookup import PromptLookup
from stoker.scheduler.speculation import Drafter

_SIMPLE: dict[str, Callable[[], Drafter]] = {"off": Drafter, "prompt_lookup": PromptLookup}


def make_drafter(settings: EngineSettings, memory: MemoryPlan, vocab_size: int) -> Drafter:
    """For an engine with this pool. Raises SetupError's kinds."""
    if not settings.draft_path:
        return _SIMPLE[settings.speculation]()
    model = open_model(Path(settings.draft_path)).without_metadata()
    _check(model, memory, vocab_size)
    executor = NativeExecutor(
        model,
        NativeOptions(
            threads=settings.threads,
            kernels=settings.kernels,
            kv_bytes=2 * model.spec.kv_values_per_token * memory.block_size * memory.num_blocks,
            max_context=memory.max_context,
            max_step_tokens=memory.max_step_tokens,
            max_step_sequences=memory.max_step_sequences,
        ),
    )
    executor.load()
    return ModelDrafter(executor)


def _check(model: Model, memory: MemoryPlan, vocab_size: int) -> None:
    if model.spec.vocab_size != vocab_size:
        raise ConfigError(
            f"the draft model has {model.spec.vocab_size} tokens, the model {vocab_size}",
            param="draft",
            hint="Take a smaller model of the same family.",
        )
    if model.spec.max_context < memory.max_context:
        raise ConfigError(
            f"the draft model ends at {model.spec.max_context} tokens of context, the model at "
            f"{memory.max_context}",
            param="draft",
            hint="Set engine.max_context to the lower of the two.",
        )
