"""How many replicas a pool should have: a pure function from what was observed of it.

Out at once: for the demand there is, for bursts like those there were, for what waits, and for what
a forecast that has been right expects; whichever needs most. In slowly: see scale_in.py. Without
sound measurements nothing changes.

What one more replica costs in time differs: a sleeping one is awake in seconds, so it covers bursts
that would otherwise need replicas kept awake for them, and a backlog is worth waking all of them;
a cold one is started only for what will still wait when it is ready.
"""

from __future__ import annotations

import math
from typing import Protocol

from stoker.fleet.demand_history import RECENT_SECONDS, DemandHistory
from stoker.fleet.forecast import Forecast
from stoker.fleet.pool_sample import Decision, PoolSample
from stoker.fleet.scale_in import ScaleIn

STALE_SECONDS = 15.0
"""Without a sound sample for so long, nothing is known any more."""
FULL = 0.95
"""What replicas are planned to do of what they can, while a burst or a backlog lasts."""
ROBUST_SHARE = 0.99
"""Of the pieces of time that were; the demand of the rest is not provided for."""
ROBUST_COLD_SECONDS = 15.0
"""Where replicas are ready sooner, bursts need not be provided for."""
PROJECTION_SECONDS = 30.0
"""Demand of so long is taken to go on while a backlog is worked off; that of one second is not."""
SHORTEST_PROJECTION = 10.0
STANDBY_SHARE = 0.99
ASLEEP_IDLES = 12
"""Idle times after which a model that nobody asks for does not even sleep any more."""
FORECAST_SECONDS = 10.0
ROUNDING = 1e-6


class ScalingBounds(Protocol):
    """The `autoscale` section of a model's configuration, which says what these are."""

    @property
    def minimum(self) -> int: ...
    @property
    def maximum(self) -> int: ...
    @property
    def idle_seconds(self) -> float: ...
    @property
    def wait_target_seconds(self) -> float: ...
    @property
    def utilisation(self) -> float: ...


class Autoscaler:
    """One per pool. `observe` every few seconds, then `decide`."""

    def __init__(self, bounds: ScalingBounds) -> None:
        self.bounds = bounds
        """May be replaced at any time."""
        self._history = DemandHistory()
        self._forecast = Forecast(FORECAST_SECONDS)
        self._forecast_at = -math.inf
        self._scale_in = ScaleIn()
        self._last: PoolSample | None = None
        self._busy = 0.0
        """When there last was work, or may have been."""
        self._desired = 0

    @property
    def desired(self) -> int:
        """What was last decided; the bounds hold whatever they are by now."""
        return self._bounded(self._desired)

    def observe(self, sample: PoolSample, wall: float) -> None:
        """Samples that are not sound, or not newer than the last one, are as if they never came.
        `wall`: Unix seconds, for what repeats every week."""
        last = self._last
        if not sample.sound or (last is not None and sample.time <= last.time):
            return
        self._last = sample
        if last is None or sample.time - last.time > STALE_SECONDS:
            self._begin(sample, first=last is None)
            return
        self._history.add(sample.time, sample.time - last.time, sample.arrived_work)
        if not sample.idle:
            self._busy = sample.time
        if sample.time - self._forecast_at >= FORECAST_SECONDS:
            self._forecast_at = sample.time
            rate = self._history.rate(RECENT_SECONDS)
            self._forecast.observe(rate, wall, sample.cold_seconds)

    def decide(self, now: float) -> Decision:
        """To be asked after every `observe`, and when nothing could be observed."""
        sample = self._last
        if sample is None or not 0 <= now - sample.time <= STALE_SECONDS:
            return Decision(desired=self.desired, why="hold")
        idle = now - self._busy
        if idle >= self.bounds.idle_seconds:
            self._desired = self.bounds.minimum
            return Decision(desired=self.desired, standbys=self._standbys(idle), why="idle")
        self._desired = self.desired
        needed, why = self._needed(sample)
        self._scale_in.remember(now, needed)
        if needed < self._desired:
            self._desired = self._scale_in.allowed(now, self._desired, sample.cold_seconds)
            why = "window"
        else:
            self._desired = needed
        return Decision(desired=self.desired, standbys=self._standbys(idle), why=why)

    def _begin(self, sample: PoolSample, *, first: bool) -> None:
        """History begins, maybe anew: nothing is concluded from what was not seen. What there is
        now was enough so far."""
        self._busy = sample.time
        self._scale_in.begin(sample.time)
        if first:
            self._desired = self._bounded(sample.present)

    # --- what is needed ---------------------------------------------------------------------

    def _needed(self, sample: PoolSample) -> tuple[int, str]:
        """Replicas, and what for."""
        wanted = {
            "steady": self._history.rate(RECENT_SECONDS) / self.bounds.utilisation,
            "forecast": (self._forecast.best or 0.0) / self.bounds.utilisation,
            "robust": self._robust(sample),
            "drain": self._drain(sample, sample.cold_seconds),
            "wake": self._wake(sample),
        }
        why = max(wanted, key=lambda name: wanted[name])
        asleep = not self._desired and sample.idle
        count = max(0 if asleep else 1, math.ceil(wanted[why] - ROUNDING))
        bounded = self._bounded(count)
        return bounded, why if bounded == count else "bounds"

    def _robust(self, sample: PoolSample) -> float:
        """For bursts; replicas that sleep stand ready for them, too."""
        if sample.cold_seconds <= ROBUST_COLD_SECONDS:
            return 0.0
        return self._history.quantile(ROBUST_SHARE) / FULL - sample.sleeping

    def _drain(self, sample: PoolSample, horizon: float) -> float:
        """For what will still wait in `horizon` seconds, when one more replica can be there."""
        if not sample.waiting_work:
            return 0.0
        rate = self._history.rate(min(PROJECTION_SECONDS, max(SHORTEST_PROJECTION, horizon)))
        left = sample.waiting_work + (rate - sample.ready) * horizon
        if left <= 0:
            return 0.0
        return (rate + left / max(self.bounds.wait_target_seconds, horizon)) / FULL

    def _wake(self, sample: PoolSample) -> float:
        if not sample.sleeping:
            return 0.0
        reachable = sample.present + sample.sleeping
        return min(reachable, self._drain(sample, sample.wake_seconds))

    def _standbys(self, idle: float) -> int:
        """As many as demand seldom rises by in a minute; one while a model at rest may be wanted
        again."""
        rise = self._history.rise(STANDBY_SHARE, RECENT_SECONDS)
        resting = not self._desired and idle < ASLEEP_IDLES * self.bounds.idle_seconds
        wanted = max(int(resting), math.ceil(rise - ROUNDING))
        return max(0, min(wanted, self.bounds.maximum - self.desired))

    def _bounded(self, count: int) -> int:
        return max(self.bounds.minimum, min(self.bounds.maximum, count))
