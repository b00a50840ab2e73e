"""The parts of the configuration that make a fleet: models, backends, routes, tenants, keys.

Each is an array of tables in the file. A file without any of them serves one model to everybody.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from stoker.config.quantity import (
    Address,
    Automatic,
    Digest,
    Duration,
    Fraction,
    Moment,
    Money,
    Name,
    Positive,
    Secret,
    Share,
)
from stoker.config.table import Table


class PriceSection(Table, frozen=True, kw_only=True):
    """Per million tokens, in whatever currency budgets are given in."""

    input: Money = 0.0
    """Of a million prompt tokens."""
    cached_input: Money | None = None
    """Of a million prompt tokens that were cached; not set: as `input`."""
    output: Money = 0.0
    """Of a million new tokens."""


class AutoscaleSection(Table, frozen=True, kw_only=True):
    """How many replicas there are as work comes and goes."""

    minimum: Automatic = 1
    """The fewest replicas. 0: the model may sleep when nobody asks for it."""
    maximum: Positive = 1
    """The most replicas."""
    idle_seconds: Duration = 300.0
    """Without a request for so long, down to `minimum`."""
    wait_target_seconds: Duration = 2.0
    """Requests should not wait longer than this for a replica."""
    utilisation: Fraction = 0.7
    """Share of what replicas can do that should be used; the rest is for bursts."""


class RaySection(Table, frozen=True, kw_only=True):
    """Where Ray is, and what one replica takes of a node."""

    address: str = "auto"
    """HOST:PORT of the cluster; auto: the one that this machine is a node of."""
    cpus: Share = 1.0
    """Processors of one replica, and its threads unless engine.threads is set."""
    gpus: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 0.0
    """Graphics processors of one replica."""
    memory_mib: Automatic = 0
    """Main memory of one replica. 0: Ray does not count it."""


class ModelEntry(Table, frozen=True, kw_only=True):
    """A model of our own."""

    name: Name
    """What clients ask for, in upper or lower case."""
    source: str = ""
    """A catalog name, a path, or a hub repository; empty: `name`."""
    draft: str = ""
    """A smaller model with the same vocabulary, that guesses ahead; empty: none."""
    quantize: Literal["q8_0", "q4_1", "q4_k"] | None = None
    """Quantise safetensors weights while loading."""
    adapters: tuple[str, ...] = ()
    """LoRA adapters, each NAME=FOLDER; clients ask for NAME as for any model."""
    placer: Literal["local", "remote", "ray", "kubernetes"] = "local"
    """Who runs the replicas: this machine, somebody else (at `urls`), Ray, or Kubernetes."""
    replicas: Positive = 1
    """How many at start."""
    urls: tuple[Address, ...] = ()
    """Of remote replicas, or one name whose addresses are all the replicas."""
    ray: RaySection | None = None
    """What placer ray needs to know; not set: its defaults."""
    autoscale: AutoscaleSection | None = None
    """Not set: there are always `replicas`."""
    price: PriceSection = PriceSection()
    """What tenants' budgets are charged."""


class BackendEntry(Table, frozen=True, kw_only=True):
    """A server that is not ours."""

    name: Name
    """What routes call it."""
    dialect: Literal["openai", "anthropic", "vllm", "tgi", "triton", "llamacpp"] = "openai"
    """The protocol it speaks."""
    url: Address
    """Up to and without the last part of the path, e.g. https://api.example.com/v1."""
    api_key: Secret | None = None
    """Never printed. Better in a file of its own."""
    api_key_file: str = ""
    """A file that holds the key and nothing else; relative to the folder of this file."""
    private: bool = False
    """What is sent there counts as never having left this machine."""
    connect_seconds: Duration = 5.0
    """For a connection to be made."""
    first_byte_seconds: Duration = 60.0
    """From the request to the first byte of its answer."""
    silence_seconds: Duration = 60.0
    """Between two pieces of an answer."""
    max_connections: Positive = 1024
    """Open at once."""
    health_path: str = ""
    """Asked now and then; empty: only real requests tell."""
    prices: dict[str, PriceSection] = msgspec.field(default_factory=dict)
    """By the model's name there: what tenants' budgets are charged."""


class TargetEntry(Table, frozen=True, kw_only=True):
    """One of a route's possibilities: a model of ours, or a model of a backend."""

    model: Name | None = None
    """Ours; or with `backend`, the name there (not set: the route's)."""
    backend: Name | None = None
    """Not set: ours."""


