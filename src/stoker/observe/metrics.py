"""What the server counts, in a registry of its own, under the names existing dashboards know.

The names that begin with `vllm:` mean what they mean there; what only Stoker has begins with
`stoker_`. Engine counters are read from the backend when scraped, so nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from stoker.engine.interface import EngineLoad

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_FIRST_TOKEN = (
    0.005,
    0.01,
    0.02,
    0.04,
    0.08,
    0.15,
    0.25,
    0.5,
    0.75,
    1,
    2.5,
    5,
    7.5,
    10,
    20,
    40,
    80,
)
_BETWEEN = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5)
_WHOLE = (0.05, 0.1, 0.3, 0.5, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 60, 120, 240, 480, 600)


_HISTOGRAMS = {
    "vllm:time_to_first_token_seconds": ("Arrival to first token.", _FIRST_TOKEN),
    "vllm:inter_token_latency_seconds": ("Between two tokens of a stream.", _BETWEEN),
    "vllm:e2e_request_latency_seconds": ("Arrival to the last token.", _WHOLE),
    "vllm:request_queue_time_seconds": ("Arrival to first step.", _FIRST_TOKEN),
}


class Metrics:
    """The whole server's."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._families = {
            name: Histogram(name, text, ["model_name"], registry=self._registry, buckets=buckets)
            for name, (text, buckets) in _HISTOGRAMS.items()
        }
        self._finished = Counter(
            "vllm:request_success",
            "Sequences that ended well, by finish reason.",
            ["model_name", "finished_reason"],
            registry=self._registry,
        )
        self._responses = Counter(
            "stoker_http_responses",
            "HTTP answers by status; 499 is a client that left before one.",
            ["status"],
            registry=self._registry,
        )
        self._errors = Counter(
            "stoker_errors",
            "Requests that ended in an error, streamed ones included, by code.",
            ["code"],
            registry=self._registry,
        )
        self.open_streams = Gauge(
            "stoker_open_streams", "Event streams being written.", registry=self._registry
        )
        self._engines = _EngineCollector()
        self._registry.register(self._engines)

    def model(self, name: str) -> ModelMetrics:
        """Those of one served model; `name` is the value of the label `model_name`."""
        return ModelMetrics(self, name)

    def register(self, collector: Collector) -> None:
        """Adds what somebody else counts, read at each scrape."""
        self._registry.register(collector)

    def responded(self, status: int) -> None:
        self._responses.labels(str(status)).inc()

    def failed(self, code: str) -> None:
        self._errors.labels(code).inc()

    def render(self) -> bytes:
        return generate_latest(self._registry)


class ModelMetrics:
    def __init__(self, server: Metrics, name: str) -> None:
        self.server = server
        self._name = name
        self.first_token, self.between, self.whole, self.queued = (
            server._families[family].labels(name) for family in _HISTOGRAMS
        )

    def watch(self, load: Callable[[], EngineLoad], restarts: Callable[[], int]) -> None:
        """Adds the engine's own counters, read at each scrape."""
        self.server._engines.watched[self._name] = (load, restarts)

    def sequence(self, now: float) -> SequenceTiming:
        return SequenceTiming(self, now)

    def finished(self, reason: str) -> None:
        self.server._finished.labels(self._name, reason).inc()


class SequenceTiming:
    """The clock of one sequence. Times are given, never read."""

    __slots__ = ("_last", "_metrics", "_open", "_started")

    def __init__(self, metrics: ModelMetrics, now: float) -> None:
        self._metrics = metrics
        self._started = now
        self._last: float | None = None
        self._open = True

    def received(self, now: float, num_tokens: int, queued: float) -> None:
        """`queued`: seconds the engine says the sequence waited, with its first tokens."""
        if not num_tokens:
            return
        if self._last is None:
            self._metrics.first_token.observe(now - self._started)
            self._metrics.queued.observe(queued)
        else:
            self._metrics.between.observe((now - self._last) / num_tokens)
        self._last = now

    def ended(self, now: float, reason: str) -> None:
        self._open = False
        self._metrics.finished(reason)
        self._metrics.whole.observe(now - self._started)

    def abandoned(self, now: float) -> None:
        """Ends the clock of a sequence that nobody reads any more; does nothing after an end."""
        if self._open:
            self._open = False
            self._metrics.finished("abort")
            self._metrics.whole.observe(now - self._started)


_GAUGES = {
    "vllm:num_requests_running": ("Sequences being computed.", "num_running"),
    "vllm:num_requests_waiting": ("Sequences waiting for room.", "num_waiting"),
    "stoker_waiting_tokens": ("Prompt tokens of waiting sequences.", "waiting_tokens"),
    "stoker_kv_blocks_used": ("KV blocks that sequences hold.", "used_blocks"),
    "stoker_kv_blocks_cached": ("KV blocks kept for their prefix alone.", "cached_blocks"),
    "stoker_kv_blocks_total": ("KV blocks of the pool.", "total_blocks"),
    "stoker_broken_invariants": ("Must read zero.", "broken_invariants"),
}
_COUNTERS = {
    "vllm:num_preemptions": ("Sequences put back to waiting.", "num_preemptions"),
    "vllm:prefix_cache_queries": ("Prompt tokens looked up.", "prefix_queried_tokens"),
    "vllm:prefix_cache_hits": ("Prompt tokens found.", "prefix_hit_tokens"),
    "vllm:prompt_tokens": ("Prompt tokens computed.", "prompt_tokens"),
    "vllm:generation_tokens": ("Tokens generated.", "output_tokens"),
    "vllm:spec_decode_num_draft_tokens": ("Tokens guessed ahead.", "drafted_tokens"),
    "vllm:spec_decode_num_accepted_tokens": ("Right guesses.", "accepted_tokens"),
    "stoker_engine_steps": ("Steps completed.", "num_steps"),
    "stoker_engine_step_seconds": ("Time spent in steps.", "step_seconds"),
    "stoker_masks": ("Tokens drawn under a constraint.", "num_masks"),
    "stoker_mask_seconds": ("Time spent on what these could be, beside steps.", "mask_seconds"),
}


Watched = tuple[Callable[[], EngineLoad], Callable[[], int]]


class _EngineCollector(Collector):
    def __init__(self) -> None:
        self.watched: dict[str, Watched] = {}

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        loads = {model: load() for model, (load, _) in self.watched.items()}
        for name, (text, field) in _GAUGES.items():
            yield _by_model(GaugeMetricFamily(name, text, labels=["model_name"]), loads, field)
        for name, (text, field) in _COUNTERS.items():
            yield _by_model(CounterMetricFamily(name, text, labels=["model_name"]), loads, field)
        usage = GaugeMetricFamily(
            "vllm:kv_cache_usage_perc", "Used KV blocks, 1 is all.", labels=["model_name"]
        )
        restarts = CounterMetricFamily(
            "stoker_engine_restarts", "Engines that had to be replaced.", labels=["model_name"]
        )
        for model, load in loads.items():
            usage.add_metric([model], load.used_blocks / max(1, load.total_blocks))
            restarts.add_metric([model], self.watched[model][1]())
        yield usage
        yield restarts


def _by_model(
    family: GaugeMetricFamily | CounterMetricFamily, loads: dict[str, EngineLoad], field: str
) -> Metric:
    for model, load in loads.items():
        family.add_metric([model], float(getattr(load, field)))
    return family
