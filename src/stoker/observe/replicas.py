"""How many replicas there are and should be, for dashboards, and for whatever applies the wish: on
Kubernetes, KEDA or the horizontal pod autoscaler reads `stoker_desired_replicas`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class ReplicaCounts(msgspec.Struct, frozen=True, kw_only=True):
    desired: int
    standbys: int
    """That should sleep."""
    by_state: Mapping[str, int]


class ReplicaGauges(Collector):
    """To be registered with `Metrics.register`; read at each scrape."""

    def __init__(self) -> None:
        self._watched: dict[str, Callable[[], ReplicaCounts]] = {}

    def watch(self, model: str, read: Callable[[], ReplicaCounts]) -> None:
        self._watched[model] = read

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        desired = GaugeMetricFamily(
            "stoker_desired_replicas", "Replicas that should be awake.", labels=["model_name"]
        )
        standbys = GaugeMetricFamily(
            "stoker_desired_standbys", "Replicas that should sleep.", labels=["model_name"]
        )
        present = GaugeMetricFamily(
            "stoker_replicas", "Replicas by state.", labels=["model_name", "state"]
        )
        for model, read in self._watched.items():
            counts = read()
            desired.add_metric([model], counts.desired)
            standbys.add_metric([model], counts.standbys)
            for state, count in counts.by_state.items():
                present.add_metric([model, state], count)
        yield from (desired, standbys, present)
