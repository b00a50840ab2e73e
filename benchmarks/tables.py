"""Writes the tables of README.md and docs/performance.md from benchmarks/results/*.json.

A page marks the place: `<!-- table: NAME -->` ... `<!-- end -->`. Run alone to rewrite the pages
from results that are already there; `--check` only says whether they are up to date.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

from peers.table import comparison, headline_rows

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGES = [ROOT / "README.md", ROOT / "docs" / "performance.md"]
BLOCK = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def machine(report: dict) -> str:
    found = report["machine"]
    return f"{found['cpu']}, {found['cores']} cores, {found['memory_gib']:.0f} GiB"


def peers() -> str:
    """Every row of the comparison with the other engines."""
    report = json.loads((RESULTS / "comparison.json").read_text())
    return comparison(report, machine(report))


def headline() -> str:
    """Ours beside llama.cpp and, where others were measured, the best of all, for the README."""
    report = json.loads((RESULTS / "comparison.json").read_text())
    heads = ["model", "tokens a second", "stoker", "llama.cpp", "best other engine"]
    rows = headline_rows(report)
    if all(row[3] == row[4].split(" (")[0] for row in rows):  # nobody else was there
        heads, rows = heads[:4], [row[:4] for row in rows]
    return table(heads, rows) + f"\n{machine(report)}.\n"


def serve() -> str:
    report = json.loads((RESULTS / "serve.json").read_text())
    heads = ["clients", "tok/s", "first token p50", "p99", "inter-token p50", "p99"]
    rows = [
        [str(run["concurrency"]), f"{run['output_tokens_per_second']:.0f}",
         *(f"{run[kind][share]:.1f} ms" for kind in ("first_token_ms", "inter_token_ms")
           for share in ("p50", "p99"))]
        for run in report["runs"]
    ]  # fmt: skip
    shape = report["workload"]
    note = (
        f"{report['model']} over HTTP, streamed, closed loop: {shape['input_tokens']}-token "
        f"prompts, {shape['output_tokens']} new tokens. {machine(report)}, shared with the load "
        "generator.\n\n"
    )
    return note + table(heads, rows)


def fidelity() -> str:
    """How far logits are from transformers', for models and for families without a file."""
    report = json.loads((RESULTS / "fidelity.json").read_text())
    heads = ["weights", "arithmetic", "largest difference", "mean KL, nats", "same top token"]
    rows = [
        [one.get("model") or f"{one['family']}, random", label,
         f"{found['largest_difference']:.2g}", f"{found['mean_kl']:.1g}",
         f"{100 * found['top1_agreement']:.2f} %"]
        for one in report["models"] + report["families"]
        for label, found in (("reference, float32", one["reference"]), ("native", one["native"]))
    ]  # fmt: skip
    note = (
        f"Beside {report['peer']} in float32 on the dequantised weights: verse, code and a chat, "
        f"{report['models'][0]['positions']} positions for the first model.\n\n"
    )
    return note + table(heads, rows)


def perplexity() -> str:
    report = json.loads((RESULTS / "perplexity.json").read_text())
    heads = ["model", "stoker", report["peer"], "difference"]
    rows = [
        [one["model"], f"{one['stoker']:.3f}", f"{one['llama.cpp']:.3f}",
         f"{one['difference_percent']:+.2f} %"]
        for one in report["models"]
    ]  # fmt: skip
    note = (
        f"Paradise Lost, {report['windows']} windows of {report['window']} tokens, the second half "
        "of each scored; same file, same token ids.\n\n"
    )
    return note + table(heads, rows)


