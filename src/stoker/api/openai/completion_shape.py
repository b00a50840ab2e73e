"""A text completion on the wire: one object, or chunks of the same form."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stoker.api.answer import Collected
from stoker.api.assembler import TextDelta
from stoker.api.openai.completion_logprobs import LogprobLists, joined
from stoker.api.openai.completion_schema import (
    Completion,
    CompletionChoice,
    CompletionLogprobs,
)
from stoker.api.openai.prompt_logprobs import PromptScores
from stoker.api.openai.usage import Usage
from stoker.api.plan import Identity, Prompt
from stoker.api.sse import json_text, one_line
from stoker.core.output import TokenLogprobs
from stoker.text.tokenizer import Tokenizer


class CompletionChoiceShape:
    """One choice: what it echoes, and its running log probability lists."""

    def __init__(self, prompt: Prompt | None, lists: LogprobLists | None) -> None:
        self._prompt = prompt
        self._lists = lists

    @property
    def echo(self) -> str:
        return "" if self._prompt is None else self._prompt.text

    def first_logprobs(self) -> CompletionLogprobs | None:
        """Of the first echoed token."""
        if self._lists is None or self._prompt is None:
            return None
        return self._lists.echo_start(self._prompt.token_ids[0])

    def logprobs(
        self, prompt: Sequence[TokenLogprobs], output: Sequence[TokenLogprobs]
    ) -> CompletionLogprobs | None:
        if self._lists is None:
            return None
        shown = prompt if self._prompt is not None else ()
        return self._lists.extend([*shown, *output])


class CompletionShape:
    def __init__(
        self,
        identity: Identity,
        choices: Sequence[CompletionChoiceShape],
        prompt_scores: PromptScores,
        *,
        with_usage: bool,
    ) -> None:
        self._identity = identity
        self._choices = choices
        self._prompt_scores = prompt_scores
        self._with_usage = with_usage
        head = {
            "id": identity.id,
            "object": "text_completion",
            "created": identity.created,
            "model": identity.model,
            "system_fingerprint": identity.fingerprint,
        }
        self._head = b"data: " + one_line(msgspec.json.encode(head))[:-1] + b',"choices":['
        self._tail = b'],"usage":null}\n\n' if with_usage else b"]}\n\n"

    def opening(self, usage: Usage) -> bytes:
        return b"".join(
            self._chunk(index, choice.echo, choice.first_logprobs(), None)
            for index, choice in enumerate(self._choices)
            if choice.echo
        )

    def events(self, batch: Sequence[TextDelta]) -> bytes:
        return b"".join(self._event(delta) for delta in batch)

    def closing(self, usage: Usage) -> bytes:
        if not self._with_usage:
            return b""
        return self._head + b'],"usage":' + msgspec.json.encode(usage) + b"}\n\n"

    def whole(self, collected: Sequence[Collected], usage: Usage) -> bytes:
        return msgspec.json.encode(
            Completion(
                id=self._identity.id,
                created=self._identity.created,
                model=self._identity.model,
                system_fingerprint=self._identity.fingerprint,
                choices=[self._choice(index, one) for index, one in enumerate(collected)],
                usage=usage,
            )
        )

    def _event(self, delta: TextDelta) -> bytes:
        if not (delta.text or delta.logprobs or delta.prompt_logprobs or delta.finish_reason):
            return b""
        logprobs = self._choices[delta.index].logprobs(delta.prompt_logprobs, delta.logprobs)
        return self._chunk(delta.index, delta.text, logprobs, delta.finish_reason)

    def _chunk(
        self, index: int, text: str, logprobs: CompletionLogprobs | None, reason: str | None
    ) -> bytes:
        return b"".join(
            (
                self._head,
                b'{"index":%d,"text":' % index,
                json_text(text),
                b',"logprobs":',
                one_line(msgspec.json.encode(logprobs)),
                b',"finish_reason":',
                msgspec.json.encode(reason),
                b"}",
                self._tail,
            )
        )

    def _choice(self, index: int, one: Collected) -> CompletionChoice:
        choice = self._choices[index]
        first = choice.first_logprobs()
        rest = choice.logprobs(one.prompt_logprobs, one.logprobs)
        logprobs = rest if first is None or rest is None else joined([first, rest])
        scores = self._prompt_scores.spell(one.prompt_logprobs)
        return CompletionChoice(index, choice.echo + one.text, logprobs, one.finish_reason, scores)


def choice_shapes(
    prompts: Sequence[Prompt], n: int, tokenizer: Tokenizer, logprobs: int | None, echo: bool | None
) -> list[CompletionChoiceShape]:
    """One per choice, all of the first prompt first."""
    return [
        CompletionChoiceShape(
            prompt if echo else None,
            None if logprobs is None else LogprobLists(tokenizer, logprobs),
        )
        for prompt in prompts
        for _ in range(n)
    ]
