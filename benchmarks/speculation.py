"""What guessing ahead brings to one stream: nothing, prompt lookup and a draft model in turns on
the same prompts, and whether the tokens are the same.

    python -m benchmarks.speculation --json benchmarks/results/speculation.json

Tokens a second are those after the first. `--rounds` times each, the middle one counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from stoker.bench.machine import this_machine
from stoker.config.load import load
from stoker.config.paths import cache_folder
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.engine.build import build_engine
from stoker.engine.engine import Engine
from stoker.engine.frames import EngineSettings
from stoker.model.load import open_model
from stoker.model.pull import resolve
from stoker.text.chat_template import ChatTemplate
from stoker.text.load import load_text

MODEL, DRAFT = "qwen2.5-coder:1.5b", "qwen2.5-coder:0.5b"
SOURCE = Path("src/stoker/scheduler/token_budget.py")
QUESTIONS = {
    "change a file": "Repeat this file with every docstring removed:\n\n{source}",
    "write code": "Write a Python class for a priority queue with methods push, pop and peek, and "
    "tests for it.",
    "explain": "Explain in three paragraphs how a bicycle stays upright, for a curious child.",
}
TEMPERATURES = (0.0, 0.8)


@dataclass
class Contestant:
    name: str
    engine: Engine
    rounds: int = 0

    def answer(self, prompt: tuple[int, ...], temperature: float, tokens: int) -> tuple[Any, float]:
        """Token ids, and how many came a second after the first step that brought any."""
        self.rounds += 1
        sampling = SamplingParams(
            max_tokens=tokens, temperature=temperature, seed=5, ignore_eos=True
        )
        self.engine.submit(
            Request(
                request_id=f"{self.name}-{self.rounds}", prompt_token_ids=prompt, sampling=sampling
            )
        )
        answer: list[int] = []
        first = began = 0.0
        while not self.engine.idle:
            for delta in self.engine.step():
                answer += delta.token_ids
                if not began and answer:
                    began, first = time.perf_counter(), len(answer)
        return tuple(answer), (len(answer) - first) / (time.perf_counter() - began)

    def guesses(self) -> tuple[int, int]:
        load = self.engine.load()
        return load.drafted_tokens, load.accepted_tokens


def contestants(folder: Path, threads: int) -> list[Contestant]:
    model, draft = str(resolve(MODEL, folder)), str(resolve(DRAFT, folder))
    settings = EngineSettings(model_path=model, threads=threads, max_context=4096)
    replace = msgspec.structs.replace
    ways = {
        "off": settings,
        "prompt lookup": replace(settings, speculation="prompt_lookup"),
        "draft model": replace(settings, draft_path=draft),
    }
    return [
        Contestant(name, build_engine(way, lambda done, total: None)[0])
        for name, way in ways.items()
    ]


def chat_template(folder: Path) -> ChatTemplate:
    path = resolve(MODEL, folder)
    model = open_model(path)
    template = load_text(path, model.metadata, folder).chat_template
    model.close()
    assert template
    return template


def measured(ways: list[Contestant], prompt: tuple[int, ...], options: argparse.Namespace) -> list:
    """A row for each temperature: rates in the order of `ways`, with the shares of guesses that
    were right. Raises SystemExit when two do not agree on the tokens."""
    rows = []
    for temperature in TEMPERATURES:
        rates: dict[str, list[float]] = {way.name: [] for way in ways}
        before = {way.name: way.guesses() for way in ways}
        for _ in range(options.rounds):
            answers = set()
            for way in ways:
                answer, rate = way.answer(prompt, temperature, options.tokens)
                answers.add(answer)
                rates[way.name].append(rate)
            if len(answers) != 1:
                raise SystemExit("the answers are not the same")
        rows.append(
            {"temperature": temperature, "ways": [_figures(w, rates, before) for w in ways]}
        )
    return rows


def _figures(way: Contestant, rates: dict[str, list[float]], before: dict) -> dict[str, Any]:
    drafted, right = (now - then for now, then in zip(way.guesses(), before[way.name], strict=True))
    return {
        "name": way.name,
        "tokens_per_second": round(statistics.median(rates[way.name]), 1),
        "guessed": drafted,
        "right": right,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    folder = cache_folder(load().config.model)
    template, ways = chat_template(folder), contestants(folder, options.threads)
    source = SOURCE.read_text(encoding="utf-8")
    cases = []
    for name, question in QUESTIONS.items():
        message = {"role": "user", "content": question.format(source=source)}
        prompt = tuple(template.encode([message]))
        cases.append({"name": name, "rows": measured(ways, prompt, options)})
        print(json.dumps(cases[-1], indent=1))
    report = {
        "machine": msgspec.to_builtins(this_machine()), "model": MODEL, "draft": DRAFT,
        "tokens": options.tokens, "rounds": options.rounds, "cases": cases,
    }  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
