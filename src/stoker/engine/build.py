"""Builds an engine from its settings: which executor, how much KV memory, which scheduler."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from stoker.core.abilities import Abilities
from stoker.core.clock import SystemClock
from stoker.engine.adapters import Adapters
from stoker.engine.block_log import BlockLog
from stoker.engine.drafters import make_drafter
from stoker.engine.engine import Engine, engine_info
from stoker.engine.frames import EngineSettings
from stoker.engine.interface import EngineInfo
from stoker.errors import ConfigError
from stoker.executor.fake import FakeExecutor
from stoker.executor.interface import Executor
from stoker.executor.native import NativeExecutor, NativeOptions
from stoker.kv.block_hash import keyed_hash
from stoker.model.load import Model, open_model
from stoker.model.spec import DecoderSpec
from stoker.scheduler.options import SchedulerOptions
from stoker.scheduler.scheduler import Scheduler

Progress = Callable[[int, int], None]
Made = tuple[Executor, int, Callable[[], str], Abilities]
"""An executor, its vocabulary size, the name of its kernels once loaded, and its abilities."""

ORDINARY_TOKENS = 1024
"""Context a running sequence is expected to need when the KV pool's size is not given."""
LARGEST_SHARE_OF_MEMORY = 4


def build_engine(settings: EngineSettings, progress: Progress) -> tuple[Engine, EngineInfo]:
    """Loads the model. Raises SetupError's kinds."""
    make = _EXECUTORS.get(settings.executor)
    if make is None:
        raise ConfigError(f"there is no executor '{settings.executor}'")
    executor, vocab_size, kernels, abilities = make(settings, progress)
    memory = executor.load()
    options = SchedulerOptions(
        num_blocks=memory.num_blocks,
        block_size=memory.block_size,
        max_context=memory.max_context,
        max_running=min(settings.max_running, memory.max_step_sequences),
        max_step_tokens=memory.max_step_tokens,
        max_waiting=settings.max_waiting,
        inter_token_target=settings.inter_token_target,
        prefix_cache=settings.prefix_cache,
        whole_prompts=not abilities.generates,
        eos_token_ids=frozenset(settings.eos_token_ids),
    )
    hash_block = keyed_hash(settings.cache_key or secrets.token_bytes(32))
    block_log = BlockLog()
    scheduler = Scheduler(options, hash_block, block_log if settings.cache_key else None)
    drafter = make_drafter(settings, memory, vocab_size)
    adapters = Adapters(executor, settings.max_adapters, settings.adapter_bytes)
    engine = Engine(
        executor, scheduler, SystemClock(), vocab_size, abilities, block_log, drafter, adapters
    )
    return engine, engine_info(memory, scheduler, vocab_size, kernels(), abilities)


def _native(settings: EngineSettings, progress: Progress) -> Made:
    if settings.kv_bytes > _memory_bytes():
        raise ConfigError(
            f"engine.kv_cache_mib: {settings.kv_bytes >> 20} MiB is more than this machine has",
            hint=f"It has {_memory_bytes() >> 20} MiB in all; 0 chooses a size that fits.",
        )
    model = open_model(Path(settings.model_path)).without_metadata()
    if settings.quantize is not None:
        model = model.quantized(settings.quantize)
    options = NativeOptions(
        threads=settings.threads,
        kernels=settings.kernels,
        kv_bytes=settings.kv_bytes or _kv_bytes(model, settings),
        max_context=settings.max_context or model.spec.max_context,
        max_step_tokens=settings.max_step_tokens,
        max_step_sequences=settings.max_running,
    )
    executor = NativeExecutor(model, options, progress)
    return executor, model.spec.vocab_size, lambda: executor.decoder.kernels, _abilities(model.spec)


def _abilities(spec: DecoderSpec) -> Abilities:
    return Abilities(
        generates=spec.causal,
        hidden_size=spec.hidden_size,
        pooling=spec.pooling,
        labels=spec.labels,
        pairs=spec.token_types >= 2,
    )


def _fake(settings: EngineSettings, _progress: Progress) -> Made:
    fake = settings.fake
    return FakeExecutor(fake), fake.vocab_size, lambda: "fake", fake.abilities


_EXECUTORS: dict[str, Callable[[EngineSettings, Progress], Made]] = {
    "native": _native,
    "fake": _fake,
}


def _kv_bytes(model: Model, settings: EngineSettings) -> int:
    """Room for every running sequence at ordinary length, and for at least one of full length,
    within a quarter of the machine's memory. Pages are touched only as they are used."""
    per_token = model.spec.kv_values_per_token * 2
    context = settings.max_context or model.spec.max_context
    wanted = per_token * max(settings.max_running * ORDINARY_TOKENS, context)
    return min(wanted, _memory_bytes() // LARGEST_SHARE_OF_MEMORY)


def _memory_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 8 << 30
