"""What each line of a batch is answered, asked again where that helps."""

from __future__ import annotations

import asyncio

import msgspec

from stoker.api.app import Application
from stoker.api.batch.line import Answered, BatchLine, Result
from stoker.api.dialect import OPENAI
from stoker.api.in_process import Reply, ask
from stoker.errors import StokerError
from stoker.gateway.tenant import ANONYMOUS, Principal

ATTEMPTS = 5
LONGEST_WAIT = 60.0
"""Seconds before a line is asked again."""


async def result_of(
    application: Application,
    line: BatchLine,
    principal: Principal = ANONYMOUS,
    attempts: int = ATTEMPTS,
) -> Result:
    """Never raises for what a line holds: a refusal is a result, too."""
    body = msgspec.json.encode(line.body)
    reply = await ask(application, line.url, body, principal)
    for _ in range(attempts - 1):
        if reply.retry_after is None:
            break
        await asyncio.sleep(min(reply.retry_after, LONGEST_WAIT))
        reply = await ask(application, line.url, body, principal)
    return _result(line, reply)


def refused(line: BatchLine, error: StokerError) -> Result:
    """Without asking."""
    body = OPENAI.error_body(error, "")
    return _result(line, Reply(error.status, "", None, body))


def _result(line: BatchLine, reply: Reply) -> Result:
    answered = Answered(reply.status, reply.request_id, msgspec.Raw(reply.body))
    number = reply.request_id.removeprefix("req_")
    return Result(f"batch_req_{number}", line.custom_id, answered)
