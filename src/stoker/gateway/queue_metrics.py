"""What the lines before the models look like from outside, read at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from stoker.gateway.queue_report import QueueReport

Reports = Mapping[str, Callable[[], QueueReport]]
"""By the model's name."""

_GAUGES = {
    "stoker_queue_waiting": ("Requests that wait for their turn.", "waiting"),
    "stoker_queue_in_flight": ("Requests that have their turn.", "in_flight"),
    "stoker_queue_backlog_seconds": ("Work that waits, in seconds.", "backlog_seconds"),
    "stoker_queue_oldest_wait_seconds": ("How long the first one waits already.", "oldest_wait"),
    "stoker_queue_standing": ("Above 0: the queue does not drain.", "standing_intervals"),
}


class QueueCollector(Collector):
    """Labels are models, bands and reasons; tenants are many, and have `stoker usage`."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        found = {model: report() for model, report in self._reports.items()}
        for name, (text, field) in _GAUGES.items():
            gauge = GaugeMetricFamily(name, text, labels=["model_name"])
            for model, report in found.items():
                gauge.add_metric([model], float(getattr(report, field)))
            yield gauge
        yield _bands(found)
        yield _refused(found)


def _bands(found: Mapping[str, QueueReport]) -> Metric:
    gauge = GaugeMetricFamily(
        "stoker_queue_waiting_by_band", "Requests that wait.", labels=["model_name", "band"]
    )
    for model, report in found.items():
        for band, tenants in report.by_band.items():
            gauge.add_metric([model, band.name.lower()], float(sum(tenants.values())))
    return gauge


def _refused(found: Mapping[str, QueueReport]) -> Metric:
    counter = CounterMetricFamily(
        "stoker_queue_refused", "Requests that might not join.", labels=["model_name", "reason"]
    )
    for model, report in found.items():
        for reason, count in report.refused.items():
            counter.add_metric([model, reason.name.lower()], float(count))
        counter.add_metric([model, "late"], float(report.late))
    return counter
