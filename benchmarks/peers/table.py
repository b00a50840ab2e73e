"""The comparison as a page shows it: one table a model, rows as measured, peers side by side."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

US = "stoker"


@dataclass(frozen=True)
class Line:
    row: str
    """The measurement it comes from, by which remarks are found."""
    figure: str
    title: str
    unit: str
    better: Callable[[list[float]], float] = max
    instead: str | None = None
    """The figure of a peer that has no server."""


LINES = [
    Line("decode1", "decode1", "decode, 1 sequence", "tok/s"),
    Line("prefill", "prefill", "prefill, 512 tokens", "tok/s"),
    Line("decode32", "decode32", "decode, 32 sequences", "tok/s"),
    Line("decode8k", "decode8k", "decode after 8,000 tokens", "tok/s"),
    Line("http32", "http32", "32 clients, 128 in, 128 out", "tok/s"),
    Line("ttft8", "ttft8", "first token p50, 8 clients, 512 in", "ms", min),
    Line("prefix32", "prefix32", "512 shared of 544, 32 clients, 64 out", "req/s"),
    Line("victims", "victims", "inter-token p99, 4 streams beside 8k prompts", "ms", min),
    Line("victims", "undisturbed", "the same before they come", "ms", min),
    Line("ready", "ready", "ready after start", "s", min),
    Line("http32", "memory", "memory under the 32 clients", "MiB", min, "engine_memory"),
]


def comparison(report: dict[str, Any], machine: str) -> str:
    shape = "" if report["sizes"] == "full" else " Tiny sizes: these figures mean nothing."
    text = (
        f"Median of {report['rounds']} rounds in turn (lowest to highest), {report['threads']} "
        f"threads, greedy. {machine}, shared with the load generator.{shape}\n"
    )
    return text + "".join(of_model(one) for one in report["models"])


def of_model(model: dict[str, Any]) -> str:
    peers = model["peers"]
    heads = ["", *peers, "to the best peer"] + (["to llama.cpp"] if "llama" in peers else [])
    rows = [heads, ["---"] * len(heads)]
    notes: list[str] = []
    for line in LINES:
        found = {name: median(peer, line) for name, peer in peers.items()}
        if any(value is not None for value in found.values()):
            cells = [cell(peer, line, notes) for peer in peers.values()]
            rows.append([f"{line.title}, {line.unit}", *cells, *ratios(found, line)])
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    listed = "".join(
        f"- {name}: {peer['label']}; {peer['numbers']}\n" for name, peer in peers.items()
    )
    numbered = "".join(f"{number}. {note}\n" for number, note in enumerate(notes, 1))
    return f"\n**{model['model']}**\n\n{table}\n{listed}" + (f"\n{numbered}" if notes else "")


def values(peer: dict[str, Any], line: Line) -> list[float]:
    figures = peer["figures"]
    return figures.get(line.figure) or figures.get(line.instead or "", [])


def median(peer: dict[str, Any], line: Line) -> float | None:
    found = values(peer, line)
    return statistics.median(found) if found else None


def cell(peer: dict[str, Any], line: Line, notes: list[str]) -> str:
    found = values(peer, line)
    remark = peer["remarks"].get(line.row)
    if not found:
        return f"no ({noted(remark or 'not measured', notes)})"
    spread = f" ({short(min(found))}-{short(max(found))})" if len(found) > 1 else ""
    served = line.row in ("http32", "ttft8", "prefix32", "victims")
    if remark is None and peer["in_process"] and served:
        remark = "in process, without HTTP: the package has no server"
    mark = f" ({noted(remark, notes)})" if remark else ""
    return f"{short(statistics.median(found))}{spread}{mark}"


def noted(remark: str, notes: list[str]) -> int:
    """The number of the remark below the table."""
    if remark not in notes:
        notes.append(remark)
    return notes.index(remark) + 1


def ratios(found: dict[str, float | None], line: Line) -> list[str]:
    """Ours over the best of the others, then over llama.cpp's."""
    others = [value for name, value in found.items() if name != US and value is not None]
    best = line.better(others) if others else None
    cells = [ratio(found.get(US), best)]
    return cells + ([ratio(found.get(US), found["llama"])] if "llama" in found else [])


def ratio(ours: float | None, other: float | None) -> str:
    return f"{ours / other:.2f}" if ours and other else ""


def short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def headline_rows(report: dict[str, Any]) -> list[list[str]]:
    """Model, row, ours, llama.cpp's, and the best other with its name."""
    return [
        [model["model"], line.title, *headline_cells(model["peers"], line)]
        for model in report["models"]
        for line in LINES
        if line.row in ("decode1", "decode32", "http32") and line.unit == "tok/s"
    ]


def headline_cells(peers: dict[str, Any], line: Line) -> list[str]:
    found = {name: value for name, peer in peers.items() if (value := median(peer, line))}
    others = {value: name for name, value in found.items() if name != US}
    cells = [short(found[name]) if name in found else "" for name in (US, "llama")]
    best = line.better(list(others)) if others else None
    return [*cells, f"{short(best)} ({others[best]})" if best else ""]
