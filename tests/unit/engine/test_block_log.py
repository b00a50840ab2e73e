"""What an engine says of its cache, in few and small frames."""

from __future__ import annotations

from stoker.core.ids import RequestId
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.engine.block_log import BlockLog
from stoker.engine.build import build_engine
from stoker.engine.frames import EngineSettings
from stoker.engine.interface import BlockEvent
from stoker.executor.fake import FakeOptions
from stoker.kv.block_hash import Scope, keyed_hash, prompt_digests

KEY = b"k" * 32


def test_a_run_of_blocks_is_one_event() -> None:
    log = BlockLog()
    log.removed(b"x")
    log.removed(b"y")
    log.stored(b"", b"a")
    log.stored(b"a", b"b")
    assert log.take() == (BlockEvent((b"x", b"y"), b"", (b"a", b"b")),)
    assert log.take() == ()


def test_order_is_kept() -> None:
    log = BlockLog()
    log.stored(b"", b"a")
    log.stored(b"", b"b")
    log.removed(b"a")
    log.stored(b"", b"a")
    log.removed(b"b")
    assert log.take() == (
        BlockEvent((), b"", (b"a",)),
        BlockEvent((), b"", (b"b",)),
        BlockEvent((b"a",), b"", (b"a",)),
        BlockEvent((b"b",), b"", ()),
    )


def run(settings: EngineSettings, prompts: list[list[int]]) -> list[BlockEvent]:
    engine, _ = build_engine(settings, lambda _done, _total: None)
    events = []
    for number, prompt in enumerate(prompts):
        sampling = SamplingParams(max_tokens=1)
        engine.submit(
            Request(
                request_id=RequestId(str(number)),
                prompt_token_ids=tuple(prompt),
                sampling=sampling,
                tenant="t",
            )
        )
        while not engine.idle:
            engine.step()
            events += engine.block_log.take()
    return events


def test_an_engine_reports_what_it_caches_and_what_it_drops() -> None:
    options = FakeOptions(num_blocks=4, block_size=4)
    settings = EngineSettings(executor="fake", cache_key=KEY, fake=options)
    one, other = list(range(12)), list(range(100, 115))
    events = run(settings, [one, other])
    names = prompt_digests(keyed_hash(KEY), Scope("t"), one, 4)
    assert events[0] == BlockEvent((), b"", names)
    assert {digest for event in events for digest in event.removed} == set(names)
    assert events[-1].stored == prompt_digests(keyed_hash(KEY), Scope("t"), other, 4)


def test_nothing_is_reported_where_nobody_wants_it() -> None:
    assert run(EngineSettings(executor="fake"), [list(range(100))]) == []
