"""The `stoker` command: finds the subcommand's file, and turns every ending into an exit code.

0 done · 1 a defect or a failed check · 2 wrong set-up or usage, one line on standard error ·
130 interrupted.
"""

from __future__ import annotations

import importlib

import click

from stoker import __version__
from stoker.errors import StokerError

COMMANDS = {
    "batch": "Answer a file of requests.",
    "bench": "Measure the engine or a server.",
    "chat": "Talk to a model in the terminal.",
    "config": "Check a configuration file, or explain its keys.",
    "doctor": "Show this machine, the kernels chosen, and the effective configuration.",
    "edge": "Write the configuration of a proxy in front.",
    "keys": "Make keys for clients.",
    "models": "List the models that can be had by name.",
    "pull": "Fetch a model's weights.",
    "quantize": "Write a model as a GGUF file with smaller weights.",
    "run": "Answer one prompt.",
    "serve": "Serve models over HTTP.",
    "usage": "Show who used how much.",
}
"""Name → one line of help. A command lives in the file of its name, in `command`."""


class LazyGroup(click.Group):
    """Imports a command's file only when that command runs, so that --help is immediate."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"stoker.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="stoker")
def cli() -> None:
    """Serve language models, from a laptop with no GPU to a fleet of them."""


def run(arguments: list[str]) -> int:
    """Runs one command line and returns its exit code. Never raises for a user's mistake."""
    try:
        outcome = cli.main(arguments, prog_name="stoker", standalone_mode=False)
    except click.Abort:
        return 130
    except KeyboardInterrupt:
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except StokerError as error:
        click.echo(one_line(error), err=True)
        return 2
    return outcome if isinstance(outcome, int) else 0


def one_line(error: StokerError) -> str:
    """The error as a user sees it: what is wrong, then what to do."""
    text = f"stoker: {error.message}"
    if error.hint:
        text += f" ({error.hint.rstrip('.')})"
    return " ".join(text.split())
