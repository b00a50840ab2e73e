"""Offline use: a model in this process, a list of prompts in, a list of completions out.

from stoker import LLM, SamplingParams
LLM("smollm2:135m").generate(["The capital of France is"], SamplingParams(max_tokens=8))
"""

from __future__ import annotations

import functools
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from stoker.constrain.compiler import Compiler
from stoker.core.adapter import BASE
from stoker.core.constraint import Constraint
from stoker.core.ids import RequestId, TokenId
from stoker.core.output import FinishReason, TokenDelta, TokenLogprobs
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.core.validation import validate_sampling
from stoker.engine.build import Progress, build_engine
from stoker.engine.engine import Engine
from stoker.errors import (
    InternalError,
    NoCapacity,
    NumericalError,
    StokerError,
    UnsupportedConstraint,
)
from stoker.model.adapter_files import adapter_source
from stoker.prepare import Messages, Prompt, prepare
from stoker.scheduler.guide import Guide
from stoker.text.text_delta import TextReader
from stoker.text.tokenizer import Tokenizer

ANY_NUMBER = 1 << 30
"""Prompts that may wait: a list given at once is bounded by its giver."""
COMPLETION = SamplingParams(max_tokens=128)
ANSWER = SamplingParams(max_tokens=512)
_FAILURES: dict[str, type[StokerError]] = {
    kind.code: kind for kind in (NumericalError, UnsupportedConstraint)
}


def _silent(_done: int, _total: int) -> None:
    return


@dataclass(slots=True)
class Completion:
    text: str = ""
    token_ids: list[TokenId] = field(default_factory=list)
    logprobs: list[TokenLogprobs] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    error_code: str | None = None
    num_prompt_tokens: int = 0
    num_cached_tokens: int = 0


class _Generation:
    """A completion under way. Holds what its consumer has not taken, at most max_tokens."""

    def __init__(self, request: Request, tokenizer: Tokenizer) -> None:
        self.request_id = request.request_id
        self.completion = Completion(num_prompt_tokens=request.num_prompt_tokens)
        self._reader = TextReader(tokenizer, request.sampling)
        self._pieces: list[str] = []

    @property
    def done(self) -> bool:
        return self.completion.finish_reason is not None

    def push(self, delta: TokenDelta) -> None:
        read, completion = self._reader.read(delta), self.completion
        self._pieces.append(read.text)
        completion.token_ids += read.token_ids
        completion.logprobs += read.logprobs
        completion.num_cached_tokens += read.num_cached_tokens
        completion.finish_reason, completion.error_code = read.finish_reason, read.error_code

    def take(self) -> str:
        """The text that came since the last time."""
        text = "".join(self._pieces)
        self._pieces.clear()
        return text


