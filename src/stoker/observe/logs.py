"""Logging set up once: text or JSON lines, cut at a length, with anything like a key removed.

Prompts and outputs are never given to a logger; the filter is the second line of defence, not the
first. Every line about a request carries its id.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import traceback
from typing import Any

import msgspec

from stoker.config.schema import LogSection

MAX_LINE = 8 * 1024
_SECRET = re.compile(
    r"(?i)((?:authorization|api[-_]?key)['\"]?\s*[:=]\s*['\"]?(?:bearer\s+|basic\s+)?|bearer\s+)\S+"
    r"|\bsk-[\w-]{8,}"
)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def set_up_logging(section: LogSection) -> None:
    """Replaces the handlers of the root logger. Lines go to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if section.format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(section.level.upper())
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)


def redact(text: str) -> str:
    """The text on one line, cut to MAX_LINE, without what looks like a credential."""
    shown = _SECRET.sub(lambda match: (match.group(1) or "") + "[redacted]", text)
    return shown.replace("\r", "\\r").replace("\n", "\\n")[:MAX_LINE]


def outline(error: BaseException) -> str:
    """Where an exception came from, without its message: that may hold what a client sent."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = " < ".join(
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
        for frame in reversed(frames)
    )
    return f"{type(error).__name__} at {places or 'an unknown place'}"


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info and record.exc_info[1] is not None:
        text = f"{text} ({outline(record.exc_info[1])})"
    return text


class TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        fields = "".join(f" {key}={value}" for key, value in _extras(record).items())
        return redact(f"{clock} {record.levelname.lower():7} {_message(record)}{fields}")


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(_message(record)),
            **{key: redact(str(value)) for key, value in _extras(record).items()},
        }
        return msgspec.json.encode(line).decode()
