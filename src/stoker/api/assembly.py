"""From a configuration and loaded models to the application that serves them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stoker.api.answer import ThroughFront
from stoker.api.answering import Answering
from stoker.api.app import Application
from stoker.api.batch.desk import BatchDesk
from stoker.api.direct import Direct
from stoker.api.front import Front
from stoker.api.off_loop import OffLoop
from stoker.api.operation import Operation
from stoker.api.replica import replica_operations
from stoker.api.service import Service
from stoker.config.fleet_schema import (
    BackendEntry,
    ModelEntry,
    QueueSection,
    RouteEntry,
    TargetEntry,
)
from stoker.config.paths import cache_folder
from stoker.config.schema import Config, LimitsSection, ServerSection
from stoker.config.ticket_key import read_ticket_keys
from stoker.core.clock import SystemClock
from stoker.engine.adapter_shelf import AdapterShelf
from stoker.engine.interface import Backend
from stoker.errors import Loading
from stoker.fleet.outbox import Outbox
from stoker.fleet.ticket import TicketBook
from stoker.gateway.admission import Admission
from stoker.gateway.capacity import NONE, Capacity, capacity_of
from stoker.gateway.identity import Keyring
from stoker.gateway.ledger import Ledger, NoLimits
from stoker.gateway.line import ModelLine
from stoker.gateway.pool import ReplicaPool
from stoker.gateway.queue_metrics import QueueCollector
from stoker.gateway.routes import (
    ForeignTarget,
    OneModel,
    OwnTarget,
    Route,
    RouteTable,
    Target,
    merged,
)
from stoker.gateway.ticket_ledger import TicketAdmission, TicketLedger
from stoker.gateway.turnstile import Turnstile
from stoker.gateway.upstream.forwarder import Forwarder
from stoker.gateway.usage import Price
from stoker.observe.metrics import Metrics
from stoker.text.load import TextModel


@dataclass(frozen=True)
class Parts:
    """A model of ours, ready to be given to clients."""

    entry: ModelEntry
    backend: Backend
    text: TextModel
    adapters: AdapterShelf = field(default_factory=AdapterShelf)


def assemble(
    config: Config, models: Sequence[Parts], keyring: Keyring, ledger: Ledger
) -> Application:
    """Nothing is started."""
    limits, now, folder = config.limits, int(time.time()), cache_folder(config.model)
    metrics, off_loop = Metrics(), OffLoop(limits)
    outbox = Outbox()
    tickets = TicketLedger(outbox)
    replica = config.server.replica
    admission = TicketAdmission(tickets) if replica else Admission(ledger)
    answering = answering_of(config)
    services = {
        parts.entry.name: Service(
            name=parts.entry.name,
            backend=parts.backend,
            text=parts.text,
            adapters=parts.adapters,
            limits=limits,
            metrics=metrics.model(parts.entry.name),
            off_loop=off_loop,
            admission=admission,
            line=line_of(parts.backend, config.queue),
            answering=answering,
            price=price_of(parts.entry),
            created=now,
        )
        for parts in models
    }
    metrics.register(
        QueueCollector({name: service.line.report for name, service in services.items()})
    )
    front = Front(
        services=services,
        routes=route_table(config, services),
        limits=limits,
        metrics=metrics,
        off_loop=off_loop,
        keyring=keyring,
        admission=admission,
        forwarder=Forwarder(config.backends),
        adapter_folder=config.server.adapter_folder,
        adaptable=frozenset(p.entry.name for p in models if p.entry.placer == "local"),
        batches=None if replica else BatchDesk(config.batches, folder, SystemClock()),
        created=now,
    )
    table = _replica_table(front, config, tickets, outbox) if replica else None
    return Application(front, config.server, table)


def _replica_table(
    front: Front, config: Config, tickets: TicketLedger, outbox: Outbox
) -> Sequence[Operation]:
    """A replica answers fronts, those they send, and monitoring; and nobody else."""
    book = TicketBook(read_ticket_keys(Path(config.edge.ticket_key_file)))
    return replica_operations(front, book, tickets, outbox, SystemClock())


def answering_of(config: Config) -> Answering:
    """Raises ConfigError for a file of keys that holds none."""
    if config.edge.mode == "proxied" or config.server.replica:
        return ThroughFront()
    return Direct(read_ticket_keys(Path(config.edge.ticket_key_file)), ThroughFront())


def create_app(
    backend: Backend,
    text: TextModel,
    *,
    name: str,
    server: ServerSection,
    limits: LimitsSection,
) -> Application:
    """The application that serves one model to everybody, under `name`."""
    config = Config(server=server, limits=limits)
    parts = Parts(ModelEntry(name=name), backend, text)
    return assemble(config, [parts], Keyring(api_key=server.api_key), NoLimits())


def line_of(backend: Backend, queue: QueueSection) -> ModelLine:
    clock = SystemClock()

    def capacity() -> Capacity:
        try:
            return capacity_of([backend.info])
        except Loading:
            return NONE

    turnstile = Turnstile(queue, capacity, clock=clock)
    if isinstance(backend, ReplicaPool):
        backend.watch(turnstile.changed)
    return ModelLine(turnstile, clock)


def price_of(entry: ModelEntry) -> Price:
    price = entry.price
    return Price.per_million(price.input, price.cached_input, price.output)


def route_table(config: Config, services: Mapping[str, Service]) -> RouteTable:
    if config.server.replica:
        return OneModel(next(iter(services)))
    backends = {backend.name: backend for backend in config.backends}
    own = {name: service.adapters.names for name, service in services.items()}
    return merged(own, [_route(route, backends) for route in config.routes])


def _route(entry: RouteEntry, backends: dict[str, BackendEntry]) -> Route:
    return Route(entry.name, tuple(_target(target, entry, backends) for target in entry.targets))


def _target(target: TargetEntry, route: RouteEntry, backends: dict[str, BackendEntry]) -> Target:
    name = target.model or route.name
    if target.backend is None:
        return OwnTarget(name)
    return ForeignTarget(target.backend, name, backends[target.backend].private)
