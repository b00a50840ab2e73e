"""Who may join, who is too late, and what is known about the line."""

from __future__ import annotations

import math

import pytest

from stoker.config.fleet_schema import QueueSection
from stoker.errors import Overloaded
from stoker.gateway.answer_lengths import MOST_TENANTS
from stoker.gateway.capacity import Capacity
from stoker.gateway.entry import Entry
from stoker.gateway.queue_report import Refusal
from stoker.gateway.tenant import Band
from stoker.gateway.usage import Usage
from stoker.gateway.waiting_room import WaitingRoom

USAGE = Usage(input_tokens=100)


class Room:
    """A waiting room whose turns take one second each, for 100 units of work."""

    def __init__(self, section: QueueSection | None = None, chance: float = 0.5) -> None:
        self.capacity = Capacity(4)
        self.chance = chance
        self.room = WaitingRoom(
            section or QueueSection(), lambda: self.capacity, lambda: self.chance
        )
        self.now = 0.0
        self.running: list[str] = []
        self.count = 0
        for _ in range(400):  # the rate has been measured
            self.join()
            self.step()

    def join(
        self,
        tenant: str = "a",
        *,
        seconds: float = math.inf,
        band: Band = Band.STANDARD,
        expected: Usage = USAGE,
        sequences: int = 1,
    ) -> str:
        self.count += 1
        entry = Entry(
            request_id=f"r{self.count}",
            tenant=tenant,
            band=band,
            expected=expected,
            sequences=sequences,
            arrival=self.now,
            deadline=self.now + seconds,
        )
        self.room.join(entry, self.now)
        return entry.request_id

    def start(self) -> list[str]:
        started = []
        while (entry := self.room.next(self.now)) is not None:
            started.append(entry.request_id)
        self.running += started
        return started

    def step(self, usage: Usage | None = USAGE) -> None:
        """A second passes, in which all that can run do."""
        self.start()
        self.now += 1.0
        for request_id in self.running:
            self.room.ended(request_id, usage, self.now)
        self.running.clear()

    def fill(self, seconds: float, tenant: str = "a") -> None:
        """All places are taken, and so much work waits."""
        for _ in range(4 + round(4 * seconds)):
            self.join(tenant)
            self.start()


def refusal(
    room: Room, tenant: str = "a", *, seconds: float = math.inf, band: Band = Band.STANDARD
) -> Overloaded:
    with pytest.raises(Overloaded) as caught:
        room.join(tenant, seconds=seconds, band=band)
    return caught.value


def test_backlog_is_counted_in_seconds() -> None:
    room = Room()
    room.fill(5.0)
    assert room.room.report(room.now).backlog_seconds == pytest.approx(5.0, rel=0.05)


def test_beyond_the_most_seconds_one_is_told_when_to_come_back() -> None:
    room = Room(QueueSection(max_seconds=5.1))
    room.fill(5.0)
    refused = refusal(room)
    assert refused.status == 429
    assert refused.retry_after is not None
    assert 5.0 <= refused.retry_after <= 6.0
    assert room.room.report(room.now).refused[Refusal.FULL] == 1
    room.now += 1
    for request_id in room.running:
        room.room.ended(request_id, USAGE, room.now)
    room.start()
    room.join()


def test_a_full_queue_of_one_tenant_is_not_full_for_another() -> None:
    room = Room(QueueSection(max_seconds=5.1))
    room.fill(5.0, "greedy")
    refusal(room, "greedy")
    room.join("modest")


def test_who_would_start_too_late_is_refused_before_it_waits() -> None:
    room = Room()
    room.fill(5.0)
    refused = refusal(room, seconds=4.0)
    assert refused.retry_after is not None
    room.join(seconds=10.0)
    assert room.room.report(room.now).refused[Refusal.DEADLINE] == 1


def test_who_need_not_wait_is_never_refused_however_little_time_it_has() -> None:
    room = Room(chance=0.0)
    assert room.join(seconds=0.01) in room.start()
    assert not room.room.late(room.now)


def test_whose_time_ran_out_is_taken_out_and_so_is_whose_turn_comes_too_late() -> None:
    room = Room()
    room.fill(1.0)
    expired = room.join("b", seconds=2.6)
    room.now += 2.7
    assert [entry.request_id for entry in room.room.late(room.now)] == [expired]
    for request_id in room.running:
        room.room.ended(request_id, USAGE, room.now)
    in_vain = room.join("c", seconds=4.0)
    room.now += 3.5
    assert [entry.request_id for entry in room.room.late(room.now)] == [in_vain]
    assert room.room.report(room.now).late == 2


