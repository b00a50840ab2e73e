"""Who is dropped when there are too many connections, and how many there may be."""

from __future__ import annotations

import logging
import resource

import pytest

from stoker.api.connections import (
    Connections,
    backlog,
    most_connections,
    most_requests,
)
from stoker.config.schema import LimitsSection
from stoker.errors import ConfigError


class Client:
    def __init__(self) -> None:
        self.dropped = False

    def drop(self) -> None:
        self.dropped = True


def test_the_longest_silent_is_dropped_and_never_one_with_a_request() -> None:
    connections = Connections(3)
    asking, early, _ = clients = [Client() for _ in range(3)]
    for client in clients:
        connections.opened(client)
    connections.busy(asking)
    connections.busy(early)
    connections.silent(early)
    connections.opened(newcomer := Client())
    assert [client.dropped for client in (*clients, newcomer)] == [False, False, True, False]
    connections.opened(Client())
    assert early.dropped
    assert not asking.dropped
    assert len(connections) == 3


def test_a_newcomer_is_dropped_when_all_others_have_a_request() -> None:
    connections = Connections(2)
    for _ in range(2):
        connections.opened(client := Client())
        connections.busy(client)
    connections.opened(newcomer := Client())
    assert newcomer.dropped
    connections.silent(newcomer)
    connections.closed(newcomer)
    assert len(connections) == 2


def test_many_drops_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    connections = Connections(1)
    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            connections.opened(Client())
    assert len(caplog.records) == 1
    assert "limits.connections" in caplog.text


@pytest.mark.parametrize(
    ("files", "most"),
    [(128, 64), (1024, 768), (1 << 20, 16384), (resource.RLIM_INFINITY, 16384)],
)
def test_files_are_left_for_all_else(
    files: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (files, files))
    limits = LimitsSection()
    assert most_connections(limits) == most
    assert most_requests(limits) == min(2048, most - 8)
    assert 1 <= backlog(limits) <= 2048
    if files > 0:
        assert most + backlog(limits) < files


def test_more_than_there_are_files_for_is_refused_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (128, 4096))
    assert most_connections(LimitsSection(connections=64)) == 64
    with pytest.raises(ConfigError, match=r"limits\.connections: 65"):
        most_connections(LimitsSection(connections=65))
