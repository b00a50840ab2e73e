"""From configuration to what an engine process is told."""

from __future__ import annotations

import os
from pathlib import Path

from stoker.config.schema import Config
from stoker.constrain.token_table import TokenTable
from stoker.engine.frames import EngineSettings


def engine_settings(
    config: Config, model: Path, token_table: TokenTable, draft: Path | None = None
) -> EngineSettings:
    engine = config.engine
    return EngineSettings(
        model_path=str(model),
        quantize=config.model.quantize,
        draft_path="" if draft is None else str(draft),
        threads=engine.threads or len(os.sched_getaffinity(0)),
        kernels=engine.kernels,
        kv_bytes=engine.kv_cache_mib << 20,
        max_context=engine.max_context,
        max_running=engine.max_running,
        max_waiting=engine.max_waiting,
        max_step_tokens=engine.max_step_tokens,
        inter_token_target=engine.inter_token_target_ms / 1000.0,
        prefix_cache=engine.prefix_cache,
        max_adapters=engine.max_adapters,
        adapter_bytes=engine.adapter_mib << 20,
        speculation=engine.speculation,
        eos_token_ids=token_table.ends,
        token_table=token_table,
    )
