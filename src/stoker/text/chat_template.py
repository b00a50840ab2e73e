"""A model's chat template: messages to the token ids of a prompt."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import TemplateError

from stoker.core.ids import TokenId
from stoker.errors import ConfigError, InvalidRequest
from stoker.text.sandbox import LimitExceeded, SandboxEnvironment
from stoker.text.tokenizer import Tokenizer

MAX_TEMPLATE_BYTES = 64 * 1024
MAX_OUTPUT = 8 * 1024 * 1024
MAX_SECONDS = 0.25
CLIENT_VARIABLES = frozenset(["enable_thinking", "reasoning_effort", "thinking"])
"""What a request may set besides messages and tools."""


class ChatTemplate:
    """Compiled once. Thread-safe: renders take turns."""

    def __init__(self, source: str, tokenizer: Tokenizer, bos: str = "", eos: str = "") -> None:
        """Raises ConfigError for a template that is too long or does not compile."""
        if len(source.encode()) > MAX_TEMPLATE_BYTES:
            raise ConfigError(f"the chat template is longer than {MAX_TEMPLATE_BYTES} bytes")
        self._environment = SandboxEnvironment(MAX_OUTPUT, MAX_SECONDS)
        try:
            self._template = self._environment.from_string(source)
        except (TemplateError, RecursionError) as error:
            raise ConfigError(f"the chat template does not compile: {_one_line(error)}") from None
        self._tokenizer = tokenizer
        self._constants = {"bos_token": bos, "eos_token": eos}
        self._lock = threading.Lock()

    def encode(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        add_generation_prompt: bool = True,
        variables: Mapping[str, Any] | None = None,
    ) -> list[TokenId]:
        """Token ids of the prompt. Control tokens come from the template only, never from content.

        Raises InvalidRequest when the template refuses the messages or exceeds its limits.
        """
        guard = f"\ue000{secrets.token_hex(8)}\ue001"  # nothing a client sent can contain it
        rendered = self._render(
            _protect(messages, self._tokenizer, guard), add_generation_prompt, variables
        )
        return self._tokenizer.encode_template(rendered, guard)

    def render(
        self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool = True
    ) -> str:
        """The prompt as text, for looking at."""
        return self._render(list(messages), add_generation_prompt, None)

    def _render(
        self, messages: Any, add_generation_prompt: bool, variables: Mapping[str, Any] | None
    ) -> str:
        unknown = set(variables or ()) - CLIENT_VARIABLES
        if unknown:
            raise InvalidRequest(
                f"template variable '{min(unknown)}' may not be set", param="chat_template_kwargs"
            )
        try:
            with self._lock:
                self._environment.start()
                rendered = self._template.render(
                    messages=messages,
                    add_generation_prompt=add_generation_prompt,
                    **self._constants,
                    **(variables or {}),
                )
        except LimitExceeded as error:
            raise InvalidRequest(f"chat template: {error}", param="messages") from None
        except (
            TemplateError,
            RecursionError,
            ArithmeticError,
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
            MemoryError,
        ) as error:
            raise InvalidRequest(
                f"the chat template refuses these messages: {_one_line(error)}", param="messages"
            ) from None
        if len(rendered) > MAX_OUTPUT:
            raise InvalidRequest("chat template: the output is too long", param="messages")
        return rendered


def _protect(value: Any, tokenizer: Tokenizer, guard: str) -> Any:
    if isinstance(value, str):
        return tokenizer.protect(value, guard)
    if isinstance(value, Mapping):
        return {key: _protect(item, tokenizer, guard) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_protect(item, tokenizer, guard) for item in value]
    return value


def _one_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
