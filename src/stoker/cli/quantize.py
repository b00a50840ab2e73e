"""`stoker quantize`: a model as one GGUF file with smaller weights."""

from __future__ import annotations

from pathlib import Path

import click

from stoker.cli.progress import bar

FORMATS = ("q8_0", "q5_1", "q4_1", "q4_0", "q4_k", "f16", "f32")


@click.command(name="quantize")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--type",
    "format_name",
    type=click.Choice(FORMATS),
    default="q8_0",
    show_default=True,
    help="Format of the matrices; those already smaller stay as they are.",
)
def command(source: Path, target: Path, format_name: str) -> None:
    """Write SOURCE (a GGUF file, or a folder of safetensors) to TARGET as GGUF."""
    from stoker.model.convert import convert

    with bar(f"Writing {target.name}") as report:
        shrunk = convert(source, target, format_name, report)
    before, after = _size(source), target.stat().st_size
    click.echo(f"{target}: {after / 1e6:.1f} MB, from {before / 1e6:.1f} MB")
    if not shrunk:
        click.echo(f"Nothing became smaller: every matrix took no more than {format_name} already.")


def _size(source: Path) -> int:
    if source.is_file():
        return source.stat().st_size
    return sum(file.stat().st_size for file in source.glob("*.safetensors"))
