"""`stoker chat`: a conversation in the terminal, with a server or with a model in this process."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence

import click

from stoker.cli.local_model import local_model, within_context
from stoker.cli.options import engine_flags, loaded_config, quantize_flag
from stoker.cli.remote_chat import Message, RemoteChat
from stoker.cli.sampling import sampling, sampling_flags
from stoker.cli.terminal import show
from stoker.config.load import LoadedConfig
from stoker.config.schema import Config
from stoker.core.sampling import SamplingParams
from stoker.errors import ConfigError, SetupError, StokerError

Answer = Callable[[Sequence[Message], SamplingParams], Iterator[str]]

HELP = "/clear starts afresh, /bye or Ctrl-D leaves, Ctrl-C stops an answer."


@click.command(name="chat")
@click.argument("model", required=False)
@click.option("--url", help="Talk to a running server, such as http://127.0.0.1:8000.")
@click.option("--system", help="Instructions that stand before the conversation.")
@sampling_flags
@quantize_flag
@engine_flags
@click.pass_context
def command(
    ctx: click.Context,
    model: str | None,
    url: str | None,
    system: str | None,
    max_tokens: int | None,
    temperature: float,
    top_p: float,
    seed: int | None,
) -> None:
    """Talk to MODEL, loaded here, or with --url to a running server, where it need not be named."""
    loaded = loaded_config(ctx, model)
    config = loaded.config
    chosen = sampling(max_tokens, temperature, top_p, seed)
    with contextlib.ExitStack() as stack:
        if url is None:
            answer = _local(config, stack, max_tokens)
            name = config.model.name
        else:
            _refuse_loading(loaded)
            remote = RemoteChat(url, config.server.api_key, model)
            answer, name = remote.answer, remote.model
        click.echo(f"{name}. {HELP}", err=True)
        Conversation(answer, chosen, system).run()


def _local(config: Config, stack: contextlib.ExitStack, asked: int | None) -> Answer:
    """`asked` are new tokens; without a number they end where the context does."""
    llm = stack.enter_context(local_model(config))
    template = llm.text.chat_template
    if template is None:
        raise SetupError(
            f"{config.model.name} is a base model, without a chat template",
            hint=f"stoker run {config.model.name} 'Once upon a time' continues a text.",
        )
    if asked is not None:
        return llm.stream_chat
    return lambda messages, sampling: llm.stream_chat(
        messages, within_context(llm, len(template.encode(messages)), sampling)
    )


def _refuse_loading(loaded: LoadedConfig) -> None:
    """Raises ConfigError for a flag that says how to load a model, which --url does not do."""
    for source in loaded.sources.values():
        if source.startswith("flag "):
            raise ConfigError(
                f"{source} is for a model loaded here, and --url talks to one loaded elsewhere",
                hint="Leave one of the two out.",
            )


class Conversation:
    """Reads lines, shows answers, and remembers both."""

    def __init__(self, answer: Answer, sampling: SamplingParams, system: str | None) -> None:
        self._answer = answer
        self._sampling = sampling
        self._opening: list[Message] = [{"role": "system", "content": system}] if system else []
        self.messages: list[Message] = list(self._opening)

    def run(self) -> None:
        """Until the input ends."""
        _enable_line_editing()
        while (line := self._read()) is not None:
            if line == "/bye":
                return
            if line == "/clear":
                self.messages = list(self._opening)
            elif line.startswith("/"):
                click.echo(HELP, err=True)
            elif line:
                self.ask(line)

    def _read(self) -> str | None:
        try:
            return input("> " if sys.stdin.isatty() else "").strip()
        except EOFError:
            return None

    def ask(self, text: str) -> None:
        """One turn. A turn that failed or was stopped leaves no half answer behind."""
        asked = [*self.messages, {"role": "user", "content": text}]
        pieces = self._answer(asked, self._sampling)
        try:
            said = show(pieces)
        except KeyboardInterrupt:
            click.echo("\n(stopped)", err=True)
            return
        except StokerError as error:
            click.echo(f"({error.message})", err=True)
            return
        finally:
            _close(pieces)
        self.messages = [*asked, {"role": "assistant", "content": said}]


def _close(pieces: Iterator[str]) -> None:
    close = getattr(pieces, "close", None)
    if close is not None:
        close()


def _enable_line_editing() -> None:
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - importing it gives input() history and editing
