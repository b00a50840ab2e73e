"""Offline use: a model in this process, a list of prompts in, a list of completions out.

from stoker import LLM, SamplingParams
LLM("smollm2:135m").generate(["The capital of France is"], SamplingParams(max_tokens=8))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from stoker.config.load import load as load_config
from stoker.config.paths import cache_folder
from stoker.config.setting import Setting
from stoker.core.ids import RequestId, TokenId
from stoker.core.output import FinishReason, TokenLogprobs
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.engine.build import build_engine
from stoker.engine.settings import engine_settings
from stoker.errors import InvalidRequest, StokerError
from stoker.model.load import open_model
from stoker.model.pull import resolve
from stoker.text.detokenizer import Detokenizer
from stoker.text.load import TextModel, load_text

Prompt = str | Sequence[TokenId]


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

    def __init__(self, model: str = "smollm2:135m", **engine: Any) -> None:
        """`engine` holds keys of the engine section of the configuration, e.g. threads=4.

        Raises SetupError's kinds: PullError, ModelFileError, UnsupportedModel, ConfigError.
        """
        given = [Setting(f"engine.{key}", value, "LLM()") for key, value in engine.items()]
        config = load_config(given).config
        cache = cache_folder(config.model)
        path = resolve(model, cache)
        self.text = _load_text(path, cache)
        settings = engine_settings(config, path, self.text.tokenizer.eos_token_ids)
        self._engine, self.info = build_engine(settings, lambda done, total: None)
        self._submitted = 0

    def generate(
        self,
        prompts: Prompt | Sequence[Prompt],
        sampling: SamplingParams | None = None,
    ) -> list[Completion]:
        """Completes all prompts together, in one batch; results are in the order of the prompts."""
        single = isinstance(prompts, str) or (bool(prompts) and isinstance(prompts[0], int))
        listed: Sequence[Any] = [prompts] if single else prompts
        encoded = [self._encode(prompt) for prompt in listed]
        return self._run(encoded, sampling or SamplingParams(max_tokens=128))

    def chat(
        self, messages: Sequence[Mapping[str, Any]], sampling: SamplingParams | None = None
    ) -> Completion:
        """Answers one conversation. Raises InvalidRequest for a model without a chat template."""
        return self._run([self._encode_chat(messages)], sampling or SamplingParams(max_tokens=512))[
            0
        ]

    def stream_chat(
        self, messages: Sequence[Mapping[str, Any]], sampling: SamplingParams | None = None
    ) -> Iterator[str]:
        """As `chat`, yielding text as it comes."""
        ids = self._encode_chat(messages)
        yield from self._stream(ids, sampling or SamplingParams(max_tokens=512))

    def stream(self, prompt: Prompt, sampling: SamplingParams | None = None) -> Iterator[str]:
        """Completes one prompt, yielding text as it comes."""
        yield from self._stream(self._encode(prompt), sampling or SamplingParams(max_tokens=128))

    def _encode(self, prompt: Prompt) -> list[TokenId]:
        if not isinstance(prompt, str):
            ids = list(prompt)
            if any(not 0 <= token < self.info.vocab_size for token in ids):
                raise InvalidRequest(f"token ids must be between 0 and {self.info.vocab_size - 1}")
        else:
            ids = self.text.tokenizer.encode(prompt, add_bos=True)
        if not ids:
            raise InvalidRequest("the prompt has no tokens")
        return ids

    def _encode_chat(self, messages: Sequence[Mapping[str, Any]]) -> list[TokenId]:
        if self.text.chat_template is None:
            raise InvalidRequest("this model has no chat template; use generate()")
        return self.text.chat_template.encode(messages)

    def _submit(self, ids: list[TokenId], sampling: SamplingParams) -> RequestId:
        self._submitted += 1
        request_id = RequestId(f"offline-{self._submitted}")
        self._engine.submit(
            Request(request_id=request_id, prompt_token_ids=tuple(ids), sampling=sampling)
        )
        return request_id

    def _run(self, prompts: list[list[TokenId]], sampling: SamplingParams) -> list[Completion]:
        completions = {
            self._submit(ids, sampling): Completion(num_prompt_tokens=len(ids)) for ids in prompts
        }
        while not self._engine.idle:
            for delta in self._engine.step():
                completion = completions[delta.request_id]
                completion.token_ids += delta.token_ids
                completion.logprobs += delta.logprobs
                completion.num_cached_tokens += delta.num_cached_tokens
                if delta.finish is not None:
                    completion.finish_reason = delta.finish.reason
                    completion.error_code = delta.finish.error_code
        for completion in completions.values():
            completion.text = self.text.tokenizer.decode(completion.token_ids)
        return list(completions.values())

    def _stream(self, ids: list[TokenId], sampling: SamplingParams) -> Iterator[str]:
        request_id = self._submit(ids, sampling)
        detokenizer = Detokenizer(self.text.tokenizer)
        try:
            while not self._engine.idle:
                for delta in self._engine.step():
                    if delta.finish is not None and delta.finish.error_code is not None:
                        raise StokerError(f"generation failed: {delta.finish.error_code}")
                    text = detokenizer.push(delta.token_ids)
                    if text:
                        yield text
            tail = detokenizer.flush()
            if tail:
                yield tail
        finally:
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


def _load_text(path: Path, cache: Path) -> TextModel:
    model = open_model(path)
    try:
        return load_text(path, model.metadata, cache)
    finally:
        model.close()
