"""Metrics under the names dashboards know."""

from __future__ import annotations

from stoker.engine.interface import EngineLoad
from stoker.observe.metrics import Metrics

KNOWN = [
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:kv_cache_usage_perc",
    "vllm:prefix_cache_queries_total",
    "vllm:prefix_cache_hits_total",
    "vllm:num_preemptions_total",
    "vllm:prompt_tokens_total",
    "vllm:generation_tokens_total",
    "vllm:time_to_first_token_seconds_bucket",
    "vllm:inter_token_latency_seconds_bucket",
    "vllm:e2e_request_latency_seconds_bucket",
    "vllm:request_success_total",
    "stoker_broken_invariants",
    "stoker_engine_restarts_total",
    "stoker_open_streams",
]


def value(metrics: Metrics, name: str) -> float:
    line = next(
        line
        for line in metrics.render().decode().splitlines()
        if line.startswith(name) and not line.startswith("#")
    )
    return float(line.rpartition(" ")[2])


def watched(load: EngineLoad) -> Metrics:
    metrics = Metrics()
    metrics.model("tiny").watch(lambda: load, lambda: 2)
    return metrics


def test_every_known_name_is_there() -> None:
    metrics = watched(EngineLoad())
    metrics.model("tiny").sequence(0.0).ended(1.0, "stop")
    text = metrics.render().decode()
    assert [name for name in KNOWN if f"\n{name}" not in text] == []


def test_the_engines_counters_are_read_when_scraped() -> None:
    metrics = watched(EngineLoad(num_running=3, used_blocks=25, total_blocks=100, output_tokens=7))
    assert value(metrics, "vllm:num_requests_running{") == 3
    assert value(metrics, "vllm:kv_cache_usage_perc{") == 0.25
    assert value(metrics, "vllm:generation_tokens_total{") == 7
    assert value(metrics, "stoker_engine_restarts_total{") == 2


def test_a_sequence_is_timed_once() -> None:
    metrics = Metrics()
    timing = metrics.model("tiny").sequence(10.0)
    timing.received(12.0, 0, 0.0)
    timing.received(12.5, 1, 1.5)
    timing.received(13.5, 4, 0.0)
    timing.ended(14.0, "length")
    timing.abandoned(99.0)
    assert value(metrics, "vllm:time_to_first_token_seconds_sum") == 2.5
    assert value(metrics, "vllm:request_queue_time_seconds_sum") == 1.5
    assert value(metrics, "vllm:inter_token_latency_seconds_sum") == 0.25
    assert value(metrics, "vllm:e2e_request_latency_seconds_sum") == 4.0
    assert value(metrics, "vllm:request_success_total{") == 1


def test_an_abandoned_sequence_counts_as_aborted() -> None:
    metrics = Metrics()
    metrics.model("tiny").sequence(0.0).abandoned(1.0)
    assert value(metrics, 'vllm:request_success_total{finished_reason="abort"') == 1
