"""What each line of a batch is answered, asked again where that helps."""

from __future__ import annotations

import asyncio

import msgspec

from stoker.api.app import Application
from stoker.api.batch.line import Answered, BatchLine, Result
from stoker.api.in_process import Reply, ask

ATTEMPTS = 5
LONGEST_WAIT = 60.0
"""Seconds before a line is asked again."""


async def result_of(application: Application, line: BatchLine) -> Result:
    """Never raises for what a line holds: a refusal is a result, too."""
    body = msgspec.json.encode(line.body)
    reply = await ask(application, line.url, body)
    for _ in range(ATTEMPTS - 1):
        if reply.retry_after is None:
            break
        await asyncio.sleep(min(reply.retry_after, LONGEST_WAIT))
        reply = await ask(application, line.url, body)
    return _result(line, reply)


def _result(line: BatchLine, reply: Reply) -> Result:
    answered = Answered(reply.status, reply.request_id, msgspec.Raw(reply.body))
    number = reply.request_id.removeprefix("req_")
    return Result(f"batch_req_{number}", line.custom_id, answered)
