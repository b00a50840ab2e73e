"""Whether a model is to think: what templates call it."""

from __future__ import annotations

from typing import Any


def thinking_variables(thinks: bool | None) -> dict[str, Any] | None:
    """For `chat_template_kwargs`. None leaves it to the template; those that know neither name
    always do as they do."""
    return None if thinks is None else {"enable_thinking": thinks, "thinking": thinks}
