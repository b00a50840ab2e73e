"""A loaded model takes 1.3 times its file, and the keys and values in use (decision 0004)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stoker import AsyncEngine, SamplingParams
from stoker.model.load import open_model
from tests.support.models import model_path

MIB = 1 << 20
ALLOWED = 1.3
PROGRAM = 48 * MIB
"""Python, NumPy and the program itself: of note only beside a small model."""
BYTES_PER_TOKEN = 640
"""Of the vocabulary, for constraints: tables that tell which tokens a form allows."""


def memory(pid: int | None, field: str) -> int:
    """Bytes of VmRSS (now) or VmHWM (the most there ever was) of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(rf"{field}:\s+(\d+) kB", status)[0]) * 1024


@pytest.mark.model
async def test_a_small_model_is_never_in_memory_twice() -> None:
    path = model_path("smollm2:135m")
    model = open_model(path)
    tables = BYTES_PER_TOKEN * model.spec.vocab_size
    model.close()
    async with AsyncEngine(str(path), threads=2) as engine:
        most = memory(engine.client.pid, "VmHWM")
    assert most < ALLOWED * path.stat().st_size + PROGRAM + tables


@pytest.mark.models
@pytest.mark.timeout(600)
async def test_a_gigabyte_stays_within_its_bound_loaded_and_at_work() -> None:
    path = model_path("qwen2.5-coder:1.5b")
    size = path.stat().st_size
    model = open_model(path)
    bytes_per_token = model.spec.kv_values_per_token * 2
    model.close()
    prompt = [5] * 1800
    async with AsyncEngine(str(path), threads=2) as engine:
        assert memory(engine.client.pid, "VmHWM") < ALLOWED * size
        params = SamplingParams(max_tokens=8, temperature=0.0, ignore_eos=True)
        async for _ in engine.generate(prompt, params):
            pass
        in_use = bytes_per_token * (len(prompt) + 8)
        assert memory(engine.client.pid, "VmHWM") < ALLOWED * size + in_use
