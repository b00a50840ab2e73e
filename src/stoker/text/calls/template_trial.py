"""Tries a chat template while its model is loaded, for a bounded time: each render has a bound, and
a template made for harm that goes to it each time would add up to minutes."""

from __future__ import annotations

import time
from typing import Any

from stoker.errors import InvalidRequest
from stoker.text.chat_template import ChatTemplate

TRIAL_SECONDS = 2.0
"""Published templates take a tenth of one."""


class TemplateTrial:
    def __init__(self, template: ChatTemplate, seconds: float = TRIAL_SECONDS) -> None:
        self._template = template
        self._left = seconds

    def render(self, *args: Any, **kwargs: Any) -> str:
        """As the template's own. Raises InvalidRequest once refused renders took all the time."""
        if self._left <= 0:
            raise InvalidRequest("the chat template took too long before", param="messages")
        started = time.monotonic()
        try:
            return self._template.render(*args, **kwargs)
        except InvalidRequest:
            self._left -= time.monotonic() - started
            raise
