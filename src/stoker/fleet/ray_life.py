"""One replica on Ray, from the wish for room to its end. Runs beside Ray, not in the front."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError
from ray.util.placement_group import (
    PlacementGroup,
    placement_group,
    placement_group_table,
    remove_placement_group,
)
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from stoker.fleet.ray_actor import ReplicaActor
from stoker.fleet.ray_messages import Ended, News, Place, Serving, Waiting

LOOK_SECONDS = 1.0
"""Between two looks whether there is room yet."""
ANSWER_SECONDS = 5.0
"""For an actor to say that its replica ended."""
NUM_METHODS = 3
"""That an actor may be running at once."""
GIB = 1 << 30


class RayLife:
    """`tell` gets Waiting while there is no room, Serving once, and Ended last."""

    def __init__(self, order: Place, tell: Callable[[News], None]) -> None:
        self._order = order
        self._tell = tell
        self.task = asyncio.create_task(self._run(), name=order.replica_id)
        self._seconds = 0.0
        self._actor: Any = None

    def stop(self, seconds: float) -> None:
        """The replica may take so long to end by itself. Called again it is over at once."""
        self._seconds = seconds
        self.task.cancel()

    async def _run(self) -> None:
        name = f"stoker {self._order.replica_id}"
        group = placement_group([dict(self._order.resources)], strategy="STRICT_PACK", name=name)
        code, reason = None, "it was stopped"
        try:
            code, reason = await self._live(group)
        except asyncio.CancelledError:
            await self._stop(group)
        except RayActorError as error:
            reason = lost(error)
        except RayError as error:
            reason = f"Ray failed: {type(error).__name__}"
        finally:
            remove_placement_group(group)
        self._tell(Ended(replica_id=self._order.replica_id, reason=reason, exit_code=code))

    async def _live(self, group: PlacementGroup) -> tuple[int, str]:
        """Exit code and last words."""
        self._actor = self._begin(group)
        url = await self._there(self._actor.url.remote(), group)
        if url:
            self._tell(Serving(replica_id=self._order.replica_id, url=url))
        code, words = await self._actor.ended.remote()
        return code, words

    def _begin(self, group: PlacementGroup) -> Any:
        """Queued by Ray until the group has its room. It is not restarted where it was: whoever
        wants it gets another, maybe elsewhere."""
        resources = self._order.resources
        kind: Any = ray.remote(ReplicaActor)
        options = kind.options(
            num_cpus=resources.get("CPU", 0),
            num_gpus=resources.get("GPU", 0),
            memory=resources.get("memory"),
            max_concurrency=NUM_METHODS,
            max_restarts=0,
            scheduling_strategy=PlacementGroupSchedulingStrategy(group, 0),
        )
        return options.remote(list(self._order.program), self._order.settings, self._order.key)

    async def _there(self, reference: Any, group: PlacementGroup) -> str:
        """The result, while saying what it waits for."""
        waiting = asyncio.ensure_future(_result(reference))
        try:
            while not waiting.done():
                await asyncio.wait({waiting}, timeout=LOOK_SECONDS)
                reason = missing(placement_group_table(group), self._order.resources)
                if reason and not waiting.done():
                    self._tell(Waiting(replica_id=self._order.replica_id, reason=reason))
            return waiting.result()
        finally:
            waiting.cancel()

    async def _stop(self, group: PlacementGroup) -> None:
        """What is left then ends with its group."""
        if not self._seconds or placement_group_table(group)["state"] != "CREATED":
            return
        with contextlib.suppress(TimeoutError, RayError):
            async with asyncio.timeout(self._seconds + ANSWER_SECONDS):
                await self._actor.stop.remote(self._seconds)
                await self._actor.ended.remote()


async def _result(reference: Any) -> str:
    return str(await reference)


def lost(error: RayActorError) -> str:
    """The last line of what Ray says is the cause when the actor could not even begin."""
    if error.actor_init_failed:
        return f"its actor did not start: {str(error).strip().splitlines()[-1]}"
    return "its actor or its node died"


def missing(group: Mapping[str, Any], resources: Mapping[str, float]) -> str:
    """Why a placement group, as Ray's table shows it, has no room; empty: it has."""
    if group["state"] not in ("PENDING", "RESCHEDULING"):
        return ""
    wanted = described(resources)
    if group["stats"]["scheduling_state"] == "INFEASIBLE":
        return f"no node has {wanted}; one must be added"
    return f"no node has {wanted} free"


def described(resources: Mapping[str, float]) -> str:
    """As in '4 CPU, 1 GPU and 16 GiB'."""
    shown = [
        f"{amount / GIB:g} GiB" if name == "memory" else f"{amount:g} {name}"
        for name, amount in resources.items()
        if amount
    ]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
