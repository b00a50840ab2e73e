"""`stoker run`: one prompt answered in this process, without a server."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from stoker.cli.local_model import local_model, within_context
from stoker.cli.options import engine_flags, loaded_config, quantize_flag
from stoker.cli.sampling import sampling, sampling_flags
from stoker.cli.terminal import show
from stoker.core.ids import TokenId

if TYPE_CHECKING:
    from stoker.llm import LLM


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
    max_tokens: int | None,
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
        prompt_ids = _encoded(llm, text, system, raw)
        if max_tokens is None:
            chosen = within_context(llm, len(prompt_ids), chosen)
        show(llm.stream(prompt_ids, chosen))


def _encoded(llm: LLM, text: str, system: str | None, raw: bool) -> Sequence[TokenId]:
    """The prompt as a conversation if the model knows how to read one."""
    template = llm.text.chat_template
    if raw or template is None:
        return llm.text.tokenizer.encode(text, add_bos=True)
    messages = [{"role": "system", "content": system}] if system else []
    return template.encode([*messages, {"role": "user", "content": text}])