def test_a_standing_queue_sheds_the_lowest_band_and_spares_who_has_little_waiting() -> None:
    room = Room(QueueSection(max_seconds=60.0), chance=1.0)
    room.fill(10.0)
    for _ in range(25):
        for _ in range(4):
            room.join()
        room.step()
    room.join("b", band=Band.BATCH)  # the lowest now
    room.chance = 0.4
    refusal(room, "b", band=Band.BATCH)
    assert room.room.report(room.now).refused[Refusal.STANDING] == 1
    room.join()
    room.join("newcomer")


def test_a_turn_is_not_a_unit_where_memory_is_short() -> None:
    room = Room()
    room.capacity = Capacity(4, tokens=1000)
    large = Usage(input_tokens=800, output_tokens=150)
    first, second, third = (room.join(expected=each) for each in (large, large, USAGE))
    assert room.start() == [first]
    room.step()
    assert room.start() == [second]
    room.step()
    assert room.start() == [third]


def test_a_request_for_several_answers_takes_several_places() -> None:
    room = Room()
    three, two, one = (room.join(sequences=count) for count in (3, 2, 1))
    assert room.start() == [three]
    room.step()
    assert room.start() == [two, one]
    room.step()
    assert room.join(sequences=9) in room.start()


def test_what_is_larger_than_everything_runs_alone() -> None:
    room = Room()
    room.capacity = Capacity(4, tokens=50)
    assert room.join() in room.start()
    room.join()
    assert room.start() == []


def test_while_there_is_no_replica_requests_wait() -> None:
    room = Room()
    room.capacity = Capacity(0)
    waiting = [room.join() for _ in range(3)]
    assert room.start() == []
    room.capacity = Capacity(8)
    assert room.start() == waiting


def test_estimates_that_are_too_high_throughout_do_not_lengthen_the_seconds() -> None:
    room = Room()
    for _ in range(400):
        for _ in range(4):
            room.join(expected=Usage(input_tokens=100, output_tokens=200))
        room.step(Usage(input_tokens=100, output_tokens=5))
    for _ in range(12):
        room.join(expected=Usage(input_tokens=100, output_tokens=200))
        room.start()
    assert room.room.report(room.now).backlog_seconds == pytest.approx(2.0, rel=0.1)


def answers(said: int) -> Usage:
    return Usage(input_tokens=10, output_tokens=said)


def test_a_tenant_is_charged_for_what_it_got_not_for_what_it_said() -> None:
    room = Room(QueueSection(max_seconds=1e6, standing_seconds=1e6))
    got = {"modest": 0, "liar": 0}
    names: dict[str, str] = {}
    for _ in range(100):
        for tenant, said in [("modest", 400), ("liar", 1)]:
            for _ in range(4):
                names[room.join(tenant, expected=answers(said))] = tenant
        for request_id in room.start():
            got[names[request_id]] += 1
        room.step(answers(200))
    assert got["liar"] == pytest.approx(got["modest"], rel=0.05)


def test_a_tenant_is_charged_while_an_answer_gets_longer_than_expected() -> None:
    room = Room()
    room.capacity = Capacity(1)
    long = room.join("long", expected=answers(1))
    assert room.start() == [long]
    waiting = [room.join(tenant, expected=answers(20)) for tenant in ("long", "b", "b", "b")]
    room.room.used(long, answers(1000), room.now)
    order = []
    room.capacity = Capacity(2)
    for _ in waiting:
        (request_id,) = room.start()
        order.append(request_id)
        room.room.ended(request_id, None, room.now)
    assert order[-1] == waiting[0]


def test_the_length_of_answers_is_learned_by_tenant() -> None:
    room = Room()
    for _ in range(50):
        room.join("brief")
        room.start()
        room.step(answers(20))
    assert room.room.answers.expected("brief", 4096) == 20
    assert room.room.answers.expected("other", 4096) == 256
    assert room.room.answers.expected("other", 8) == 8
    for index in range(2 * MOST_TENANTS):
        room.room.answers.learn(f"tenant {index}", 5)
    assert len(room.room.answers) == MOST_TENANTS


def test_the_report_says_who_waits_and_for_how_long() -> None:
    room = Room()
    room.fill(0.0)
    room.join("a")
    room.now += 2.0
    room.join("b", band=Band.BATCH)
    report = room.room.report(room.now)
    assert (report.waiting, report.in_flight, report.oldest_wait) == (2, 4, 2.0)
    assert report.by_band[Band.STANDARD] == {"a": 1}
    assert report.by_band[Band.BATCH] == {"b": 1}
    assert report.drain_rate == pytest.approx(400, rel=0.05)