def gateway() -> str:
    report = json.loads((RESULTS / "gateway.json").read_text())
    alone, *others = report["subjects"]
    heads = [
        "between client and backend", "requests a second and core", "p50 added", "p99 added",
        "220 KB prompt adds", "token events a second and core", "all at once",
    ]  # fmt: skip

    def added(one: dict, kind: str, share: str) -> str:
        return f"{one[kind][share] - alone[kind][share]:.2f} ms"

    rows = [
        [one["name"], f"{one['requests_per_core']:,.0f}", added(one, "half_load", "p50"),
         added(one, "half_load", "p99"), added(one, "long_prompt", "p50"),
         f"{one['events_per_core']:,.0f}", f"{one['burst_events_per_core']:,.0f}"]
        for one in others
    ]  # fmt: skip
    held, soak = report["held"], report["soak"]
    grown = soak["resident_mib"][-1] - soak["resident_mib"][0]
    each = held["bytes_per_stream"] / 1024
    notes = (
        f"\n{held['streams']:,} streams open at once: {held['failed']} failed, {each:.1f} KiB of "
        f"the gateway each. {soak['seconds']:.0f} s of load: {soak['completed']:,} answers, "
        f"{soak['failed']} failed, {grown:+.1f} MiB after {soak['resident_mib'][0]:.0f}. "
        f"{machine(report)}, shared with backend and load generator.\n"
    )
    return table(heads, rows) + notes


def gateway_direct() -> str:
    """What tokens cost nginx in direct mode, beside what they cost it alone."""
    report = json.loads((RESULTS / "gateway_direct.json").read_text())
    heads = [
        "tokens of an answer", "nginx alone", "nginx in direct mode", "difference",
        "nginx and the front together",
    ]  # fmt: skip
    rows = []
    for one in report["direct"]:
        alone, direct, decided = (median(one[kind]) for kind in ("alone", "direct", "decided"))
        rows.append([str(one["tokens"]), f"{alone:,.0f}", f"{direct:,.0f}",
                     f"{100 * (direct / alone - 1):+.1f} %", f"{decided:,.0f}"])  # fmt: skip
    nothing, *_, ours = report["subjects"]
    prompt = ours["long_prompt"]["p50"] - nothing["long_prompt"]["p50"]
    rounds, rate = len(one["alone"]), ours["requests_per_core"]
    notes = (
        f"\nToken events a second and core, medians of {rounds} rounds in turn. The front and "
        f"nginx together take {rate:,.0f} requests a second and core, and {prompt:.0f} ms for a "
        f"prompt of 220 KB, which is made tokens to count them. {machine(report)}, shared "
        "with replica and load generator.\n"
    )
    return table(heads, rows) + notes


def balance() -> str:
    report = json.loads((RESULTS / "balance.json").read_text())
    heads = ["policy", "prompt blocks found cached", "most work / mean", "first token, mean", "p99"]
    rows = [
        [one["policy"], f"{100 * one['hit_rate']:.1f} %", f"{one['imbalance']:.2f}",
         f"{one['first_token_mean']:.2f} s", f"{one['first_token_p99']:.1f} s"]
        for one in report["rows"]
    ]  # fmt: skip
    rate = report["rows"][0]["prefill_rate"]
    note = (
        f"{report['requests']:,} requests of one hour, {report['replicas']} replicas with room for "
        f"{report['cache_blocks']:,} blocks of 512 tokens each, {rate:,.0f} prompt tokens a "
        "second.\n\n"
    )
    decision = report["decision"]
    pick, worst, name = (decision[kind] for kind in ("pick_us", "worst_us", "name_us"))
    cost = (
        f"\nIn processor time, a decision among {decision['replicas']} replicas for a prompt of "
        f"{decision['blocks']:,} blocks (220 kB of text) takes {pick['p50']:.0f} µs, p99 "
        f"{pick['p99']:.0f} µs, where ten hold some of it; where all do, {worst['p50']:.0f} and "
        f"{worst['p99']:.0f} µs. Naming the blocks before it takes {name['p50'] / 1000:.1f} ms. "
        f"{machine(report)}.\n"
    )
    return note + table(heads, rows) + cost


