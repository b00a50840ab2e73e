"""Which models are in memory when not all of them fit. Pure.

Requests for a model that is not there wait for it, and are served together when it is: a loaded
model stays for a time in proportion to what loading costs, so that alternating requests do not make
it thrash (llama-swap #588, #612). Models get in strictly in the order in which they were wanted, so
none starves. Who leaves sleeps if that makes room enough: it keeps its weights and is back at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from stoker.errors import ConfigError
from stoker.fleet.resident import ModelDemand, ModelSize, Residence, Resident, Step


class SwapPlan:
    """Never over the budget, whatever is under way. `decide` whenever something changed, and now
    and then."""

    def __init__(self, sizes: Iterable[ModelSize], budget_bytes: int, patience: float) -> None:
        """`patience`: seconds after which a model with requests makes room for another that waits,
        however long it took to load. Raises ConfigError for what can never fit."""
        self._models = {size.name: Resident(size) for size in sizes}
        self._budget = budget_bytes
        self._patience = patience
        self._check_room()

    @property
    def held_bytes(self) -> int:
        return sum(model.held_bytes for model in self._models.values())

    def residence(self, name: str) -> Residence:
        return self._models[name].residence

    def became(
        self, name: str, residence: Residence, now: float, load_seconds: float | None = None
    ) -> None:
        """ABSENT, ASLEEP or AWAKE: what a step came to, or what happened by itself."""
        model = self._models[name]
        model.residence, model.since, model.asleep_before = residence, now, False
        if load_seconds is not None:
            model.load_seconds = load_seconds

    def decide(self, demands: Mapping[str, ModelDemand], now: float) -> list[tuple[str, Step]]:
        """Steps to begin now; they count as begun."""
        for name, model in self._models.items():
            model.observe(demands.get(name, ModelDemand()), now)
        steps: list[tuple[str, Step]] = []
        for model in self._in_order():
            step = self._let_in(model)
            if step is None:
                steps += self._make_room(model, now)
                break
            steps.append(step)
        return steps

    # --- who gets in ------------------------------------------------------------------------

    def _in_order(self) -> list[Resident]:
        """Those that are to come, who was wanted first at the front; pinned ones before all."""
        absent = [
            model
            for model in self._models.values()
            if model.residence in (Residence.ABSENT, Residence.ASLEEP)
            and (model.size.pinned or model.wanted is not None)
        ]
        return sorted(absent, key=lambda one: (not one.size.pinned, one.wanted or 0.0))

    def _let_in(self, model: Resident) -> tuple[str, Step] | None:
        if self.held_bytes + model.missing_bytes > self._budget:
            return None
        asleep = model.residence is Residence.ASLEEP
        return self._begin(model, Step.WAKE if asleep else Step.LOAD)

    def _begin(self, model: Resident, step: Step) -> tuple[str, Step]:
        model.begin(step)
        return model.size.name, step

    # --- who leaves -------------------------------------------------------------------------

    def _make_room(self, guest: Resident, now: float) -> list[tuple[str, Step]]:
        """All that must leave for `guest`, or nobody as long as that is not enough."""
        coming = sum(model.freed_bytes for model in self._models.values())
        lacking = self.held_bytes + guest.missing_bytes - coming - self._budget
        leaving: dict[str, Step] = {}
        for step, model in self._candidates(guest, now):
            if lacking <= 0:
                break
            name, before = model.size.name, leaving.get(model.size.name)
            lacking -= model.gain(step) - (0 if before is None else model.gain(before))
            leaving[name] = step
        if lacking > 0:
            return []
        kept = self._spared(leaving, -lacking)
        return [self._begin(self._models[name], step) for name, step in kept.items()]

    def _candidates(self, guest: Resident, now: float) -> list[tuple[Step, Resident]]:
        """Ways to make room, the least harmful first: the idle fall asleep, what sleeps goes, and
        only then those with requests make way."""
        others = [one for one in self._models.values() if one is not guest and not one.size.pinned]
        others.sort(key=lambda one: one.worth(now))
        awake = [
            one
            for one in others
            if one.residence is Residence.AWAKE and one.may_leave(now, self._patience)
        ]
        idle, busy = ([one for one in awake if one.busy is is_busy] for is_busy in (False, True))
        asleep = [one for one in others if one.residence is Residence.ASLEEP]
        gone = sorted([*asleep, *idle], key=lambda one: one.worth(now))
        return [
            *((Step.SLEEP, one) for one in idle),
            *((Step.UNLOAD, one) for one in gone),
            *((Step.SLEEP, one) for one in busy),
            *((Step.UNLOAD, one) for one in busy),
        ]

    def _spared(self, leaving: dict[str, Step], spare: int) -> dict[str, Step]:
        """Without those that need not leave after all."""
        kept = dict(leaving)
        for name, step in leaving.items():
            gain = self._models[name].gain(step)
            if gain <= spare:
                spare -= gain
                del kept[name]
        return kept

    def _check_room(self) -> None:
        sizes: Sequence[ModelSize] = [model.size for model in self._models.values()]
        pinned = sum(size.awake_bytes for size in sizes if size.pinned)
        for size in sizes:
            others = pinned - (size.awake_bytes if size.pinned else 0)
            if size.awake_bytes + others > self._budget:
                raise ConfigError(
                    f"'{size.name}' needs {size.awake_bytes >> 20} MiB, beside {others >> 20} MiB "
                    f"for models that always stay; {self._budget >> 20} MiB are allowed",
                    hint="Allow more memory, or lower engine.kv_cache_mib.",
                )
