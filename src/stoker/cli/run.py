"""`stoker run`: one prompt answered in this process, without a server."""

from __future__ import annotations

import sys

import click

from stoker.cli.local_model import local_model
from stoker.cli.options import engine_flags, loaded_config, quantize_flag
from stoker.cli.sampling import sampling, sampling_flags
from stoker.cli.terminal import show


@click.command(name="run")
@click.argument("model")
@click.argument("prompt")
@click.option("--system", help="Instructions that stand before the prompt.")
@click.option("--raw", is_flag=True, help="Continue the text as it is, without a chat template.")
@sampling_flags
@quantize_flag
@engine_flags
@click.pass_context
def command(
    ctx: click.Context,
    model: str,
    prompt: str,
    system: str | None,
    raw: bool,
    max_tokens: int,
    temperature: float,
    top_p: float,
    seed: int | None,
) -> None:
    """Answer PROMPT with MODEL; a PROMPT of - is read from standard input.

    Models without a chat template continue the text instead.
    """
    config = loaded_config(ctx, model).config
    chosen = sampling(max_tokens, temperature, top_p, seed)
    text = sys.stdin.read() if prompt == "-" else prompt
    with local_model(config) as llm:
        if raw or llm.text.chat_template is None:
            show(llm.stream(text, chosen))
            return
        messages = [{"role": "system", "content": system}] if system else []
        show(llm.stream_chat([*messages, {"role": "user", "content": text}], chosen))
