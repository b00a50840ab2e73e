"""Limits in Redis or Valkey: one script reserves, one settles."""

from __future__ import annotations

import importlib.resources
import logging
from collections.abc import Iterable
from typing import Any

import redis.asyncio as client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from stoker.config.redaction import without_password
from stoker.errors import ConfigError, SetupError, StorageUnavailable
from stoker.gateway.limits import LEAST_TOKENS
from stoker.gateway.stores.remote import Order, Settlement, Verdict
from stoker.gateway.tenant import Tenant
from stoker.gateway.usage import NANO

log = logging.getLogger(__name__)

CONNECTIONS = 32
ANSWER_SECONDS = 2.0
EXACT = 2**53
"""Scripts count in doubles, which hold whole numbers up to here."""

REMEMBERS = {"appendonly": "yes", "maxmemory-policy": "noeviction"}
"""Without these, what was spent is forgotten at a restart, or when memory is short."""


class RedisLimits:
    """Implements SharedLimits. `open` makes one."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self._reserve = redis.register_script(_script("reserve.lua"))
        self._settle = redis.register_script(_script("settle.lua"))

    @classmethod
    async def open(cls, url: str) -> RedisLimits:
        """Raises SetupError when nobody answers there."""
        address = url.replace("valkey", "redis", 1) if url.startswith("valkey") else url
        pool: Any = client.BlockingConnectionPool.from_url(
            address,
            max_connections=CONNECTIONS,
            timeout=ANSWER_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        redis = client.Redis.from_pool(pool)
        try:
            await redis.ping()
        except (RedisError, OSError) as error:
            await redis.aclose()
            raise SetupError(
                f"the store of limits at {without_password(url)} cannot be used: {error}",
                hint="Start it, or correct store.limits_url.",
            ) from None
        await _warn_if_forgetful(redis)
        return cls(redis)

    async def reserve(self, order: Order) -> Verdict:
        ask, limits = order.ask, order.ask.tenant.limits
        price = ask.price
        refusal, output, after, *expired = await _answer(
            self._reserve(
                [_prefix(ask.tenant.name)],
                [
                    order.reservation, repr(order.wall), repr(ask.seconds), order.window,
                    limits.concurrency, limits.requests_per_minute, limits.tokens_per_minute,
                    limits.budget if price.worst(1, 1) else 0,
                    ask.input_tokens, ask.output_tokens, LEAST_TOKENS,
                    price.worst(ask.input_tokens, 0), price.output, order.record, ask.requests,
                ],
            )
        )  # fmt: skip
        return Verdict(
            refusal=refusal,
            output_tokens=int(output),
            retry_after=float(after),
            expired=tuple(
                (record, int(tokens), int(worst))
                for record, tokens, worst in zip(
                    expired[::3], expired[1::3], expired[2::3], strict=True
                )
            ),
        )

    async def settle(self, settlement: Settlement) -> bool:
        arguments = [settlement.reservation, settlement.tokens, settlement.cost]
        return bool(await _answer(self._settle([_prefix(settlement.tenant)], arguments)))

    def check(self, tenants: Iterable[Tenant]) -> None:
        for tenant in tenants:
            if tenant.limits.budget >= EXACT:
                raise ConfigError(
                    f"the budget of '{tenant.name}' is too large for limits in Redis",
                    hint=f"Up to {EXACT // NANO:,} can be counted exactly there.",
                )

    async def close(self) -> None:
        await self._redis.aclose()


def _prefix(tenant: str) -> str:
    """The braces keep a tenant's keys on one node where a proxy spreads keys over several."""
    return f"stoker:{{{tenant}}}:"


def _script(name: str) -> str:
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


async def _answer(call: Any) -> Any:
    try:
        return await call
    except (RedisError, OSError) as error:
        log.error("the store of limits: %s", error)
        raise StorageUnavailable("the store of limits does not answer", retry_after=1.0) from None


async def _warn_if_forgetful(redis: Any) -> None:
    try:
        found = await redis.config_get(*REMEMBERS)
    except (RedisError, OSError):
        return  # a hosted one may not tell
    for name, value in REMEMBERS.items():
        if found.get(name) != value:
            log.warning("the store of limits may forget what was spent: set %s %s", name, value)