class RouteEntry(Table, frozen=True, kw_only=True):
    """A name for clients, and what may answer to it. It may be the name of a model of ours."""

    name: Name
    """What clients ask for, in upper or lower case."""
    targets: tuple[TargetEntry, ...]
    """The first that can answers."""


class TenantEntry(Table, frozen=True, kw_only=True):
    """Clients that share limits and a budget."""

    name: Name
    """What keys and reports call it."""
    weight: Share = 1.0
    """Its share beside others while all have work waiting."""
    band: Literal["interactive", "standard", "batch"] = "standard"
    """Who is served first: interactive, then standard, then batch; none waits for ever."""
    models: tuple[Name, ...] = ()
    """Models and routes it may use. Empty: all."""
    requests_per_minute: Automatic = 0
    """0: no limit."""
    tokens_per_minute: Automatic = 0
    """Prompt and new tokens together. 0: no limit."""
    concurrency: Automatic = 0
    """Requests at once. 0: no limit."""
    budget: Money = 0.0
    """In the currency of the prices. 0: no limit."""
    budget_window: Literal["hour", "day", "week", "month", "ever"] = "month"
    """When the budget begins anew, in UTC."""
    privacy: Literal["any", "local"] = "any"
    """local: nothing of it is ever sent to a backend that is not private."""


class KeyEntry(Table, frozen=True, kw_only=True):
    """A client's key, of which only the digest is kept: `stoker keys new TENANT` makes one."""

    id: Name
    """What reports call it."""
    tenant: Name
    """Whose it is."""
    digest: Digest
    """Of the key; the key itself is kept by the client alone."""
    expires: Moment | None = None
    """UTC unless it says otherwise; not set: never."""
    models: tuple[Name, ...] = ()
    """What it may use of what its tenant may. Empty: all of that."""
    admin: bool = False
    """It may load and unload adapters."""


class QueueSection(Table, frozen=True, kw_only=True):
    """How much may wait."""

    max_seconds: Duration = 30.0
    """Of work waiting; beyond it new requests get 429 with the time to come back after."""
    standing_seconds: Duration = 1.0
    """Waits that never fall below this for `standing_interval_seconds` are a standing queue."""
    standing_interval_seconds: Duration = 10.0
    """See `standing_seconds`."""


class BalanceSection(Table, frozen=True, kw_only=True):
    """Which replica of a model takes a request."""

    policy: Literal[
        "cost", "least_loaded", "two_choices", "round_robin", "consistent_hash", "session"
    ] = "cost"
    """cost: where the first token comes soonest, cached prompts and queues considered."""
    exploration: Annotated[float, msgspec.Meta(ge=0, le=0.2)] = 0.01
    """Share of requests sent elsewhere to learn how fast the others are."""
    affinity_seconds: Duration = 2.0
    """The most a request waits longer somewhere because its beginning is cached there."""


class StoreSection(Table, frozen=True, kw_only=True):
    """Where usage and limits are kept."""

    url: Address = ""
    """sqlite:///PATH or postgresql://HOST/DATABASE; empty: a file in the cache folder, once there
    are tenants."""
    limits_url: Address = ""
    """redis://HOST: where several fronts share limits; empty: they do so in PostgreSQL, and with
    SQLite each has its own."""


class BatchesSection(Table, frozen=True, kw_only=True):
    """Files of requests that are answered while nobody else needs the models."""

    url: Address = ""
    """sqlite:///PATH or postgresql://HOST/DATABASE; empty: a file in the cache folder."""
    max_running: Annotated[int, msgspec.Meta(ge=1)] = 4
    """Lines of one batch that are answered at once."""
    max_lines: Annotated[int, msgspec.Meta(ge=1)] = 50_000
    """Of a batch."""
    max_under_way: Annotated[int, msgspec.Meta(ge=1)] = 32
    """Batches of one tenant that are not done."""
    file_bytes: Annotated[int, msgspec.Meta(ge=1)] = 100 * 1024 * 1024
    """Of one file that a client uploads."""
    tenant_bytes: Annotated[int, msgspec.Meta(ge=1)] = 1024 * 1024 * 1024
    """Of all files of one tenant, those of results too."""


class EdgeSection(Table, frozen=True, kw_only=True):
    """The way between clients and replicas."""

    mode: Literal["proxied", "direct"] = "proxied"
    """direct: an nginx in front takes answers straight from remote replicas."""
    ticket_key_file: str = ""
    """A file with the secret that front and remote replicas share; relative to the folder of this
    file."""
