"""L2, L3 and L4: more work than the replicas can do, on fake replicas and a clock that jumps.

What decides is the production waiting room; only clients and replicas are made up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import pytest

from stoker.config.fleet_schema import QueueSection
from tests.support.queue_simulation import FakeReplicas, Job, Simulation

WINDOW = 60


def answers(simulation: Simulation) -> int:
    """New tokens: 127 on average, and never more than everybody says."""
    return min(256, 1 + int(simulation.random.expovariate(1 / 127)))


def percentile(values: Iterable[float], share: float) -> float:
    ordered = sorted(value for value in values if not math.isnan(value))
    return ordered[int(share * (len(ordered) - 1))]


def between(jobs: list[Job], start: float, end: float) -> list[Job]:
    return [job for job in jobs if start <= job.arrival < end]


def test_l2_four_times_overload_costs_nothing_of_what_is_done_in_time() -> None:
    simulation = Simulation(FakeReplicas(turns=32))
    capacity = simulation.replicas.work_rate(prompt=400, output=128)

    def rate(now: float) -> float:
        if now < 60 or now >= 720:
            return 0.7 * capacity
        return capacity * min(0.7 + 3.3 * (now - 60) / 60, 4.0)

    def job() -> Job:
        tenant = f"tenant {simulation.random.randrange(5)}"
        prompt = simulation.random.randint(100, 700)
        return Job(tenant, prompt, answers(simulation), patience=15.0)

    simulation.poisson(rate, job)
    simulation.events.run(780)
    jobs = simulation.jobs
    in_time = [sum(job.in_time and a <= job.end < a + WINDOW for job in jobs)
               for a in range(120, 720, WINDOW)]  # fmt: skip
    assert min(in_time) >= 0.9 * max(in_time)
    assert min(in_time) >= 0.9 * capacity * WINDOW
    overload = between(jobs, 120, 720)
    refused = [job for job in overload if job.outcome == "refused"]
    assert len(refused) > len(overload) / 2
    assert all(1 <= job.retry_after <= 66 for job in refused)
    accepted = len(overload) - len(refused)
    assert sum(job.outcome == "late" for job in overload) <= 0.1 * accepted
    before, after = between(jobs, 0, 60), between(jobs, 750, 780)
    assert not any(job.outcome == "refused" for job in after)
    usual = percentile((job.first_token_seconds for job in before), 0.95)
    assert percentile((job.first_token_seconds for job in after), 0.95) <= 1.2 * usual


def test_l3_a_retry_storm_stays_near_what_was_offered_and_ends() -> None:
    simulation = Simulation(FakeReplicas(turns=32))
    nominal = 2 * simulation.replicas.work_rate(prompt=400, output=128)
    pause, calm = 500 / nominal - 2, 300

    def start(retries: int = 2) -> None:
        """As the official client does: twice more, after the time it was told."""

        def ended(job: Job) -> None:
            if job.outcome == "refused" and retries:
                simulation.events.after(job.retry_after, lambda: start(retries - 1))
            else:
                longer = 5 if simulation.now > calm else 1
                simulation.events.after(simulation.random.expovariate(1 / (pause * longer)), start)

        tenant = f"tenant {simulation.random.randrange(10)}"
        prompt = simulation.random.randint(100, 700)
        simulation.submit(Job(tenant, prompt, answers(simulation), ended=ended))

    for _ in range(500):
        simulation.events.after(simulation.random.uniform(0, pause), start)
    simulation.events.run(calm + 120)
    for second in range(0, calm, 30):
        offered = len(between(simulation.jobs, second, second + 30)) / 30
        assert offered <= 1.5 * nominal
    storm = between(simulation.jobs, 0, calm)
    assert sum(job.outcome == "refused" for job in storm) > 0.2 * len(storm)
    later = between(simulation.jobs, calm + 60, calm + 120)
    assert all(job.outcome != "refused" for job in later)
    assert percentile((job.first_token_seconds for job in later), 0.95) < 0.5


def others_beside(flood: float) -> list[Job]:
    """Nine tenants that use half of their shares, while a tenth wants `flood` times its own."""
    simulation = Simulation(FakeReplicas(turns=64, count=4))
    share = simulation.replicas.work_rate(prompt=800, output=128) / 10

    def of(tenant: str) -> Callable[[], Job]:
        return lambda: Job(tenant, simulation.random.randint(200, 1400), answers(simulation))

    for index in range(9):
        simulation.poisson(lambda now: share / 2, of(f"tenant {index}"))
    if flood:
        simulation.poisson(lambda now: share * flood, of("flood"))
    simulation.events.run(80)
    return [job for job in between(simulation.jobs, 20, 75) if job.tenant != "flood"]


def test_l4_a_tenant_that_wants_fifty_times_its_share_is_alone_with_it() -> None:
    alone, beside = others_beside(0), others_beside(50)
    assert not any(job.outcome == "refused" for job in beside)
    usual = percentile((job.first_token_seconds for job in alone), 0.95)
    assert percentile((job.first_token_seconds for job in beside), 0.95) <= 1.3 * usual


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_who_comes_back_when_told_gets_in(seed: int) -> None:
    """A burst of twice what may wait, beside a load that goes on."""
    section = QueueSection(max_seconds=20.0)
    simulation = Simulation(FakeReplicas(turns=32), section, seed)
    capacity = simulation.replicas.work_rate(prompt=400, output=128)
    returned: list[Job] = []

    def job(ended: Callable[[Job], None] = lambda job: None) -> Job:
        tenant = f"tenant {simulation.random.randrange(10)}"
        prompt = simulation.random.randint(100, 700)
        return Job(tenant, prompt, answers(simulation), ended=ended)

    def come_back(refused: Job) -> None:
        if refused.outcome == "refused":
            again = job()
            again.tenant = refused.tenant
            returned.append(again)
            simulation.events.after(refused.retry_after, lambda: simulation.submit(again))

    simulation.poisson(lambda now: capacity * (1.2 if now < 60 else 0.3), job)
    simulation.events.run(120)
    for _ in range(int(40 * capacity)):
        simulation.submit(job(come_back))
    simulation.events.run(260)
    assert len(returned) > 100
    refused_again = sum(job.outcome == "refused" for job in returned)
    assert refused_again <= 0.01 * len(returned)
    assert max(job.first_token_seconds for job in returned if job.outcome == "done") <= 30
