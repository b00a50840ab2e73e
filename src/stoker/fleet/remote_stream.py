"""One request at a replica on another machine: submitted, read frame by frame, ended from here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping
from typing import Any, TypeVar

import aiohttp
import msgspec

from stoker import errors
from stoker.core.output import Finish, FinishReason, TokenDelta
from stoker.core.request import Request
from stoker.engine import frames
from stoker.fleet.replica_protocol import FRAMES, SUBMIT_PATH, VERSION_HEADER

Result = TypeVar("Result")

LOST = Finish(FinishReason.ERROR, error_code=errors.ReplicaLost.code)
LOST_COMPUTING = msgspec.structs.replace(LOST, deaths=1)
"""A request whose connection broke may be why the replica died."""
MOST_BYTES = 64 * 1024
"""Of an answer that is no stream."""


class RemoteStream:
    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        request: Request,
        headers: Mapping[str, str],
    ) -> None:
        self._session = session
        self._url = url
        self._request = request
        self._headers = headers
        self._begun = False
        self._ended: asyncio.Future[Finish] = asyncio.get_running_loop().create_future()

    def end(self, finish: Finish) -> None:
        """The stream ends with this, whatever the replica does. Only the first call counts."""
        if not self._ended.done():
            self._ended.set_result(finish)

    async def deltas(self) -> AsyncGenerator[TokenDelta, None]:
        """The last one carries an ending: the replica's, the one given to `end`, or 'replica_lost'
        when the connection broke. Raises the replica's refusal. Closing it cancels the request."""
        try:
            response = await self._until_ended(self._submit())
            if isinstance(response, Finish):
                yield TokenDelta(self._request.request_id, finish=response)
                return
            async with response:
                if response.status != 200:
                    raise await refusal(response)
                self._begun = True
                async for delta in self._read(response):
                    yield delta
                    if delta.finish is not None:
                        return
        except (aiohttp.ClientError, OSError, errors.ProtocolError):
            pass  # whatever it was about to say is lost with it
        finish = LOST_COMPUTING if self._begun else LOST
        yield TokenDelta(self._request.request_id, finish=finish)

    async def _submit(self) -> aiohttp.ClientResponse:
        return await self._session.post(
            self._url + SUBMIT_PATH,
            data=frames.encode(frames.Submit(self._request)),
            headers={**self._headers, "content-type": FRAMES},
            allow_redirects=False,
        )

    async def _read(self, response: aiohttp.ClientResponse) -> AsyncGenerator[TokenDelta, None]:
        reader = frames.FrameReader()
        while True:
            data = await self._until_ended(response.content.readany())
            if isinstance(data, Finish):
                yield TokenDelta(self._request.request_id, finish=data)
                return
            if not data:
                return
            for frame in reader.feed(data):
                if not isinstance(frame, frames.Deltas):
                    raise errors.ProtocolError(f"{type(frame).__name__} is not for a front")
                for delta in frame.deltas:
                    yield delta

    async def _until_ended(self, work: Coroutine[Any, Any, Result]) -> Result | Finish:
        """What `work` returns, or the ending if that comes first."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait((task, self._ended), return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else self._ended.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


class Refused(msgspec.Struct, frozen=True):
    code: str = ""
    message: str = ""
    param: str | None = None


class RefusedBody(msgspec.Struct, frozen=True):
    error: Refused = Refused()


async def whole(response: aiohttp.ClientResponse) -> bytes:
    """The body. Raises ProtocolError when it is longer than any replica's."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MOST_BYTES:
            raise errors.ProtocolError("the replica's answer is too long")
    return bytes(body)


async def refusal(response: aiohttp.ClientResponse) -> errors.StokerError:
    """The replica's error as ours. What no client can help is this replica being of no use."""
    try:
        refused = msgspec.json.decode(await whole(response), type=RefusedBody).error
    except msgspec.DecodeError:
        refused = Refused()
    kind = _CLIENTS.get(refused.code)
    if kind is not None and refused.param != VERSION_HEADER:
        return kind(refused.message)
    return errors.NoCapacity(f"it refuses with status {response.status}: {refused.message[:200]!r}")


_CLIENTS: dict[str, type[errors.StokerError]] = {
    kind.code: kind
    for kind in (errors.ContextLengthExceeded, errors.InvalidRequest, errors.Overloaded)
}
