"""The parts of the configuration that list things: models, backends, routes, tenants, keys.

Each is an array of tables in the file. A file without any of them serves one model to everybody.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from stoker.config.schema import Automatic, Duration, Positive

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$")]
Share = Annotated[float, msgspec.Meta(gt=0, le=1000)]
Money = Annotated[float, msgspec.Meta(ge=0, le=1e9)]


class PriceSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Per million tokens, in whatever currency budgets are given in."""

    input: Money = 0.0
    cached_input: Money | None = None
    """None: as `input`."""
    output: Money = 0.0


class AutoscaleSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    minimum: Automatic = 1
    """0: the model may sleep when nobody asks for it."""
    maximum: Positive = 1
    idle_seconds: Duration = 300.0
    """Without a request for so long, down to `minimum`."""
    wait_target_seconds: Duration = 2.0
    utilisation: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.7


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model of our own."""

    name: Name
    """What clients ask for."""
    source: str = ""
    """A catalog name, a path, or a hub repository; empty: `name`."""
    quantize: Literal["q8_0", "q4_1", "q4_k"] | None = None
    placer: Literal["local", "remote", "ray", "kubernetes"] = "local"
    replicas: Positive = 1
    urls: tuple[str, ...] = ()
    """Of remote replicas, or one name whose addresses are all the replicas."""
    autoscale: AutoscaleSection | None = None
    price: PriceSection = PriceSection()


class BackendEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server that is not ours."""

    name: Name
    dialect: Literal["openai", "anthropic", "vllm", "tgi", "triton", "llamacpp"] = "openai"
    url: str
    """Up to and without the last part of the path, e.g. https://api.example.com/v1."""
    api_key: str | None = None
    """Never printed. Better in a file of its own."""
    api_key_file: str = ""
    private: bool = False
    """What is sent there counts as never having left this machine."""
    connect_seconds: Duration = 5.0
    first_byte_seconds: Duration = 60.0
    silence_seconds: Duration = 60.0
    """Between two pieces of an answer."""
    max_connections: Positive = 1024
    health_path: str = ""
    """Asked now and then; empty: only real requests tell."""
    prices: dict[str, PriceSection] = {}
    """By the model's name there."""


class TargetEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of a route's possibilities: a model of ours, or a model of a backend."""

    model: Name | None = None
    """Ours; or with `backend`, the name there."""
    backend: Name | None = None


class RouteEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name for clients, and what may answer to it: the first that can."""

    name: Name
    targets: tuple[TargetEntry, ...]


class TenantEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Name
    weight: Share = 1.0
    band: Literal["interactive", "standard", "batch"] = "standard"
    models: tuple[Name, ...] = ()
    """Empty: all."""
    requests_per_minute: Automatic = 0
    """0 in this and the next three: no limit."""
    tokens_per_minute: Automatic = 0
    concurrency: Automatic = 0
    budget: Money = 0.0
    budget_window: Literal["hour", "day", "week", "month", "ever"] = "month"
    privacy: Literal["any", "local"] = "any"
    """local: nothing of it is ever sent to a backend that is not private."""


class KeyEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A client's key, of which only the digest is kept: `stoker keys new TENANT` makes one."""

    id: Name
    tenant: Name
    digest: Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}$")]
    expires: str | None = None
    """ISO date or time, UTC unless it says otherwise."""
    models: tuple[Name, ...] = ()
    """Empty: all of the tenant's."""


class QueueSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    max_seconds: Duration = 30.0
    """Of work waiting; beyond it new requests get 429 with the time to come back after."""
    standing_seconds: Duration = 1.0
    """Waits that never fall below this for `standing_interval_seconds` are a standing queue."""
    standing_interval_seconds: Duration = 10.0


class BalanceSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    policy: Literal[
        "cost", "least_loaded", "two_choices", "round_robin", "consistent_hash", "session"
    ] = "cost"
    exploration: Annotated[float, msgspec.Meta(ge=0, le=0.2)] = 0.01
    affinity_seconds: Duration = 2.0
    """The most a request waits longer somewhere because its beginning is cached there."""


class StoreSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: str = ""
    """sqlite:///PATH or postgresql://...; empty: a file in the cache folder, once there are
    tenants.
    Never printed whole."""
    limits_url: str = ""
    """redis://...: where several fronts share limits."""


class EdgeSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    mode: Literal["proxied", "direct"] = "proxied"
    """direct: an nginx in front takes tokens straight from the replica."""
    ticket_key_file: str = ""
    """The secret that front and remote replicas share."""
