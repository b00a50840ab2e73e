"""A closed-loop load generator: as many clients as asked for, each sending its next request
when its last one ended. Speaks the OpenAI completions protocol, so any such server will do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import aiohttp
import msgspec

from stoker.bench.timing import Timing
from stoker.bench.workload import Workload

MAX_LINE_BYTES = 1024 * 1024


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Choice(msgspec.Struct):
    text: str = ""


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: dict[str, object] | None = None


_decode = msgspec.json.Decoder(_Chunk).decode


class LoadGenerator:
    """`url` is the server's root, such as http://127.0.0.1:8000."""

    def __init__(self, url: str, model: str, *, stream: bool, api_key: str | None = None) -> None:
        self._url = f"{url.rstrip('/')}/v1/completions"
        self._model = model
        self._stream = stream
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}

    async def run(self, workload: Workload, concurrency: int) -> list[Timing]:
        """All requests of the workload, in the order they ended."""
        timings: list[Timing] = []
        prompts = workload.prompts()
        # One connection a request: some servers close theirs after a stream without saying so,
        # and the next request on it would be lost.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(
            connector=connector,
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=600),
            read_bufsize=MAX_LINE_BYTES,
        ) as session:

            async def client(source: Iterator[str]) -> None:
                for prompt in source:
                    timing = await self._ask(session, prompt, workload.output_tokens)
                    timings.append(timing)

            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(client(prompts))
        return timings

    async def _ask(self, session: aiohttp.ClientSession, prompt: str, tokens: int) -> Timing:
        body = self._body(prompt, tokens)
        timing = Timing(started=time.monotonic())
        try:
            async with session.post(self._url, json=body) as response:
                if response.status != 200:
                    timing.error = f"status {response.status}"
                elif self._stream:
                    await self._read_stream(response, timing)
                else:
                    self._take(await response.read(), timing)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            timing.error = type(error).__name__
        if timing.error is None:
            timing.finished = time.monotonic()
        return timing

    def _body(self, prompt: str, tokens: int) -> dict[str, object]:
        body: dict[str, object] = {
            "model": self._model,
            "prompt": prompt,
            "max_tokens": tokens,
            "ignore_eos": True,
            "temperature": 0,
            "stream": self._stream,
        }
        if self._stream:
            body["stream_options"] = {"include_usage": True}
        return body

    async def _read_stream(self, response: aiohttp.ClientResponse, timing: Timing) -> None:
        ended = False
        async for line in response.content:
            if not line.startswith(b"data:"):
                continue
            data = line[5:].strip()
            if data == b"[DONE]":
                ended = True
                continue
            self._take(data, timing)
        if not ended and timing.error is None:
            timing.error = "the stream broke off"

    def _take(self, data: bytes, timing: Timing) -> None:
        chunk = _decode(data)
        if chunk.error is not None:
            timing.error = "error event"
        if any(choice.text for choice in chunk.choices):
            timing.arrivals.append(time.monotonic())
        if chunk.usage is not None:
            timing.prompt_tokens = chunk.usage.prompt_tokens
            timing.output_tokens = chunk.usage.completion_tokens
