"""Draws docs/roofline.svg: the kernels under the machine's roofs (Williams et al. 2009).

stoker bench kernels --json benchmarks/results/kernels.json
python benchmarks/roofline.py
"""

from __future__ import annotations

import json
import math
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "kernels.json"
PICTURE = ROOT / "docs" / "roofline.svg"

LEFT, RIGHT, TOP, BOTTOM = 80, 860, 70, 500
LEAST_INTENSITY, MOST_INTENSITY = 0.25, 4096.0
LEAST_RATE, MOST_RATE = 5.0, 5000.0
BELOW, ABOVE = (9, 15, "start"), (9, -8, "start")
LABELLED = {
    ("matmul U4M", "896 to 4864, 1 rows"): ABOVE,
    ("matmul U4M", "896 to 4864, 32 rows"): ABOVE,
    ("matmul U4M", "896 to 4864, 512 rows"): (0, 34, "middle"),
    ("matmul U8", "896 to 4864, 1 rows"): BELOW,
    ("matmul F32", "896 to 4864, 1 rows"): BELOW,
    ("attention", "8192 tokens, 1 x 3 heads of 64"): BELOW,
    ("attention", "8192 tokens, 1 x 7 heads of 64"): BELOW,
    ("attention", "512 tokens, 512 x 3 heads of 64"): BELOW,
}
"""Where the name stands beside the point: right, down, and which end of it."""
EVERY_SHAPE, ONE_SHAPE = "matmul U4M", "896 to 4864, "
"""One format is drawn at every shape, the others at one: their points would cover each other."""
STYLE = """
    .axis { stroke: #52606d; stroke-width: 1.2; }
    .grid { stroke: #d9e2ec; stroke-width: 1; }
    .read { stroke: #334e68; stroke-width: 2.2; fill: none; }
    .int8 { stroke: #c77d1f; stroke-width: 2.2; fill: none; }
    .float { stroke: #829ab1; stroke-width: 2.2; fill: none; }
    .point { fill: #c77d1f; }
    .cache { fill: #334e68; }
    .small { font-size: 12px; fill: #52606d; }
    .name { font-weight: bold; font-size: 16px; }
"""


def across(intensity: float) -> float:
    return LEFT + (RIGHT - LEFT) * _share(intensity, LEAST_INTENSITY, MOST_INTENSITY)


def up(rate: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * _share(rate, LEAST_RATE, MOST_RATE)


def _share(value: float, least: float, most: float) -> float:
    return math.log(min(max(value, least), most) / least) / math.log(most / least)


def grid() -> list[str]:
    parts = []
    for exponent in range(-2, 13, 2):
        x = across(2.0**exponent)
        parts.append(f'<line class="grid" x1="{x:.0f}" y1="{TOP}" x2="{x:.0f}" y2="{BOTTOM}"/>')
        parts.append(_text(x, BOTTOM + 18, f"{2.0**exponent:g}", "small", "middle"))
    for rate in (10, 100, 1000):
        y = up(rate)
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y:.0f}" x2="{RIGHT}" y2="{y:.0f}"/>')
        parts.append(_text(LEFT - 8, y + 4, f"{rate}", "small", "end"))
    parts.append(f'<path class="axis" fill="none" d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}"/>')
    parts.append(
        _text((LEFT + RIGHT) / 2, BOTTOM + 40, "operations per byte read", "small", "middle")
    )
    parts.append(_text(LEFT, TOP - 12, "GOP/s", "small", "middle"))
    return parts


def roofs(limits: dict[str, float]) -> list[str]:
    read, integer, floats = limits["read_gb"], limits["integer_gops"], limits["float_gflops"]
    parts = []
    for name, peak, unit in (("int8", integer, "GOP/s int8"), ("float", floats, "GFLOP/s float")):
        start = across(peak / read)
        y = up(peak)
        parts.append(f'<path class="{name}" d="M{start:.0f} {y:.0f}H{RIGHT}"/>')
        parts.append(_text(RIGHT, y - 8, f"{peak:.0f} {unit}", "small", "end"))
    foot = max(LEAST_INTENSITY, LEAST_RATE / read)
    head = integer / read
    line = f"M{across(foot):.0f} {up(foot * read):.0f}L{across(head):.0f} {up(integer):.0f}"
    parts.append(f'<path class="read" d="{line}"/>')
    parts.append(_text(across(1.0) - 40, up(read) - 10, f"{read:.0f} GB/s", "small", "end"))
    return parts


def drawn(kernel: str, shape: str) -> bool:
    if kernel.startswith("matmul"):
        return kernel == EVERY_SHAPE or shape.startswith(ONE_SHAPE)
    return kernel == "attention"


def points(figures: list[dict]) -> list[str]:
    parts = []
    for figure in figures:
        kernel, shape, share = figure["kernel"], figure["shape"], f"{figure['share']:.0%}"
        if not drawn(kernel, shape):
            continue
        x, y = across(figure["gops"] / figure["gb"]), up(figure["gops"])
        kind = "cache" if kernel == "attention" else "point"
        circle = f'<circle class="{kind}" cx="{x:.0f}" cy="{y:.0f}" r="5">'
        parts.append(f"{circle}<title>{kernel}, {shape}: {share} of its limit</title></circle>")
        if (kernel, shape) in LABELLED:
            name = f"{kernel.removeprefix('matmul ')}, {_short(figure)}: {share}"
            right, down, anchor = LABELLED[kernel, shape]
            parts.append(_text(x + right, y + down, name, "small", anchor))
    return parts


def _short(figure: dict) -> str:
    if figure["kernel"] == "attention":
        return figure["shape"].replace(" tokens, ", ", ").replace(" heads of 64", "")
    return figure["shape"].split(", ")[1]


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{text}</text>'


HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 560" width="900" height="560" \
role="img" aria-labelledby="title description" \
font-family="Helvetica, Arial, 'DejaVu Sans', sans-serif" font-size="14" fill="#1f2933">"""


DESCRIPTION = (
    "Operations per second over operations per byte read, both axes logarithmic. A sloped line is "
    "the read bandwidth, two level lines are the peaks of int8 and of float arithmetic. Orange "
    "points are matrix products, blue ones attention."
)


def picture(report: dict) -> str:
    threads, kernels = report["threads"], report["kernels"]
    title = f"Kernels under the roofs of {report['machine']['cpu']}, {threads} threads ({kernels})"
    parts = [
        f'<title id="title">{title}</title>',
        f'<desc id="description">{DESCRIPTION}</desc>',
        f"<style>{STYLE}  </style>",
        '<rect width="900" height="560" fill="#ffffff"/>',
        _text(LEFT, 32, title, "name", "start"),
        *grid(),
        *roofs(report["limits"][-1]),
        *points(report["figures"]),
    ]
    return "\n".join([HEAD, *(f"  {part}" for part in parts), "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(picture(json.loads(RESULTS.read_text(encoding="utf-8"))), encoding="utf-8")
