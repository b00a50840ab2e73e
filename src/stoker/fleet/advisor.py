"""Says how many replicas there should be where others start them, as on Kubernetes."""

from __future__ import annotations

from stoker.fleet.controller import Controller
from stoker.fleet.supply import Changes


class Advisor(Controller):
    """Its `counts` are what KEDA or an autoscaler of the cluster reads."""

    def _apply(self, wanted: Changes, now: float) -> None:
        return None
