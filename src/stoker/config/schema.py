"""The configuration as one frozen tree of small sections. Constructors take their own section.

Every limit has a default that is safe on a public address (docs/behaviour.md). The annotations
carry the allowed range, so that a wrong value is refused before anything starts.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Positive = Annotated[int, msgspec.Meta(ge=1)]
Automatic = Annotated[int, msgspec.Meta(ge=0)]
"""0 asks for a value chosen at start-up."""
Duration = Annotated[float, msgspec.Meta(gt=0)]


class ModelSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str = "smollm2:135m"
    """A catalog name, a path, or a hub repository."""
    served_name: str | None = None
    """What clients call it; default: `name`."""
    quantize: Literal["q8_0", "q4_1", "q4_k"] | None = None
    """Quantise safetensors weights while loading."""
    cache: str = ""
    """Folder for downloaded weights; empty: ~/.cache/stoker."""


class EngineSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    threads: Automatic = 0
    """0: one per core this process may use."""
    kernels: Literal["auto", "avx512_vnni", "avx2", "portable"] = "auto"
    kv_cache_mib: Automatic = 0
    """0: as much as max_running sequences of ordinary length need, at most a quarter of memory."""
    max_context: Automatic = 0
    """0: the model's own limit."""
    max_running: Positive = 64
    max_step_tokens: Positive = 2048
    inter_token_target_ms: Duration = 100.0
    """Running streams should not wait longer than this because of other prompts."""
    prefix_cache: bool = True
    max_waiting: Positive = 256
    """Requests; beyond it new ones are refused with 429."""
    max_restarts: Automatic = 5
    """Within ten minutes; beyond it the server gives up and exits. 0: never restart."""


class LimitsSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    header_bytes: Positive = 32 * 1024
    header_count: Positive = 100
    header_seconds: Duration = 10.0
    line_bytes: Positive = 8 * 1024
    """Of the request line or one header."""
    connections: Automatic = 0
    """Those without a request are closed to keep to it. 0: what the limit of open files leaves."""
    open_requests: Positive = 2048
    """Being read or answered, streams included; beyond it new ones are refused with 429."""
    body_bytes: Positive = 2 * 1024 * 1024
    body_seconds: Duration = 30.0
    idle_seconds: Duration = 75.0
    send_seconds: Duration = 30.0
    request_seconds: Duration = 600.0
    json_depth: Positive = 32
    messages: Positive = 1024
    content_parts: Positive = 64
    template_values: Positive = 4096
    """In chat_template_kwargs, at every depth."""
    n: Positive = 8
    batch_prompts: Positive = 64
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=256)] = 20
    stops: Annotated[int, msgspec.Meta(ge=0)] = 4
    stop_characters: Positive = 256
    logit_bias: Annotated[int, msgspec.Meta(ge=0, le=4096)] = 300
    stream_buffer_bytes: Positive = 64 * 1024


class ServerSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8000
    """0: any free port, printed at start."""
    allowed_hosts: tuple[str, ...] = ()
    """Host names accepted besides loopback ones and the address listened on."""
    api_key: str | None = None
    """Required when listening on anything but loopback. Never printed."""
    drain_seconds: Annotated[float, msgspec.Meta(ge=0)] = 30.0


class LogSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"
    """Prompts and keys are never logged."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model: ModelSection = ModelSection()
    engine: EngineSection = EngineSection()
    server: ServerSection = ServerSection()
    limits: LimitsSection = LimitsSection()
    log: LogSection = LogSection()
