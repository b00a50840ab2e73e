"""What waits for its constraint to be compiled is bounded, and may leave."""

from __future__ import annotations

import queue

import pytest

from stoker.engine.preparation import Preparation, Prepared
from stoker.errors import Overloaded
from tests.support.constraints import CASES, tiny_table
from tests.support.engine_streams import request

WANTED = CASES[1].constraint


def test_no_more_wait_than_are_to_and_those_that_left_make_room() -> None:
    delivered: queue.Queue[Prepared] = queue.Queue()
    preparation = Preparation(tiny_table(), delivered.put, 2)
    for name in ("one", "other"):
        preparation.begin(request(name), WANTED, lambda *_: None)
    with pytest.raises(Overloaded):
        preparation.begin(request("more"), WANTED, lambda *_: None)
    assert preparation.cancel(request("other").request_id)
    preparation.begin(request("more"), WANTED, lambda *_: None)
    done = {one.request.request_id: preparation.done(one) for one in (
        delivered.get(timeout=30) for _ in range(3)
    )}  # fmt: skip
    assert done == {"one": True, "other": False, "more": True}
