"""Real stores, each started once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.programs import postgresql, redis


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with redis() as server, server.started() as url:
        yield url


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    with postgresql() as cluster, cluster.started() as url:
        yield url
