#!/usr/bin/env python3
"""Stands in for the `llama-server` that llama.cpp's tests start: the same flags, our server.

COMPAT_PYTHON is the Python that has Stoker, COMPAT_FOLDER a place for files, COMPAT_TEXT_MODEL the
file of the text model. Flags without a counterpart that matter only to speed, or to requests that
leave something out, are passed over. Needs the standard library alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from templated_model import write_with_template

TEXT_MODEL, VECTOR_MODEL = "smollm2:135m", "all-minilm:l6-v2"
ASKED_FOR = (
    "test", "codellama70b", "davinci-002", "gpt-3.5-turbo", "gpt-3.5-turbo-instruct", "gpt-4.1",
    "text-embedding-3-small",
)  # fmt: skip
"""Names the tests give to whatever runs: llama.cpp's server takes any."""
PASSED_OVER = {
    "--temp", "--seed", "--n-predict", "--hf-repo", "--hf-file", "--batch-size", "--ubatch-size",
    "--threads", "-fa", "-ctk", "-ctv", "--cache-ram", "--tags", "--pooling", "--reasoning",
}  # fmt: skip
SWITCHES = {
    "--offline", "--slots", "--no-slots", "--metrics", "--cont-batching", "--jinja", "--no-jinja",
    "--kv-unified", "--verbose", "--no-ui", "--swa-full", "--no-cache-idle-slots",
    "--backend_sampling",
}  # fmt: skip


def main(arguments: list[str]) -> None:
    asked = _flags().parse_args(arguments)
    path = Path(os.environ["COMPAT_FOLDER"]) / "stoker.toml"
    path.write_text(_config(asked))
    python = os.environ["COMPAT_PYTHON"]
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    os.execve(python, [python, "-m", "stoker", "serve", "--config", str(path)], ours)


def _flags() -> argparse.ArgumentParser:
    """Others end it, as they would a real server that does not know them."""
    flags = argparse.ArgumentParser(allow_abbrev=False)
    flags.add_argument("--host", default="127.0.0.1")
    flags.add_argument("--port", type=int, required=True)
    flags.add_argument("--alias", default="")
    flags.add_argument("--ctx-size", type=int, default=0)
    flags.add_argument("--parallel", type=int, default=1)
    flags.add_argument("--api-key")
    flags.add_argument("--model", default="")
    flags.add_argument("--embedding", action="store_true")
    flags.add_argument("--reranking", action="store_true")
    flags.add_argument("--chat-template-file", default="")
    for name in PASSED_OVER:
        flags.add_argument(name)
    for name in SWITCHES:
        flags.add_argument(name, action="store_true")
    return flags


def _config(asked: argparse.Namespace) -> str:
    of_vectors = asked.embedding or asked.reranking
    source = asked.model or (VECTOR_MODEL if of_vectors else TEXT_MODEL)
    if asked.chat_template_file:
        source = _templated(Path(asked.chat_template_file))
    name, *aliases = sorted(asked.alias.split(",")) if asked.alias else [source]
    lines = ["[server]", f"host = {json.dumps(asked.host)}", f"port = {asked.port}"]
    lines += [f"api_key = {json.dumps(asked.api_key)}"] if asked.api_key else []
    lines += ["[engine]", f"max_running = {asked.parallel}", "max_restarts = 0"]
    if asked.ctx_size and not of_vectors:
        shares = 1 if asked.kv_unified else asked.parallel
        lines.append(f"max_context = {asked.ctx_size // shares}")
    lines += ["[[models]]", f"name = {json.dumps(name)}", f"source = {json.dumps(source)}"]
    for other in aliases or ASKED_FOR:
        lines += ["[[routes]]", f"name = {json.dumps(other)}"]
        lines.append(f"targets = [{{ model = {json.dumps(name)} }}]")
    return "\n".join(lines) + "\n"


def _templated(template: Path) -> str:
    """The text model's file with that template instead of its own."""
    target = Path(os.environ["COMPAT_FOLDER"]) / f"{template.stem}.gguf"
    if not target.exists():
        write_with_template(Path(os.environ["COMPAT_TEXT_MODEL"]), template.read_text(), target)
    return str(target)


if __name__ == "__main__":
    main(sys.argv[1:])
