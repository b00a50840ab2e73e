"""`stoker bench`: figures of single kernels, of the engine alone, and of a server under load."""

from __future__ import annotations

import asyncio

import click

from stoker.cli.options import engine_flags, loaded_config, quantize_flag
from stoker.cli.progress import bar

TO_JSON = click.option("--json", "target", metavar="FILE", help="Write JSON; - is stdout.")


@click.group(name="bench")
def command() -> None:
    """Measure the engine or a server."""


@command.command(name="engine")
@click.argument("model", required=False)
@click.option("--batch", "batches", multiple=True, type=click.IntRange(1, 1024), show_default=True,
              default=(1, 4, 16, 32), help="Sequences at once; repeat for several.")  # fmt: skip
@click.option("--prompt-tokens", default=128, show_default=True, type=click.IntRange(1))
@click.option("--output-tokens", default=128, show_default=True, type=click.IntRange(2))
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(1))
@TO_JSON
@quantize_flag
@engine_flags
@click.pass_context
def engine(
    ctx: click.Context,
    model: str | None,
    batches: tuple[int, ...],
    prompt_tokens: int,
    output_tokens: int,
    repeats: int,
    target: str | None,
) -> None:
    """Prefill and decode rates of MODEL in this process, without HTTP or text."""
    from stoker.bench.engine import EngineBench
    from stoker.bench.machine import this_machine
    from stoker.bench.report import EngineReport, engine_table, write_json
    from stoker.cli.fetch import fetch, fetched_draft
    from stoker.constrain.token_table import TokenTable
    from stoker.engine.build import build_engine
    from stoker.engine.settings import engine_settings

    config = loaded_config(ctx, model).config
    settings = engine_settings(
        config, fetch(config.model), TokenTable(), fetched_draft(config.model)
    )
    with bar(f"Loading {config.model.name}") as progress:
        built, info = build_engine(settings, progress)
    bench = EngineBench(built, info.vocab_size)
    figures = []
    for batch in batches:
        figures.append(bench.measure(batch, prompt_tokens, output_tokens, repeats=repeats))
        click.echo(f"batch {batch} done", err=True)
    built.close()
    report = EngineReport(
        machine=this_machine(),
        model=config.model.name,
        kernels=info.kernels,
        threads=settings.threads,
        figures=tuple(figures),
    )
    if target != "-":
        click.echo("\n".join(engine_table(report)))
    if target is not None:
        write_json(report, target)


@command.command(name="kernels")
@click.option("--kernels", default="auto", show_default=True, help="An instruction set by name.")
@click.option("--threads", type=click.IntRange(1, 1024), help="Default: all cores.")
@click.option("--megabytes", type=click.IntRange(1, 65536),
              help="Read in one run. Default: eight times the last-level cache.")  # fmt: skip
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 1000))
@TO_JSON
def kernels(
    kernels: str, threads: int | None, megabytes: int | None, rounds: int, target: str | None
) -> None:
    """Each kernel beside what this machine can do, and beside its NumPy twin."""
    from stoker.bench.kernels import default_megabytes, measure_kernels
    from stoker.bench.machine import this_machine, usable_cores
    from stoker.bench.report import KernelReport, write_json
    from stoker.cli.kernel_table import print_kernels
    from stoker.kernels.decoder import available_kernels

    threads = threads or usable_cores()
    megabytes = megabytes or default_megabytes()
    limits, figures = measure_kernels(kernels, threads, megabytes, rounds)
    report = KernelReport(
        machine=this_machine(),
        kernels=available_kernels()[0] if kernels == "auto" else kernels,
        threads=threads,
        rounds=rounds,
        megabytes=megabytes,
        limits=limits,
        figures=figures,
    )
    if target != "-":
        print_kernels(report)
    if target is not None:
        write_json(report, target)


@command.command(name="serve")
@click.option("--url", help="A running server; without it one is started and stopped again.")
@click.option("--model", help="The name to ask for; default: the first the server lists.")
@click.option("--api-key", help="For a server given by --url.")
@click.option("--concurrency", "clients", multiple=True, type=click.IntRange(1, 4096),
              default=(1, 8, 32), show_default=True, help="Clients; may be repeated.")  # fmt: skip
@click.option("--num-requests", type=click.IntRange(1), help="Default: four a client, at least 8.")
@click.option("--input-tokens", default=128, show_default=True, type=click.IntRange(1))
@click.option("--output-tokens", default=128, show_default=True, type=click.IntRange(1))
@click.option("--shared-tokens", default=0, show_default=True, type=click.IntRange(0),
              help="Of the input, at its front and the same in every prompt.")  # fmt: skip
@click.option("--stream/--no-stream", default=True, show_default=True)
@TO_JSON
def serve(target: str | None, **options: object) -> int:
    """Send a load to a server and report rates and latencies. Exits 1 if a request failed."""
    from stoker.bench.report import serve_table, write_json
    from stoker.bench.serve import ServeOptions, measure_server

    report = asyncio.run(measure_server(ServeOptions(**options)))  # type: ignore[arg-type]
    if target != "-":
        click.echo("\n".join(serve_table(report)))
    if target is not None:
        write_json(report, target)
    return 1 if any(run.failed for run in report.runs) else 0


@command.command(name="gateway")
@click.option("--seconds", default=5.0, show_default=True, type=click.FloatRange(0.2, 600),
              help="Of each phase.")  # fmt: skip
@click.option("--peer", "peers", multiple=True, type=click.Choice(["nginx", "litellm"]),
              help="Measured in the same run; repeat for both.")  # fmt: skip
@click.option("--direct", default="", metavar="MODEL",
              help="Also direct mode behind nginx, with this model's tokenizer.")  # fmt: skip
@click.option("--streams", default=0, type=click.IntRange(0, 20000),
              help="To hold open at once; 0: none.")  # fmt: skip
@click.option("--soak", default=0.0, type=click.FloatRange(0, 86400),
              help="Seconds of load while memory is watched.")  # fmt: skip
@TO_JSON
def gateway(
    seconds: float,
    peers: tuple[str, ...],
    direct: str,
    streams: int,
    soak: float,
    target: str | None,
) -> int:
    """What the gateway adds before an instant backend, with keys, limits and usage on. Exits 1 if a
    request of ours failed."""
    from stoker.bench.gateway.measure import GatewayOptions, measure_gateway
    from stoker.bench.gateway.report import extra_lines, gateway_table
    from stoker.bench.report import aligned, write_json

    options = GatewayOptions(
        seconds=seconds, peers=peers, direct=direct, streams=streams, soak=soak
    )
    report = asyncio.run(measure_gateway(options))
    if target != "-":
        click.echo("\n".join([*aligned(gateway_table(report)), *extra_lines(report)]))
    if target is not None:
        write_json(report, target)
    others = [one.failed for one in (report.held, report.soak) if one is not None]
    return 1 if any((report.subjects[1].failed, *others)) else 0
