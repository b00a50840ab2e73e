"""A model's chat template: messages to the token ids of a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stoker.core.ids import TokenId
from stoker.errors import ConfigError, InvalidRequest
from stoker.text.budget import MAX_CHARACTERS, LimitExceeded
from stoker.text.sandbox import SandboxEnvironment
from stoker.text.tokenizer import Tokenizer
from stoker.text.user_text import ROLES, new_guard

MAX_TEMPLATE_BYTES = 64 * 1024
MAX_SECONDS = 1.0
"""Of processor time. Templates in use take 1 to 25 ms; the rest is for slow machines, and for what
Python clears away meanwhile, which counts too."""
CLIENT_VARIABLES = frozenset(["enable_thinking", "reasoning_effort", "thinking", "documents"])
"""What a request may set besides messages and tools."""

Message = Mapping[str, Any]


class ChatTemplate:
    """Compiled once. Thread-safe."""

    def __init__(
        self,
        source: str,
        tokenizer: Tokenizer,
        bos: str = "",
        eos: str = "",
        *,
        max_bytes: int = MAX_TEMPLATE_BYTES,
        max_seconds: float = MAX_SECONDS,
    ) -> None:
        """Raises ConfigError for a template that is too long or does not compile."""
        if len(source.encode(errors="replace")) > max_bytes:
            raise ConfigError(f"the chat template is longer than {max_bytes} bytes")
        self.source = source
        self.eos = eos
        self._environment = SandboxEnvironment(max_seconds)
        try:
            self._template = self._environment.from_string(source)
        except Exception as error:
            raise ConfigError(f"the chat template does not compile: {_one_line(error)}") from None
        self._tokenizer = tokenizer
        self._constants = {"bos_token": bos, "eos_token": eos}

    def encode(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        variables: Mapping[str, Any] | None = None,
    ) -> list[TokenId]:
        """Token ids of the prompt. Control tokens come from the template only, never from what a
        request holds (S08).

        `messages` and `tools` are plain JSON values as the OpenAI API has them. Raises
        InvalidRequest when the template refuses them or exceeds its limits.
        """
        guard = new_guard()
        rendered = self._guarded(guard, messages, tools, add_generation_prompt, variables)
        return self._tokenizer.encode_template(rendered, guard)

    def encode_unfinished(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> list[TokenId]:
        """As `encode`, with a last message that the model is to go on with: the prompt ends with
        its text, to the letter. Where that is in what the template made, a mark tells."""
        *before, last = messages
        guard, mark = new_guard(), new_guard()
        marked = [*before, {**last, "content": f"{last['content']}{mark}"}]
        rendered = self._guarded(guard, marked, tools, False, variables)
        shown, found, _ = rendered.rpartition(mark)
        if not found:
            raise InvalidRequest("the chat template leaves out the last message", param="messages")
        return self._tokenizer.encode_template(shown.replace(mark, ""), guard)

    def _guarded(
        self,
        guard: str,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None,
        add_generation_prompt: bool,
        variables: Mapping[str, Any] | None,
    ) -> str:
        try:
            request = self._tokenizer.user_text.guarded(
                [messages, tools, _checked(variables)], guard
            )
        except RecursionError:
            raise InvalidRequest("the messages are nested too deeply", param="messages") from None
        messages, tools, checked = request
        return self._render(messages, tools, add_generation_prompt, checked)

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        variables: Mapping[str, Any] | None = None,
    ) -> str:
        """The prompt as text, for looking at. It does not show who wrote a control token."""
        return self._render(messages, tools, add_generation_prompt, _checked(variables))

    def _render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None,
        add_generation_prompt: bool,
        variables: Mapping[str, Any],
    ) -> str:
        for message in messages:
            if not isinstance(message, Mapping) or message.get("role") not in ROLES:
                raise InvalidRequest("a message has an unknown role", param="messages")
        self._environment.budget.start()
        try:
            rendered = self._template.render(
                {
                    "messages": messages,
                    "tools": tools,
                    "add_generation_prompt": add_generation_prompt,
                    **self._constants,
                    **variables,
                }
            )
        except LimitExceeded as error:
            raise InvalidRequest(f"chat template: {error}", param="messages") from None
        except Exception as error:  # whatever an untrusted template makes Python raise
            raise InvalidRequest(
                f"the chat template refuses these messages: {_one_line(error)}", param="messages"
            ) from None
        if len(rendered) > MAX_CHARACTERS:
            raise InvalidRequest("chat template: the prompt is too long", param="messages")
        return rendered


def _checked(variables: Mapping[str, Any] | None) -> Mapping[str, Any]:
    unknown = set(variables or ()) - CLIENT_VARIABLES
    if unknown:
        raise InvalidRequest(
            f"template variable '{min(unknown)[:64]}' may not be set",
            param="chat_template_kwargs",
            hint=f"Allowed: {', '.join(sorted(CLIENT_VARIABLES))}.",
        )
    return variables or {}


def _one_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
