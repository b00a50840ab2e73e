"""A batch of several adapters and none gives each sequence what it gets alone, bit for bit, and
keys and values computed with one adapter are never read with another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from stoker.core.adapter import BASE, AdapterSource
from stoker.core.ids import RequestId
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.engine.adapters import Adapters
from stoker.engine.build import build_engine
from stoker.engine.frames import EngineSettings
from stoker.errors import ConfigError, ModelNotFound
from stoker.executor.fake import expected_tokens
from stoker.executor.native import NativeExecutor, NativeOptions
from stoker.kernels.adapter import load_adapter
from stoker.kv.block_hash import keyed_hash
from stoker.model.adapter_files import adapter_source
from stoker.model.load import open_model
from stoker.scheduler.options import SchedulerOptions
from stoker.scheduler.scheduler import Scheduler
from tests.support.adapters import golden_adapter, seeded_adapter
from tests.support.driving import Driver
from tests.support.gguf_architectures import write_gguf

ROOM = 1 << 24
SHARED = tuple(range(1, 41))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[AdapterSource]:
    place = tmp_path_factory.mktemp("adapters")
    return [adapter_source(f"a{n}", seeded_adapter(place / str(n), n), ROOM) for n in range(3)]


@pytest.fixture(scope="module")
def executor(
    sources: list[AdapterSource], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NativeExecutor]:
    path = tmp_path_factory.mktemp("base") / "base.gguf"
    model = open_model(write_gguf(path, "llama", golden_adapter("llama").base))
    built = NativeExecutor(model, NativeOptions(threads=2, kv_bytes=1 << 22, max_context=128))
    built.load()
    for source in sources:
        built.load_adapter(source, ROOM)
    yield built
    built.close()


def request(number: int, adapter: str) -> Request:
    sampling = SamplingParams(
        max_tokens=10, temperature=0.8, seed=number, logprobs=2, ignore_eos=True
    )
    return Request(
        request_id=RequestId(str(number)),
        prompt_token_ids=(*SHARED, *range(number % 7)),
        sampling=sampling,
        adapter=adapter,
    )


Answer = tuple[tuple[int, ...], tuple[float, ...]]


def run(executor: NativeExecutor, asked: list[Request], **options: object) -> list[Answer]:
    """What each request got. Blocks hold NaN before, so that a stale read shows."""
    memory = executor.memory
    for block in range(memory.num_blocks):
        executor.decoder.poison_block(block)
    base = {"num_blocks": memory.num_blocks, "block_size": 16, "max_context": 128}
    chosen = SchedulerOptions(**(base | {"max_step_tokens": 512} | options))  # type: ignore[arg-type]
    driver = Driver(executor, Scheduler(chosen, keyed_hash(b"test")))
    for one in asked:
        driver.add(one)
    outcomes = driver.run()
    run.hits = driver.scheduler.counters.prefix_hits  # type: ignore[attr-defined]
    found = [outcomes[one.request_id] for one in asked]
    return [(tuple(o.tokens), tuple(lp.logprob for lp in o.logprobs)) for o in found]


@pytest.fixture(scope="module")
def asked(sources: list[AdapterSource]) -> list[Request]:
    """Three of each adapter and of none, mixed."""
    keys = [BASE, *(source.key for source in sources)]
    return [request(number, keys[number * 3 % 4]) for number in range(12)]


@pytest.fixture(scope="module")
def alone(executor: NativeExecutor, asked: list[Request]) -> list[Answer]:
    found = [run(executor, [one], prefix_cache=False)[0] for one in asked]
    assert len({tokens for tokens, _ in found}) > 8
    return found


def test_a_mixed_batch_equals_each_alone(
    executor: NativeExecutor, asked: list[Request], alone: list[Answer]
) -> None:
    assert run(executor, asked, prefix_cache=False) == alone
    assert run(executor, asked[::-1], prefix_cache=False) == alone[::-1]


@pytest.mark.parametrize("options", [{"max_step_tokens": 16}, {"num_blocks": 12}])
def test_chunked_and_preempted_equal_alone(
    options: dict[str, object], executor: NativeExecutor, asked: list[Request], alone: list[Answer]
) -> None:
    assert run(executor, asked, prefix_cache=False, **options) == alone


def test_a_shared_beginning_is_shared_within_an_adapter_only(
    executor: NativeExecutor, asked: list[Request], alone: list[Answer]
) -> None:
    """One running at a time, so that each finds what those before it left."""
    assert run(executor, asked, max_running=1) == alone
    assert run.hits == 8 * 32  # type: ignore[attr-defined]  # all but the first of each


def test_the_model_alone_is_what_it_was(executor: NativeExecutor, asked: list[Request]) -> None:
    plain = [msgspec.structs.replace(one, adapter=BASE) for one in asked]
    before = run(executor, plain[:3], prefix_cache=False)
    mixed = run(executor, [*plain[:3], *asked[3:]], prefix_cache=False)
    assert mixed[:3] == before


def test_the_fake_executor_notices_blocks_of_another_adapter(sources: list[AdapterSource]) -> None:
    """It raises when a step reads what another adapter computed; here through a whole engine."""
    engine, _ = build_engine(EngineSettings(executor="fake"), lambda _done, _total: None)
    for source in sources:
        engine.adapters.load(source)
    keys = [BASE, *(source.key for source in sources)]
    for number in range(8):
        engine.submit(request(number, keys[number % 4]))
        got: list[int] = []
        while not engine.idle:
            got += [token for delta in engine.step() for token in delta.token_ids]
        prompt = request(number, BASE).prompt_token_ids
        assert got == expected_tokens(prompt, number, 10, adapter=keys[number % 4])


def test_an_engine_refuses_what_it_has_not_loaded(sources: list[AdapterSource]) -> None:
    settings = EngineSettings(executor="fake", max_adapters=2)
    engine, _ = build_engine(settings, lambda _done, _total: None)
    first, second, third = sources
    with pytest.raises(ModelNotFound):
        engine.submit(request(1, first.key))
    for source in (first, first, second):
        engine.adapters.load(source)
    with pytest.raises(ConfigError, match="2 adapters"):
        engine.adapters.load(third)
    engine.adapters.unload(first.key)
    engine.adapters.load(third)
    engine.submit(request(1, third.key))
    with pytest.raises(ModelNotFound):
        engine.submit(request(2, first.key))


def test_memory_for_adapters_is_bounded(sources: list[AdapterSource]) -> None:
    settings = EngineSettings(executor="fake", adapter_bytes=1000)
    engine, _ = build_engine(settings, lambda _done, _total: None)
    with pytest.raises(ConfigError, match="room"):
        engine.adapters.load(sources[0])


def test_an_unloaded_adapter_gives_its_memory_back(
    executor: NativeExecutor, sources: list[AdapterSource]
) -> None:
    shelf = Adapters(executor, 4, ROOM)
    for _ in range(50):  # far more than ROOM holds together
        shelf.load(sources[0])
        shelf.unload(sources[0].key)
    shelf.load(sources[0])


def test_an_adapter_of_another_decoder_is_refused(executor: NativeExecutor, tmp_path: Path) -> None:
    model = open_model(golden_adapter("llama").base.write_folder(tmp_path / "base"))
    other = NativeExecutor(model, NativeOptions(threads=1, kv_bytes=1 << 20, max_context=64))
    other.load()
    adapter = load_adapter(other.decoder, ())
    with pytest.raises(ValueError, match="another decoder"):
        executor.forward_logits([1, 2], adapter)
    other.close()