def balance_by_rate() -> str:
    """How the comparison changes with how full the fleet is."""
    report = json.loads((RESULTS / "balance.json").read_text())
    policies = list(dict.fromkeys(one["policy"] for one in report["by_rate"]))
    found = {(one["prefill_rate"], one["policy"]): one for one in report["by_rate"]}
    rates = sorted({rate for rate, _ in found})
    heads = ["prompt tokens a second", *policies]
    rows = [
        [f"{rate:,.0f}",
         *(f"{100 * one['hit_rate']:.1f} %, {one['imbalance']:.2f}, {one['first_token_mean']:.2f} s"
           for one in (found[rate, policy] for policy in policies))]
        for rate in rates
    ]  # fmt: skip
    return table(heads, rows)


def autoscale() -> str:
    """Requests that waited too long and what was paid for, by scaling policy."""
    report = json.loads((RESULTS / "autoscale.json").read_text())
    scenarios = report["scenarios"]
    rows = [
        [policy, *(_missed_and_paid(row["policies"][policy]) for row in scenarios)]
        for policy in scenarios[0]["policies"]
    ]
    return table(["policy", *(row["scenario"] for row in scenarios)], rows)


def _missed_and_paid(found: dict) -> str:
    asleep = f" + {found['mean_sleeping']:.1f}" if found["mean_sleeping"] else ""
    return f"{found['missed_percent']:.1f} %, {found['mean_replicas']:.1f}{asleep}"


def balance_live() -> str:
    report = json.loads((RESULTS / "balance_live.json").read_text())
    heads = ["policy", "prompt tokens cached", "first token, mean", "p99", "requests a second"]
    rows = [
        [policy.replace("_", " "), f"{100 * one['cached_share']:.0f} %",
         f"{1000 * one['first_token_mean']:.0f} ms", f"{1000 * one['first_token_p99']:.0f} ms",
         f"{one['requests_per_second']:.1f}"]
        for policy, one in report["policies"].items()
    ]  # fmt: skip
    note = (
        f"{report['replicas']} replicas, {report['clients']} clients with conversations of "
        f"{report['turns']} turns, median of {report['rounds']} rounds in turn. "
        f"{machine(report)}.\n\n"
    )
    return note + table(heads, rows)


def speculation() -> str:
    report = json.loads((RESULTS / "speculation.json").read_text())
    heads = ["one stream", "temperature", "no guesses", "prompt lookup", "draft model"]
    rows = [
        [
            case["name"],
            f"{row['temperature']:g}",
            *(_guessing(way, row["ways"][0]) for way in row["ways"]),
        ]
        for case in report["cases"]
        for row in case["rows"]
    ]
    note = (
        f"{report['model']} with {report['draft']} as the draft, tokens a second and guesses that "
        f"were right, {report['tokens']} tokens, middle of {report['rounds']} rounds in turn. "
        f"{machine(report)}.\n\n"
    )
    return note + table(heads, rows)


def _guessing(way: dict, off: dict) -> str:
    speed = f"{way['tokens_per_second']:.0f}"
    if way is off:
        return speed
    ratio = way["tokens_per_second"] / off["tokens_per_second"]
    right = f", {way['right']} of {way['guessed']}" if way["guessed"] else ", none made"
    return f"{speed} ({ratio:.2f}×{right})"


TABLES: dict[str, Callable[[], str]] = {
    "peers": peers,
    "headline": headline,
    "serve": serve,
    "speculation": speculation,
    "fidelity": fidelity,
    "perplexity": perplexity,
    "gateway": gateway,
    "gateway-direct": gateway_direct,
    "balance": balance,
    "balance-by-rate": balance_by_rate,
    "balance-live": balance_live,
    "autoscale": autoscale,
}


def filled(page: str) -> str:
    return BLOCK.sub(lambda found: f"{found[1]}\n{rendered(found[2])}\n{found[3]}", page)


def rendered(name: str) -> str:
    try:
        return TABLES[name]()
    except FileNotFoundError:
        return "Not measured yet.\n"


def write_tables() -> None:
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")


def stale() -> list[Path]:
    """Pages whose tables do not say what the results say."""
    return [page for page in PAGES if filled(text := page.read_text("utf-8")) != text]


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit("\n".join(f"{page} is stale" for page in stale()) or 0)
    write_tables()
