"""The `llm` command and library, with our models named in its extra-openai-models.yaml."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.compat.clients.checks import KEY, TEXT, URL, check, refused, report

FOLDER = Path(tempfile.mkdtemp())
os.environ["LLM_USER_PATH"] = str(FOLDER)
_OURS = f"""
  model_name: {TEXT}
  api_base: {URL}/v1
  api_key_name: stoker
"""
(FOLDER / "keys.json").write_text(json.dumps({"stoker": KEY}))
(FOLDER / "extra-openai-models.yaml").write_text(
    f"- model_id: chat{_OURS}  supports_schema: true\n  supports_tools: true\n"
    f"- model_id: text{_OURS}  completion: true\n"
    f"- model_id: responses{_OURS}  responses: true\n  supports_schema: true\n"
    f"- model_id: nobody{_OURS.replace(TEXT, 'nobody')}"
)

import llm  # noqa: E402 - it reads the folder when imported

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"sky": {"enum": ["clear", "cloudy"]}},
    "required": ["sky"],
    "additionalProperties": False,
}


def prompt(name: str, text: str = "The weather?", **options: Any) -> Any:
    return llm.get_model(name).prompt(text, max_tokens=32, temperature=0, **options)


def get_weather(city: str) -> str:
    """The weather of a city."""
    return "clear"


@check
def chat() -> None:
    assert prompt("chat", stream=False).text()


@check
def chat_stream() -> None:
    assert "".join(prompt("chat")) == prompt("chat", stream=False).text()


@check
def chat_with_system_prompt() -> None:
    assert prompt("chat", system="Be brief.").text()


@check
def conversation() -> None:
    talk = llm.get_model("chat").conversation()
    for text in ("Hello", "Who are you?"):
        assert talk.prompt(text, max_tokens=16).text()


@check
def usage() -> None:
    answer = prompt("chat")
    answer.text()
    assert answer.usage().output > 0


@check
def schema() -> None:
    assert json.loads(prompt("chat", schema=SCHEMA).text())["sky"] in ("clear", "cloudy")


@check
def tools() -> None:
    answer = prompt("chat", tools=[get_weather])
    assert answer.text() or answer.tool_calls()


@check
def completion() -> None:
    assert prompt("text").text()


@check
def responses() -> None:
    answer = llm.get_model("responses").prompt("Hello", max_output_tokens=16)
    assert answer.text()


@check
def command() -> None:
    line = [sys.executable, "-m", "llm", "-m", "chat", "-o", "max_tokens", "16", "Hello"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@check
def error_of_a_model() -> None:
    with refused(Exception, "nobody"):
        prompt("nobody").text()


if __name__ == "__main__":
    report()