class LLM:
    """Not thread-safe. Close it, or use it as a context manager, to give the memory back.

    Any number of streams may be open at once, beside `generate` too: whichever is asked for more
    computes a step for all. A stream that is closed or dropped is cancelled.
    """

    def __init__(
        self,
        model: str = "smollm2:135m",
        *,
        quantize: str | None = None,
        cache: str | None = None,
        adapters: Mapping[str, str] | None = None,
        progress: Progress = _silent,
        **engine: Any,
    ) -> None:
        """`quantize` is q8_0, q4_1 or q4_k, for weights larger than that. `cache` is the
        folder for what is downloaded. `adapters` are folders of LoRA adapters by the names that
        `adapter` of the other methods then takes. `progress` is called with the bytes loaded so
        far and in all. `engine` holds keys of the engine section of the configuration, e.g.
        threads=4.

        Raises SetupError's kinds: PullError, ModelFileError, UnsupportedModel, ConfigError.
        """
        engine = {"max_waiting": ANY_NUMBER} | engine
        self._prepared = prepare(model, "LLM()", engine, quantize, cache)
        self.text = self._prepared.text
        self._engine: Engine | None
        self._engine, self.info = build_engine(self._prepared.settings, progress)
        self._submitted = 0
        self._generations: dict[RequestId, _Generation] = {}
        self._adapters = {BASE: BASE}
        try:
            for name, folder in (adapters or {}).items():
                self._load_adapter(name, Path(folder))
        except BaseException:
            self.close()
            raise

    def _load_adapter(self, name: str, folder: Path) -> None:
        source = adapter_source(name, folder, self._prepared.settings.adapter_bytes)
        self._running.adapters.load(source)
        self._adapters[name] = source.key

    def generate(
        self,
        prompts: Prompt | Sequence[Prompt],
        sampling: SamplingParams = COMPLETION,
        constraint: Constraint | None = None,
        adapter: str = BASE,
    ) -> list[Completion]:
        """Completes all prompts together, in one batch; results are in the order of the prompts.
        `constraint` is what each completion must look like.

        Raises InvalidRequest, ModelNotFound for an adapter that was not given to LLM(),
        ContextLengthExceeded or UnsupportedConstraint before anything is computed.
        """
        single = isinstance(prompts, str) or (bool(prompts) and isinstance(prompts[0], int))
        listed: Sequence[Any] = [prompts] if single else prompts
        ids = [self._prepared.encode(prompt) for prompt in listed]
        return self._run(ids, sampling, constraint, adapter)

    def chat(
        self,
        messages: Messages,
        sampling: SamplingParams = ANSWER,
        constraint: Constraint | None = None,
        adapter: str = BASE,
    ) -> Completion:
        """Answers one conversation. Raises as `generate`, and InvalidRequest for a model without a
        chat template."""
        ids = self._prepared.encode_chat(messages)
        return self._run([ids], sampling, constraint, adapter)[0]

    def stream(
        self,
        prompt: Prompt,
        sampling: SamplingParams = COMPLETION,
        constraint: Constraint | None = None,
        adapter: str = BASE,
    ) -> Generator[str, None, None]:
        """Completes one prompt, yielding text as it comes. Raises as `generate`, for a prompt that
        cannot fit at the first piece; InternalError, NumericalError or UnsupportedConstraint when
        generation fails."""
        return self._stream(self._prepared.encode(prompt), sampling, constraint, adapter)

    def stream_chat(
        self,
        messages: Messages,
        sampling: SamplingParams = ANSWER,
        constraint: Constraint | None = None,
        adapter: str = BASE,
    ) -> Generator[str, None, None]:
        """As `chat`, yielding text as it comes."""
        return self._stream(self._prepared.encode_chat(messages), sampling, constraint, adapter)

    def _run(
        self,
        prompts: list[tuple[TokenId, ...]],
        sampling: SamplingParams,
        constraint: Constraint | None,
        adapter: str,
    ) -> list[Completion]:
        generations: list[_Generation] = []
        try:
            for ids in prompts:
                generation = self._submit(ids, sampling, self._guide(constraint), adapter)
                generations.append(generation)
            while not all(generation.done for generation in generations):
                self._step()
        finally:
            for generation in generations:
                self._leave(generation)
        for generation in generations:
            generation.completion.text = generation.take()
        return [generation.completion for generation in generations]

    def _stream(
        self,
        ids: tuple[TokenId, ...],
        sampling: SamplingParams,
        constraint: Constraint | None,
        adapter: str,
    ) -> Generator[str, None, None]:
        validate_sampling(sampling, self.info.vocab_size)  # now, not at the first piece
        return self._pieces(ids, sampling, self._guide(constraint), adapter)

    def _pieces(
        self, ids: tuple[TokenId, ...], sampling: SamplingParams, guide: Guide | None, adapter: str
    ) -> Generator[str, None, None]:
        generation = self._submit(ids, sampling, guide, adapter)
        try:
            while True:
                if text := generation.take():
                    yield text
                elif generation.done:
                    break
                else:
                    self._step()
        finally:
            self._leave(generation)
        if (code := generation.completion.error_code) is not None:
            raise _FAILURES.get(code, InternalError)(f"generation failed: {code}")

    # --- the engine ---------------------------------------------------------------------------

    @property
    def _running(self) -> Engine:
        if self._engine is None:
            raise NoCapacity("this LLM is closed", hint="Build another one.")
        return self._engine

    @functools.cached_property
    def _compiler(self) -> Compiler:
        return Compiler(self._prepared.settings.token_table)

    def _guide(self, constraint: Constraint | None) -> Guide | None:
        return None if constraint is None else self._compiler.matcher(constraint)

    def _submit(
        self, ids: tuple[TokenId, ...], sampling: SamplingParams, guide: Guide | None, adapter: str
    ) -> _Generation:
        self._submitted += 1
        request_id = RequestId(f"offline-{self._submitted}")
        request = Request(
            request_id=request_id,
            prompt_token_ids=ids,
            sampling=sampling,
            adapter=self._adapters.get(adapter, adapter),
        )
        self._running.submit(request, guide)
        generation = _Generation(request, self.text.tokenizer)
        self._generations[request_id] = generation
        return generation

    def _step(self) -> None:
        """Computes a step for every generation there is."""
        if self._running.idle:
            raise InternalError("a step that was interrupted lost this generation")
        for delta in self._running.step():
            generation = self._generations.get(delta.request_id)
            if generation is not None:
                generation.push(delta)
                if generation.done:
                    self._leave(generation)

    def _leave(self, generation: _Generation) -> None:
        """Takes no more for it. The engine drops it in its next step, not here: this may run
        within a step, when the garbage collector finds a stream that was abandoned."""
        known = self._generations.pop(generation.request_id, None) is not None
        if known and self._engine is not None:
            self._engine.cancel(generation.request_id)

    def close(self) -> None:
        """Ends every stream. Safe to call twice; anything else then raises NoCapacity."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def __enter__(self) -> LLM:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
