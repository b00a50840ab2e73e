"""GET /info: the one model that is served, in the form of text-generation-inference."""

from __future__ import annotations

import msgspec

import stoker
from stoker.api.dispatch import resolve_only
from stoker.api.exchange import Exchange
from stoker.api.front import Front
from stoker.errors import Loading
from stoker.gateway.routes import OwnTarget


class TgiInfo(msgspec.Struct, frozen=True, kw_only=True):
    model_id: str
    model_sha: str | None = None
    model_pipeline_tag: str = "text-generation"
    max_concurrent_requests: int
    max_best_of: int = 1
    max_stop_sequences: int
    max_input_tokens: int | None
    """None while the model loads, and for models of other servers; so with the next."""
    max_total_tokens: int | None
    validation_workers: int = 1
    max_client_batch_size: int = 1
    router: str = "stoker"
    version: str = stoker.__version__
    sha: str | None = None
    docker_label: str | None = None


class Info:
    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, exchange: Exchange) -> None:
        """Raises InvalidRequest where several models are served: nothing in the question names
        one."""
        front = self._front
        route = resolve_only(front, None, exchange)
        longest, requests = self._room(route.targets[0])
        info = TgiInfo(
            model_id=route.name,
            max_concurrent_requests=requests,
            max_stop_sequences=front.limits.stops,
            max_input_tokens=None if longest is None else longest - 1,
            max_total_tokens=longest,
        )
        await exchange.respond_json(info)

    def _room(self, target: object) -> tuple[int | None, int]:
        """Tokens of one sequence, sequences at once."""
        if not isinstance(target, OwnTarget):
            return None, 0
        try:
            about = self._front.services[target.model].backend.info
        except Loading:
            return None, 0
        return about.max_context, about.max_requests
