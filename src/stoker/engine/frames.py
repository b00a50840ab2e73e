"""What the front and an engine process say to each other: typed, versioned, length-limited.

A frame is four bytes of length, little-endian, and one msgpack record that names its type.
Decoding builds values of these classes or raises ProtocolError; it never calls anything.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from stoker.constrain.token_table import TokenTable
from stoker.core.adapter import AdapterSource
from stoker.core.ids import RequestId, TokenId
from stoker.core.output import TokenDelta
from stoker.core.request import Request
from stoker.engine.interface import BlockEvent, EngineInfo, EngineLoad
from stoker.errors import ProtocolError
from stoker.executor.fake import FakeOptions
from stoker.version import VERSION

PROTOCOL = 2
MAX_FRAME_BYTES = 16 * 1024 * 1024
_LENGTH_BYTES = 4


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All an engine process needs to build its executor and scheduler."""

    executor: str = "native"
    """'native' or 'fake': a name in the table of engine/build.py."""
    model_path: str = ""
    quantize: str | None = None
    threads: int = 1
    kernels: str = "auto"
    kv_bytes: int = 0
    """0: chosen from max_running and the machine's memory."""
    max_context: int = 0
    """0: the model's."""
    max_running: int = 64
    max_waiting: int = 256
    max_step_tokens: int = 2048
    inter_token_target: float = 0.1
    prefix_cache: bool = True
    speculation: str = "off"
    """'prompt_lookup' or 'off'; see engine/drafters.py."""
    max_adapters: int = 16
    adapter_bytes: int = 1 << 30
    """Of all adapters together."""
    draft_path: str = ""
    """A smaller model that guesses ahead instead; empty: none."""
    cache_key: bytes = b""
    """Secret of the front and of all replicas it chooses between: with it they name cached blocks
    alike, and the engine reports what it caches. Empty: it draws its own and reports nothing."""
    eos_token_ids: tuple[TokenId, ...] = ()
    token_table: TokenTable = TokenTable()
    """Without one, no output can be constrained."""
    fake: FakeOptions = FakeOptions()


class Frame(msgspec.Struct, frozen=True, tag=True):
    pass


class Hello(Frame, frozen=True):
    """First frame of an engine."""

    protocol: int = PROTOCOL
    version: str = VERSION


class Load(Frame, frozen=True):
    settings: EngineSettings


class Progress(Frame, frozen=True):
    done: int
    total: int


class Ready(Frame, frozen=True):
    info: EngineInfo


class Failed(Frame, frozen=True):
    """Loading failed. If it was the model's, the engine exits."""

    code: str
    message: str
    hint: str


class Submit(Frame, frozen=True):
    request: Request


class Resume(Frame, frozen=True):
    """A request that an engine before this one had accepted; never refused as one too many."""

    request: Request


class Rejected(Frame, frozen=True):
    request_id: RequestId
    code: str
    message: str
    retry_after: float | None = None


class Cancel(Frame, frozen=True):
    request_id: RequestId


class Computing(Frame, frozen=True):
    """The requests of the step that begins now; sent when they are others than in the step before.
    Should the engine die, these may be why, and no others."""

    request_ids: tuple[RequestId, ...]


class Deltas(Frame, frozen=True):
    """What one step produced, maybe nothing, and how things stand after it."""

    deltas: list[TokenDelta]
    load: EngineLoad


class Blocks(Frame, frozen=True):
    """How the prefix cache changed in a step; only from an engine with a `cache_key`."""

    events: tuple[BlockEvent, ...]


class Sleep(Frame, frozen=True):
    """The engine keeps its weights and gives back all other memory, unless it has requests. It
    answers Asleep or Awake."""


class Wake(Frame, frozen=True):
    """Answered with Awake. A request wakes an engine as well, and waits for that."""


class Asleep(Frame, frozen=True):
    pass


class Awake(Frame, frozen=True):
    """Also sent when a request woke the engine."""


class LoadAdapter(Frame, frozen=True):
    """Answered with an AdapterLoaded. Frames after it find the adapter loaded."""

    source: AdapterSource


class UnloadAdapter(Frame, frozen=True):
    """Every request that needs it has ended or been cancelled."""

    key: str


class AdapterLoaded(Frame, frozen=True):
    key: str
    error: Failed | None = None
    """Why it is not."""


class Ping(Frame, frozen=True):
    nonce: int


class Pong(Frame, frozen=True):
    """Sent by the engine's reader thread, whatever its main thread does."""

    nonce: int
    num_steps: int
    step_seconds: float
    """How long the step under way has been running; 0 between steps."""
    expected_seconds: float
    """How long it was expected to take."""


class Shutdown(Frame, frozen=True):
    """The engine exits at once: whoever asks has ended every stream."""


AnyFrame = (
    Hello
    | Load
    | Progress
    | Ready
    | Failed
    | Submit
    | Resume
    | Rejected
    | Cancel
    | Computing
    | Deltas
    | Blocks
    | Sleep
    | Wake
    | Asleep
    | Awake
    | LoadAdapter
    | UnloadAdapter
    | AdapterLoaded
    | Ping
    | Pong
    | Shutdown
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyFrame] = msgspec.msgpack.Decoder(AnyFrame)


def encode(frame: Frame) -> bytes:
    """Raises ProtocolError for what no frame can hold: other types, integers over 64 bits, text
    that has no bytes, or too much of anything."""
    try:
        body = _encoder.encode(frame)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ProtocolError(f"a frame cannot be encoded: {error}") from None
    if len(body) > MAX_FRAME_BYTES:
        raise ProtocolError(f"a frame of {len(body)} bytes is over the limit")
    return len(body).to_bytes(_LENGTH_BYTES, "little") + body


class FrameReader:
    """Cuts a byte stream into frames. Holds at most one frame's bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def num_held(self) -> int:
        """Bytes of a frame that is not complete yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterator[AnyFrame]:
        """Raises ProtocolError at the first thing that is not a frame."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH_BYTES:
            size = int.from_bytes(self._buffer[:_LENGTH_BYTES], "little")
            if size > MAX_FRAME_BYTES:
                raise ProtocolError(f"a frame claims {size} bytes, over the limit")
            end = _LENGTH_BYTES + size
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH_BYTES:end])
            del self._buffer[:end]
            yield _decode(body)


def _decode(body: bytes) -> AnyFrame:
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise ProtocolError(f"a frame cannot be decoded: {error}") from None


def check_hello(frame: AnyFrame) -> None:
    """Raises ProtocolError naming both versions when the two sides differ."""
    if not isinstance(frame, Hello):
        raise ProtocolError(f"the engine began with {type(frame).__name__} instead of Hello")
    if (frame.protocol, frame.version) != (PROTOCOL, VERSION):
        raise ProtocolError(
            f"the engine is version {frame.version} (protocol {frame.protocol}), "
            f"the front is version {VERSION} (protocol {PROTOCOL})"
        )
