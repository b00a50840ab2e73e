"""A replica on Ray before it has a place, and when it is told to sleep."""

from __future__ import annotations

import pytest

from stoker.errors import Loading, NoCapacity, SetupError
from stoker.fleet.interface import ReplicaId, ReplicaState
from stoker.fleet.ray_messages import Ended
from stoker.fleet.ray_replica import RayReplica
from tests.support.engine_streams import request


async def nowhere(replica_id: str, seconds: float) -> None:
    raise AssertionError(replica_id)


def unplaced() -> RayReplica:
    return RayReplica(ReplicaId("m/1"), nowhere, lambda replica_id, seconds: None)


async def test_without_a_place_it_takes_nothing() -> None:
    replica = unplaced()
    assert replica.state is ReplicaState.STARTING
    with pytest.raises(Loading):
        _ = replica.backend.info
    with pytest.raises(NoCapacity):
        async for _ in replica.backend.submit(request("early")):
            pass


@pytest.mark.parametrize(("code", "error"), [(None, NoCapacity), (2, SetupError)])
async def test_who_waits_for_its_start_is_told_why_there_is_none(
    code: int | None, error: type[Exception]
) -> None:
    replica = unplaced()
    replica.over(Ended(replica_id="m/1", reason="so it is", exit_code=code))
    assert replica.state is ReplicaState.GONE
    assert not replica.was_ready
    with pytest.raises(error, match="so it is"):
        await replica.started()


async def test_told_to_sleep_it_leaves() -> None:
    left: list[tuple[str, float]] = []

    async def leave(replica_id: str, grace: float) -> None:
        left.append((replica_id, grace))

    await RayReplica(ReplicaId("m/1"), leave, lambda replica_id, seconds: None).sleep(7.0)
    assert left == [("m/1", 7.0)]
