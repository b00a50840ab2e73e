"""Our autoscaler in the fluid model, and sketches of what others do, all with the rule that nothing
is given up before a window of history was seen, which helps each of them."""

from __future__ import annotations

import math
from collections import deque

from benchmarks.autoscale.fluid_pool import WAKE_SECONDS, FluidPool, Wish
from stoker.config.fleet_schema import AutoscaleSection
from stoker.fleet.autoscaler import Autoscaler
from stoker.fleet.pool_sample import PoolSample

MOST = 60
UTILISATION = 0.7
SAMPLE_SECONDS = 2


class Static:
    def decide(self, second: int, pool: FluidPool) -> Wish | None:
        return None


class Ours:
    def __init__(self, *, ladder: bool = False) -> None:
        """`ladder`: replicas that are not needed may sleep instead of ending."""
        self._autoscaler = Autoscaler(AutoscaleSection(minimum=1, maximum=MOST))
        self._ladder = ladder
        self._work = 0.0

    def decide(self, second: int, pool: FluidPool) -> Wish | None:
        self._work += pool.arrived
        if second % SAMPLE_SECONDS:
            return None
        sample = PoolSample(
            time=float(second),
            arrived_work=self._work,
            waiting_work=pool.waiting,
            in_flight=int(pool.served > 0),
            ready=pool.ready,
            starting=len(pool.starting),
            sleeping=pool.sleeping,
            cold_seconds=pool.cold_seconds,
            wake_seconds=WAKE_SECONDS,
        )
        self._work = 0.0
        self._autoscaler.observe(sample, wall=float(second))
        decision = self._autoscaler.decide(float(second))
        return Wish(decision.desired, decision.standbys if self._ladder else 0)


class _Windowed:
    """The most that was wanted within the window is kept."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._wanted: deque[tuple[int, int]] = deque()

    def stabilised(self, second: int, wanted: int, pool: FluidPool) -> Wish:
        wanted = max(1, min(MOST, wanted))
        self._wanted.append((second, wanted))
        while self._wanted[0][0] <= second - self._seconds:
            self._wanted.popleft()
        if wanted >= pool.present or second < self._seconds:
            return Wish(max(wanted, pool.present))
        return Wish(min(pool.present, max(count for _, count in self._wanted)))


class Hpa(_Windowed):
    """Kubernetes' ratio of utilisation to target: every 15 s, 10 % tolerance, 300 s window."""

    def __init__(self) -> None:
        super().__init__(300)
        self._busy: deque[float] = deque(maxlen=15)

    def decide(self, second: int, pool: FluidPool) -> Wish | None:
        self._busy.append(pool.served / max(1, pool.ready))
        if second % 15:
            return None
        wanted = pool.ready * sum(self._busy) / len(self._busy) / UTILISATION
        if wanted > pool.ready:
            wanted = max(wanted, pool.present)
        near = abs(wanted / max(1, pool.present) - 1) < 0.1
        return self.stabilised(second, pool.present if near else math.ceil(wanted), pool)


class Keda(_Windowed):
    """What is in progress over a target a replica: every 30 s, 300 s window."""

    def __init__(self) -> None:
        super().__init__(300)

    def decide(self, second: int, pool: FluidPool) -> Wish | None:
        return None if second % 30 else self.stabilised(second, math.ceil(pool.ongoing), pool)


class Ray:
    """What is in progress, on average of 30 s: out after 30 s of wanting more, in after 600 s."""

    def __init__(self) -> None:
        self._ongoing: deque[float] = deque(maxlen=30)
        self._more = self._fewer = 0

    def decide(self, second: int, pool: FluidPool) -> Wish | None:
        self._ongoing.append(pool.ongoing)
        if second % 5:
            return None
        wanted = max(1, min(MOST, math.ceil(sum(self._ongoing) / len(self._ongoing))))
        self._more = self._more + 5 if wanted > pool.present else 0
        self._fewer = self._fewer + 5 if wanted < pool.present else 0
        if self._more < 30 and self._fewer < 600:
            return None
        self._more = self._fewer = 0
        return Wish(wanted)


class Kpa:
    """Knative: what is in progress on average of 60 s; in panic, of 6 s, and never fewer."""

    def __init__(self) -> None:
        self._ongoing: deque[float] = deque(maxlen=60)
        self._panic_until = -1

    def decide(self, second: int, pool: FluidPool) -> Wish | None:
        self._ongoing.append(pool.ongoing)
        if second % 2:
            return None
        stable = math.ceil(sum(self._ongoing) / len(self._ongoing))
        last = list(self._ongoing)[-6:]
        panic = math.ceil(sum(last) / len(last))
        if panic >= 2 * pool.ready:
            self._panic_until = second + 60
        if second < self._panic_until:
            return Wish(min(MOST, max(pool.present, panic)))
        wanted = max(1, min(MOST, stable))
        return Wish(max(pool.present, wanted) if second < 60 else wanted)
