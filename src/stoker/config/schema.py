"""The configuration as one frozen tree of small sections. Constructors take their own section.

Every limit has a default that is safe on a public address (docs/behaviour.md). The annotations
carry the allowed range, so that a wrong value is refused before anything starts. The text below
a key is its meaning, as `stoker config explain` and docs/how-to/configure.md show it.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from stoker.config.fleet_schema import (
    BackendEntry,
    BalanceSection,
    BatchesSection,
    EdgeSection,
    KeyEntry,
    ModelEntry,
    QueueSection,
    RouteEntry,
    StoreSection,
    TenantEntry,
)
from stoker.config.quantity import Automatic, Duration, Positive, Secret
from stoker.config.table import Table


class ModelSection(Table, frozen=True, kw_only=True):
    """The one model that is served when the file has no [[models]]."""

    name: str = "smollm2:135m"
    """A catalog name, a path, or a hub repository."""
    served_name: str | None = None
    """What clients call it; default: `name`."""
    draft: str = ""
    """A smaller model of the same vocabulary, named as `name` is, that guesses ahead; or none."""
    quantize: Literal["q8_0", "q4_1", "q4_k"] | None = None
    """Quantise safetensors weights while loading."""
    adapters: tuple[str, ...] = ()
    """LoRA adapters, each NAME=FOLDER; clients ask for NAME as for any model."""
    replicas: Positive = 1
    """Processes that serve it; they share the machine's cores."""
    cache: str = ""
    """Folder for downloaded weights; empty: ~/.cache/stoker."""


class EngineSection(Table, frozen=True, kw_only=True):
    """How every engine of ours computes."""

    threads: Annotated[int, msgspec.Meta(ge=0, le=1024)] = 0
    """0: one per core this process may use."""
    kernels: Literal["auto", "avx512_vnni", "avx2", "portable"] = "auto"
    """The native core's instruction set; auto: the best this machine has."""
    kv_cache_mib: Automatic = 0
    """0: as much as max_running sequences of ordinary length need, at most a quarter of memory."""
    max_context: Automatic = 0
    """0: the model's own limit."""
    max_running: Positive = 64
    """Sequences computed together."""
    max_step_tokens: Positive = 2048
    """Tokens computed in one step; at least max_running."""
    inter_token_target_ms: Duration = 100.0
    """Running streams should not wait longer than this because of other prompts."""
    prefix_cache: bool = True
    """Prompts that begin alike share what was computed for the beginning, within a tenant."""
    max_adapters: Automatic = 16
    """LoRA adapters of a model that are loaded at once. 0: none."""
    adapter_mib: Positive = 1024
    """Memory for all of them together."""
    speculation: Literal["prompt_lookup", "off"] = "prompt_lookup"
    """Tokens are guessed ahead where that pays, and never change. prompt_lookup: by what followed
    before in the same text."""
    max_waiting: Positive = 256
    """Requests; beyond it new ones are refused with 429."""
    max_restarts: Automatic = 5
    """Within ten minutes; beyond it the server gives up and exits. 0: never restart."""


class LimitsSection(Table, frozen=True, kw_only=True):
    """What one request or connection may take."""

    header_bytes: Positive = 32 * 1024
    """Of all headers together."""
    header_count: Positive = 100
    """Headers of a request."""
    header_seconds: Duration = 10.0
    """For a request's line and headers to arrive."""
    line_bytes: Positive = 8 * 1024
    """Of the request line or one header."""
    connections: Automatic = 0
    """Those without a request are closed to keep to it. 0: what the limit of open files leaves."""
    open_requests: Positive = 2048
    """Being read or answered, streams included; beyond it new ones are refused with 429."""
    body_bytes: Positive = 2 * 1024 * 1024
    """Of a request's body."""
    body_seconds: Duration = 30.0
    """For a body to arrive."""
    idle_seconds: Duration = 75.0
    """A connection stays open so long without a request."""
    send_seconds: Duration = 30.0
    """A client that takes nothing for so long is cut off."""
    request_seconds: Duration = 600.0
    """From the request to the end of its answer."""
    json_depth: Positive = 32
    """Of lists and objects within each other in a body."""
    messages: Positive = 1024
    """Of a conversation."""
    tools: Positive = 128
    """Offered in one request, or called in one message."""
    content_parts: Positive = 64
    """Of one message."""
    template_values: Positive = 4096
    """In chat_template_kwargs, at every depth."""
    n: Positive = 8
    """Answers to one prompt."""
    batch_prompts: Positive = 64
    """Prompts in one request."""
    batch_texts: Positive = 2048
    """Texts of which one request wants vectors or scores."""
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=256)] = 20
    """Alternatives shown for each token."""
    stops: Annotated[int, msgspec.Meta(ge=0)] = 4
    """Stop strings of a request."""
    stop_characters: Positive = 256
    """Of one stop string."""
    logit_bias: Annotated[int, msgspec.Meta(ge=0, le=4096)] = 300
    """Tokens that a request may make more or less likely."""
    stream_buffer_bytes: Positive = 64 * 1024
    """Written ahead to a client that reads slowly; later tokens are joined into one event."""


class ServerSection(Table, frozen=True, kw_only=True):
    """Where clients reach the server."""

    host: str = "127.0.0.1"
    """Address to listen on; beyond loopback clients need a key."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8000
    """0: any free port, printed at start."""
    allowed_hosts: tuple[str, ...] = ()
    """Host names accepted besides loopback ones and the address listened on."""
    api_key: Secret | None = None
    """One key for every client. It or [[keys]] are required when listening on anything but
    loopback. Never printed."""
    replica: bool = False
    """Serve fronts only: every request needs a ticket under edge.ticket_key_file."""
    adapter_folder: str = ""
    """LoRA adapters below it may be loaded while the server runs, by keys that are `admin`; empty:
    none may."""
    drain_seconds: Annotated[float, msgspec.Meta(ge=0)] = 30.0
    """Running requests get so long to finish at shutdown."""


class LogSection(Table, frozen=True, kw_only=True):
    """What is written to standard error. Prompts and keys never are."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is worth a line."""
    format: Literal["text", "json"] = "text"
    """json: one object a line."""


class Config(Table, frozen=True, kw_only=True):
    """Sections are tables of the file; lists are arrays of tables, in the file's order."""

    model: ModelSection = ModelSection()
    engine: EngineSection = EngineSection()
    server: ServerSection = ServerSection()
    limits: LimitsSection = LimitsSection()
    log: LogSection = LogSection()
    queue: QueueSection = QueueSection()
    balance: BalanceSection = BalanceSection()
    store: StoreSection = StoreSection()
    batches: BatchesSection = BatchesSection()
    edge: EdgeSection = EdgeSection()
    models: tuple[ModelEntry, ...] = ()
    backends: tuple[BackendEntry, ...] = ()
    routes: tuple[RouteEntry, ...] = ()
    tenants: tuple[TenantEntry, ...] = ()
    keys: tuple[KeyEntry, ...] = ()
