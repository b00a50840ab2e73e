"""Frames survive any cut, and nothing but a frame is accepted (S01c, F22)."""

from __future__ import annotations

import contextlib
import random
import typing
from typing import Any

import pytest

from stoker.core.adapter import AdapterSource
from stoker.core.ids import RequestId
from stoker.core.output import Finish, FinishReason, TokenDelta, TokenLogprobs
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.engine import frames
from stoker.engine.interface import BlockEvent, EngineInfo, EngineLoad
from stoker.errors import ProtocolError

EVERY = [
    frames.Hello(),
    frames.Load(frames.EngineSettings(model_path="m.gguf", eos_token_ids=(1, 2), cache_key=b"k")),
    frames.Progress(1, 2),
    frames.Ready(EngineInfo(1, 2, 3, 4, 5, 6, 7, "avx2", 8)),
    frames.Failed("config_error", "no", "hint"),
    frames.Submit(
        Request(
            request_id=RequestId("a"),
            prompt_token_ids=(1, 2, 3),
            sampling=SamplingParams(logit_bias={5: 1.5}, stop_token_ids=(7,), seed=2**64 - 1),
        )
    ),
    frames.Resume(
        Request(
            request_id=RequestId("a"),
            prompt_token_ids=(1,),
            output_token_ids=(2,),
            sampling=SamplingParams(),
            timeout=0.0,
        )
    ),
    frames.Rejected(RequestId("a"), "overloaded", "full", 1.5),
    frames.Cancel(RequestId("a")),
    frames.Computing((RequestId("a"), RequestId("b"))),
    frames.Deltas(
        [
            TokenDelta(
                RequestId("a"),
                (1,),
                (TokenLogprobs(1, -0.5, 1, ((1, -0.5), (2, -1.0))),),
                finish=Finish(FinishReason.STOP, stop_token_id=2),
            )
        ],
        EngineLoad(num_running=3),
    ),
    frames.Blocks((BlockEvent((b"a" * 16,), b"b" * 16, (b"c" * 16, b"d" * 16)),)),
    frames.Sleep(),
    frames.Wake(),
    frames.Asleep(),
    frames.Awake(),
    frames.LoadAdapter(AdapterSource("a", "0" * 32, "/adapters/a")),
    frames.UnloadAdapter("a@0"),
    frames.AdapterLoaded("a@0", frames.Failed("config_error", "no room", "make some")),
    frames.Ping(1),
    frames.Pong(1, 2, 0.5, 0.1),
    frames.Shutdown(),
]
KINDS = set(map(type, EVERY))


def test_every_kind_of_frame_is_tried() -> None:
    assert set(typing.get_args(frames.AnyFrame)) == KINDS


def test_every_frame_survives_any_cut() -> None:
    data = b"".join(map(frames.encode, EVERY))
    for size in (1, 2, 3, 7, 64, len(data)):
        reader = frames.FrameReader()
        seen = [f for at in range(0, len(data), size) for f in reader.feed(data[at : at + size])]
        assert seen == EVERY


def test_mutated_frames_decode_or_are_refused() -> None:
    rng = random.Random(0)
    refused = 0
    for _ in range(4000):
        data = bytearray(frames.encode(rng.choice(EVERY)))
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        reader = frames.FrameReader()
        try:
            seen = list(reader.feed(bytes(data)))
        except ProtocolError:
            refused += 1
        else:
            assert all(type(frame) in KINDS for frame in seen)
        assert reader.num_held <= len(data)
    assert refused > 2000


def test_noise_is_refused_or_awaited_within_bounds() -> None:
    rng = random.Random(1)
    for _ in range(2000):
        reader = frames.FrameReader()
        noise = rng.randbytes(rng.randint(1, 200))
        with contextlib.suppress(ProtocolError):
            list(reader.feed(noise))
        assert reader.num_held <= len(noise)


def test_deep_nesting_is_refused() -> None:
    body = bytes([0x91]) * 100_000 + bytes([0x90])
    with pytest.raises(ProtocolError):
        list(frames.FrameReader().feed(len(body).to_bytes(4, "little") + body))


def test_a_length_over_the_limit_is_refused_before_it_is_awaited() -> None:
    with pytest.raises(ProtocolError, match="over the limit"):
        list(frames.FrameReader().feed((frames.MAX_FRAME_BYTES + 1).to_bytes(4, "little")))


def test_a_frame_over_the_limit_is_not_sent() -> None:
    with pytest.raises(ProtocolError, match="over the limit"):
        frames.encode(frames.Failed("code", "x" * frames.MAX_FRAME_BYTES, ""))


@pytest.mark.parametrize("name", ["\ud800", 5j, 2**70])
def test_what_no_frame_can_hold_is_refused(name: Any) -> None:
    with pytest.raises(ProtocolError, match="cannot be encoded"):
        frames.encode(frames.Cancel(name))


@pytest.mark.fault("F22")
def test_another_version_is_refused_naming_both() -> None:
    with pytest.raises(ProtocolError, match=r"version 9\.9.*version 0\.1"):
        frames.check_hello(frames.Hello(version="9.9"))
    with pytest.raises(ProtocolError, match="instead of Hello"):
        frames.check_hello(frames.Ping(1))
    frames.check_hello(frames.Hello())
