"""Offline use: a model in this process, a list of prompts in, a list of completions out.

from stoker import LLM, SamplingParams
LLM("smollm2:135m").generate(["The capital of France is"], SamplingParams(max_tokens=8))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from stoker.core.ids import RequestId, TokenId
from stoker.core.output import FinishReason, TokenLogprobs
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.engine.build import Progress, build_engine
from stoker.errors import InternalError
from stoker.prepare import Messages, Prompt, prepare
from stoker.text.detokenizer import Detokenizer

ANY_NUMBER = 1 << 30
"""Prompts that may wait: a list given at once is bounded by its giver."""
COMPLETION = SamplingParams(max_tokens=128)
ANSWER = SamplingParams(max_tokens=512)


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


class LLM:
    """Not thread-safe. Close it, or use it as a context manager, to give the memory back."""

    def __init__(
        self,
        model: str = "smollm2:135m",
        *,
        quantize: str | None = None,
        progress: Progress = _silent,
        **engine: Any,
    ) -> None:
        """`quantize` is q8_0, q4_1 or q4_k, for weights larger than that. `progress` is called with
        the bytes loaded so far and in all. `engine` holds keys of the engine section of the
        configuration, e.g. threads=4.

        Raises SetupError's kinds: PullError, ModelFileError, UnsupportedModel, ConfigError.
        """
        self._prepared = prepare(model, "LLM()", {"max_waiting": ANY_NUMBER} | engine, quantize)
        self.text = self._prepared.text
        self._engine, self.info = build_engine(self._prepared.settings, progress)
        self._submitted = 0

    def generate(
        self, prompts: Prompt | Sequence[Prompt], sampling: SamplingParams = COMPLETION
    ) -> list[Completion]:
        """Completes all prompts together, in one batch; results are in the order of the prompts.

        Raises InvalidRequest or ContextLengthExceeded before anything is computed.
        """
        single = isinstance(prompts, str) or (bool(prompts) and isinstance(prompts[0], int))
        listed: Sequence[Any] = [prompts] if single else prompts
        return self._run([self._prepared.encode(prompt) for prompt in listed], sampling)

    def chat(self, messages: Messages, sampling: SamplingParams = ANSWER) -> Completion:
        """Answers one conversation. Raises InvalidRequest for a model without a chat template."""
        return self._run([self._prepared.encode_chat(messages)], sampling)[0]

    def stream(self, prompt: Prompt, sampling: SamplingParams = COMPLETION) -> Iterator[str]:
        """Completes one prompt, yielding text as it comes."""
        return self._stream(self._prepared.encode(prompt), sampling)

    def stream_chat(self, messages: Messages, sampling: SamplingParams = ANSWER) -> Iterator[str]:
        """As `chat`, yielding text as it comes."""
        return self._stream(self._prepared.encode_chat(messages), sampling)

    def _submit(self, ids: tuple[TokenId, ...], sampling: SamplingParams) -> RequestId:
        self._submitted += 1
        request_id = RequestId(f"offline-{self._submitted}")
        self._engine.submit(Request(request_id=request_id, prompt_token_ids=ids, sampling=sampling))
        return request_id

    def _run(
        self, prompts: list[tuple[TokenId, ...]], sampling: SamplingParams
    ) -> list[Completion]:
        completions: dict[RequestId, Completion] = {}
        try:
            for ids in prompts:
                completions[self._submit(ids, sampling)] = Completion(num_prompt_tokens=len(ids))
            while not self._engine.idle:
                self._collect(completions)
        finally:
            self._abandon(completions)
        for completion in completions.values():
            completion.text = self.text.tokenizer.decode(completion.token_ids)
        return list(completions.values())

    def _collect(self, completions: dict[RequestId, Completion]) -> None:
        for delta in self._engine.step():
            completion = completions[delta.request_id]
            completion.token_ids += delta.token_ids
            completion.logprobs += delta.logprobs
            completion.num_cached_tokens += delta.num_cached_tokens
            if delta.finish is not None:
                completion.finish_reason = delta.finish.reason
                completion.error_code = delta.finish.error_code

    def _stream(self, ids: tuple[TokenId, ...], sampling: SamplingParams) -> Iterator[str]:
        request_id = self._submit(ids, sampling)
        detokenizer = Detokenizer(self.text.tokenizer)
        try:
            while not self._engine.idle:
                for delta in self._engine.step():
                    if delta.finish is not None and delta.finish.error_code is not None:
                        raise InternalError(f"generation failed: {delta.finish.error_code}")
                    yield from filter(None, [detokenizer.push(delta.token_ids)])
            yield from filter(None, [detokenizer.flush()])
        finally:
            self._abandon([request_id])

    def _abandon(self, requests: Sequence[RequestId] | dict[RequestId, Completion]) -> None:
        """Ends what is still running when the caller stops early or a prompt was refused."""
        for request_id in requests:
            self._engine.cancel(request_id)
        while not self._engine.idle:
            self._engine.step()

    def close(self) -> None:
        self._engine.close()

    def __enter__(self) -> LLM:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
