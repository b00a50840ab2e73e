"""One token of no request's: tells an engine that computes wrongly from requests that go wrong."""

from __future__ import annotations

import logging

from stoker.core.ids import BlockId, RequestId, TokenId
from stoker.core.sampling import SamplingParams
from stoker.executor.interface import Executor
from stoker.scheduler.plan import SequenceSlice, StepPlan

log = logging.getLogger(__name__)


def computes(executor: Executor, block: BlockId) -> bool:
    """Whether the most likely token after token 0 comes out as a number. Overwrites the block."""
    piece = SequenceSlice(
        request_id=RequestId("self-test"),
        tokens=(TokenId(0),),
        start=0,
        count=1,
        block_table=(block,),
        num_prompt_tokens=1,
        sampling=SamplingParams(temperature=0.0),
        samples=True,
        score_from=1,
    )
    try:
        [outcome] = executor.collect(executor.submit(StepPlan((piece,)))).slices
    except Exception:
        log.exception("the self-test failed")
        return False
    return outcome.error_code is None
