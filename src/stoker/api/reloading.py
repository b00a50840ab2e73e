"""Puts a changed configuration in force while requests run; none of them notices."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from stoker.api.assembly import price_of, route_table
from stoker.api.front import Front
from stoker.config import served
from stoker.config.reload import Reload
from stoker.config.schema import Config
from stoker.core.clock import SystemClock
from stoker.gateway.identity import Keyring
from stoker.gateway.ledger import NoLimits
from stoker.gateway.pool import ReplicaPool
from stoker.gateway.stores.choice import open_ledger
from stoker.observe.logs import set_up_logging

log = logging.getLogger(__name__)


class Reloading:
    """Requests under way keep what they began with: their route, their price, their ledger."""

    def __init__(self, front: Front, folder: Path) -> None:
        """`folder` is where usage is kept when the configuration names no place."""
        self._front = front
        self._folder = folder
        self._scaling: set[asyncio.Task[None]] = set()

    async def apply(self, config: Config, reload: Reload) -> None:
        front = self._front
        keyring = Keyring(config.tenants, config.keys, config.server.api_key)
        if reload.of("tenants"):
            await self._limit(config, keyring)
        front.keyring = keyring
        front.forwarder.configure(config.backends)  # both at once: nobody is routed in between
        front.routes = route_table(config, front.services)
        await front.forwarder.close_unused()
        for entry in served.models(config):
            service = front.services[entry.name]
            service.price = price_of(entry)
            service.line.configure(config.queue)
            if reload.of("balance") and isinstance(service.backend, ReplicaPool):
                service.backend.configure(config.balance)
        if reload.of("models"):
            self._scale(config)
        if reload.of("log"):
            set_up_logging(config.log)

    async def _limit(self, config: Config, keyring: Keyring) -> None:
        tenants, admission = keyring.tenants.values(), self._front.admission
        if isinstance(admission.ledger, NoLimits):
            admission.ledger = await open_ledger(config.store, tenants, self._folder, SystemClock())
        else:
            admission.ledger.update(tenants)

    def _scale(self, config: Config) -> None:
        """Replicas that leave finish what they have first, so this takes its time."""
        for entry in served.models(config):
            backend = self._front.services[entry.name].backend
            if isinstance(backend, ReplicaPool) and entry.autoscale is None:
                scaling = backend.scale(entry.replicas, config.server.drain_seconds)
                task = asyncio.create_task(scaling, name=f"scale {entry.name}")
                self._scaling.add(task)
                task.add_done_callback(self._scaled)

    def _scaled(self, task: asyncio.Task[None]) -> None:
        self._scaling.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("replicas could not be started or stopped: %s", task.exception())
