"""The configuration as one frozen tree of small sections. Constructors take their own section.

Every limit has a default that is safe on a public address (docs/behaviour.md).
"""

from __future__ import annotations

import msgspec


class ModelSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str = "smollm2:135m"
    """A catalog name, a path, or a hub repository."""
    served_name: str | None = None
    """What clients call it; default: `name`."""
    quantize: str | None = None
    """q8_0, q4_1 or q4_k: quantise safetensors weights while loading."""


class EngineSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    threads: int = 0
    """0: one per core this process may use."""
    kernels: str = "auto"
    """auto, avx512_vnni, avx2 or portable."""
    kv_cache_mib: int = 0
    """0: as much as max_running sequences of ordinary length need, at most a quarter of memory."""
    block_size: int = 16
    max_context: int = 0
    """0: the model's own limit."""
    max_running: int = 64
    max_step_tokens: int = 2048
    inter_token_target_ms: float = 100.0
    """Running streams should not wait longer than this because of other prompts."""
    prefix_cache: bool = True
    max_waiting: int = 256
    """Requests; beyond it new ones are refused with 429."""
    max_restarts: int = 5
    """Within ten minutes; beyond it the server gives up and exits."""


class LimitsSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    header_bytes: int = 32 * 1024
    header_count: int = 100
    body_bytes: int = 2 * 1024 * 1024
    body_seconds: float = 30.0
    idle_seconds: float = 75.0
    send_seconds: float = 30.0
    request_seconds: float = 600.0
    json_depth: int = 32
    messages: int = 1024
    content_parts: int = 64
    tools: int = 128
    n: int = 8
    batch_prompts: int = 64
    top_logprobs: int = 20
    stops: int = 4
    stop_characters: int = 256
    logit_bias: int = 300
    template_bytes: int = 64 * 1024
    template_milliseconds: int = 250
    stream_buffer_bytes: int = 64 * 1024


class ServerSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    host: str = "127.0.0.1"
    port: int = 8000
    allowed_hosts: tuple[str, ...] = ()
    """Host names accepted besides loopback ones and the address listened on."""
    api_key: str | None = None
    """Required when listening on anything but loopback. Never printed."""
    drain_seconds: float = 30.0


class LogSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    level: str = "info"
    format: str = "text"
    """text or json. Prompts and keys are never logged."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model: ModelSection = ModelSection()
    engine: EngineSection = EngineSection()
    server: ServerSection = ServerSection()
    limits: LimitsSection = LimitsSection()
    log: LogSection = LogSection()
