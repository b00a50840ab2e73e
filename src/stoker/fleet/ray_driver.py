"""The process that speaks with Ray for a front: `python -m stoker.fleet.ray_driver ADDRESS`.

Ray's threads, signal handlers and fatal errors stay out of the front this way. Orders come on
standard input and news go to standard output; when the input ends, so do all replicas. They belong
to this process's Ray job, so Ray ends them even if it is killed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import IO

import msgspec
import ray

from stoker.fleet.ray_life import RayLife
from stoker.fleet.ray_messages import (
    NO_CLUSTER,
    Connected,
    Ended,
    News,
    Order,
    Place,
    Refused,
    line,
)

LAST_SECONDS = 5.0
"""For replicas to end by themselves when nobody wants them any more."""


class RayDriver:
    def __init__(self, news: IO[bytes]) -> None:
        self._news = news
        self._lives: dict[str, RayLife] = {}

    async def run(self, orders: asyncio.StreamReader) -> None:
        """Until the orders end, and all replicas with them."""
        decode = msgspec.json.Decoder(Order).decode
        async for text in orders:
            self._obey(decode(text))
        lives = list(self._lives.values())
        for life in lives:
            life.stop(LAST_SECONDS)
        await asyncio.gather(*(life.task for life in lives), return_exceptions=True)

    def tell(self, news: News) -> None:
        self._news.write(line(news))
        self._news.flush()

    def _obey(self, order: Order) -> None:
        if not isinstance(order, Place):
            life = self._lives.get(order.replica_id)
            if life is not None:
                life.stop(order.seconds)
            return
        life = self._lives[order.replica_id] = RayLife(order, self.tell)
        life.task.add_done_callback(self._over)

    def _over(self, life: asyncio.Task[None]) -> None:
        """One that could not say how it ended is spoken for."""
        replica_id = life.get_name()
        del self._lives[replica_id]
        error = None if life.cancelled() else life.exception()
        if error is not None:
            self.tell(Ended(replica_id=replica_id, reason=f"Ray failed: {type(error).__name__}"))
        elif life.cancelled():
            self.tell(Ended(replica_id=replica_id, reason="it was stopped"))


async def _standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def _serve(driver: RayDriver) -> None:
    await driver.run(await _standard_input())


def _connect(address: str) -> Refused | None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError:
        return Refused(message=f"no Ray cluster answers at '{address}'", hint=NO_CLUSTER)
    except (RuntimeError, ValueError, OSError) as error:  # other versions of Ray or Python, mostly
        return Refused(message=f"Ray refuses: {' '.join(str(error).split())}", hint="")
    return None


def main(address: str) -> int:
    """Ray prints where it likes, so news get a descriptor of their own, and what it has to say once
    it is connected stays in its own logs."""
    with os.fdopen(os.dup(1), "wb") as news:
        os.dup2(2, 1)
        driver = RayDriver(news)
        refused = _connect(address)
        if refused is not None:
            driver.tell(refused)
            return 2
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the front decides when it ends
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a descriptor is wanted
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        driver.tell(Connected())
        asyncio.run(_serve(driver))
        ray.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
