"""Who runs a model's replicas, by the name that the configuration gives it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stoker.config.fleet_schema import ModelEntry, RaySection
from stoker.config.schema import Config
from stoker.core.clock import SystemClock
from stoker.engine.adapter_shelf import AdapterShelf
from stoker.engine.client import Progress
from stoker.fleet.interface import Placer, ReplicaSpec


def make_placer(
    entry: ModelEntry,
    spec: ReplicaSpec,
    config: Config,
    progress: Progress,
    adapters: AdapterShelf,
) -> Placer:
    """Raises ConfigError for a placer that lacks what it needs."""
    if entry.placer == "local":
        return _local(entry, spec, config, progress, adapters)
    return _ELSEWHERE[entry.placer](entry, spec, config)


def _local(
    entry: ModelEntry,
    spec: ReplicaSpec,
    config: Config,
    progress: Progress,
    adapters: AdapterShelf,
) -> Placer:
    from stoker.fleet.local import LocalPlacer

    return LocalPlacer(
        spec,
        SystemClock(),
        expected=entry.replicas if entry.autoscale is None else entry.autoscale.maximum,
        max_restarts=config.engine.max_restarts,
        progress=progress,
        adapters=adapters,
    )


def _remote(entry: ModelEntry, spec: ReplicaSpec, config: Config) -> Placer:
    from stoker.config.ticket_key import read_ticket_keys
    from stoker.fleet.remote_placer import RemotePlacer

    key = read_ticket_keys(Path(config.edge.ticket_key_file))[0]
    return RemotePlacer(entry.urls, spec.model, key, SystemClock())


def _ray(entry: ModelEntry, spec: ReplicaSpec, config: Config) -> Placer:
    from stoker.config.replica_file import replica_file
    from stoker.fleet.ray_cluster import check_installed
    from stoker.fleet.ray_placer import RayLaunch, RayPlacer

    check_installed()
    section = entry.ray or RaySection()
    launch = RayLaunch(
        resources=resources(section), settings=replica_file(entry, spec.source, config)
    )
    return RayPlacer(spec.model, launch, section.address, SystemClock())


def resources(section: RaySection) -> dict[str, float]:
    """Of one replica, as Ray names and counts them: memory in bytes."""
    wanted = {"CPU": section.cpus, "GPU": section.gpus, "memory": section.memory_mib << 20}
    return {name: float(amount) for name, amount in wanted.items() if amount}


_ELSEWHERE: dict[str, Callable[[ModelEntry, ReplicaSpec, Config], Placer]] = {
    "remote": _remote,
    "kubernetes": _remote,
    "ray": _ray,
}
