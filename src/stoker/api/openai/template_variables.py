"""What a request sets in a chat template besides its messages, bounded before it is walked."""

from __future__ import annotations

from typing import Any

from stoker.api.openai.chat_schema import ChatRequest
from stoker.config.schema import LimitsSection
from stoker.errors import InvalidRequest


def template_variables(request: ChatRequest, limits: LimitsSection) -> dict[str, Any]:
    """Raises InvalidRequest for too many values. Which names may be set, the template says."""
    variables = dict(request.chat_template_kwargs or {})
    _check_number(variables, limits.template_values)
    if request.reasoning_effort is not None:
        variables["reasoning_effort"] = request.reasoning_effort
    return variables


def _check_number(variables: dict[str, Any], most: int) -> None:
    """Counts at every depth, and looks at no more than may be there."""
    pending: list[Any] = [variables]
    left = most
    while pending:
        value = pending.pop()
        held = list(value.values()) if isinstance(value, dict) else value
        if not isinstance(held, list):
            continue
        left -= len(held)
        if left < 0:
            raise InvalidRequest(
                f"'chat_template_kwargs' holds more than {most} values",
                param="chat_template_kwargs",
            )
        pending += held
