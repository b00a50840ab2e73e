"""The controllers of the models that grow and shrink by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from stoker.api.front import Front
from stoker.cli.served_model import ServedModel
from stoker.config import served
from stoker.config.fleet_schema import AutoscaleSection
from stoker.config.schema import Config
from stoker.core.clock import SystemClock
from stoker.fleet.advisor import Advisor
from stoker.fleet.autoscaler import Autoscaler
from stoker.fleet.controller import Controller
from stoker.gateway.pool_demand import PoolDemand
from stoker.observe.replicas import ReplicaGauges


class Scaling:
    """Made before models load, so that requests which find none wait for one."""

    def __init__(self, models: Sequence[ServedModel], front: Front, config: Config) -> None:
        gauges = ReplicaGauges()
        self._controllers = {
            model.entry.name: _controller(
                model, model.entry.autoscale, front, config.server.drain_seconds, gauges
            )
            for model in models
            if model.entry.autoscale is not None
        }
        front.metrics.register(gauges)

    def configure(self, config: Config) -> None:
        """New bounds, for models that had some."""
        for entry in served.models(config):
            controller = self._controllers.get(entry.name)
            if controller is not None and entry.autoscale is not None:
                controller.autoscaler.bounds = entry.autoscale

    async def run(self) -> None:
        """Until cancelled. To be begun when the models have loaded."""
        async with asyncio.TaskGroup() as group:
            for controller in self._controllers.values():
                group.create_task(controller.run())


def _controller(
    model: ServedModel,
    bounds: AutoscaleSection,
    front: Front,
    grace: float,
    gauges: ReplicaGauges,
) -> Controller:
    kind = Advisor if model.entry.placer == "kubernetes" else Controller
    demand = PoolDemand(front.services[model.entry.name].line, model.backend)
    controller = kind(model.placer, Autoscaler(bounds), demand, SystemClock(), grace=grace)
    model.backend.when_wanted(controller.poke)
    gauges.watch(model.entry.name, controller.counts)
    return controller
