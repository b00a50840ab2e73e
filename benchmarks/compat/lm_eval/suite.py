"""lm-evaluation-harness over our server, with the prefix cache and without: nothing may differ."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.compat.record import Record
from benchmarks.compat.suite import Suite
from benchmarks.compat.workplace import Workplace

HERE = Path(__file__).parent
SECONDS = 900.0
BEGINNING = "Each line asks something and gives the answer. " * 16
TASKS = ("stoker_choice", "stoker_answer")
CONFIG = """\
[model]
name = "qwen2.5-coder:0.5b"
served_name = "evaluated"

[engine]
max_context = 2048
prefix_cache = %s
"""


def _run(place: Workplace) -> Record:
    runs = {cached: _evaluated(place, cached) for cached in ("true", "false")}
    return _compared(runs["true"], runs["false"])


def _evaluated(place: Workplace, cached: str) -> Mapping[str, Any]:
    """Each score, and what the server gave for each sample, by name."""
    output = place.folder / f"prefix-cache-{cached}"
    shutil.rmtree(output, ignore_errors=True)
    with place.serving(CONFIG % cached) as url:
        place.execute(
            [
                "-m", "lm_eval", "run", "--model", "local-completions", "--model_args",
                f"model=evaluated,base_url={url}/v1/completions,tokenizer_backend=remote,"
                "tokenized_requests=True,num_concurrent=2,max_length=2048",
                "--include_path", str(HERE), "--tasks", ",".join(TASKS),
                "--output_path", str(output), "--log_samples",
            ],
            SECONDS, cwd=HERE,
        )  # fmt: skip
        _check_reuse(url, reused=cached == "true")
    return dict(_outcomes(output))


def _check_reuse(url: str, *, reused: bool) -> None:
    """Raises RuntimeError when this is not what the comparison is about."""
    body = {"model": "evaluated", "prompt": BEGINNING, "max_tokens": 1}
    for _ in range(2):
        request = urllib.request.Request(
            f"{url}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as response:
            usage = json.load(response)["usage"]
    if (usage["prompt_tokens_details"]["cached_tokens"] > 0) != reused:
        raise RuntimeError(f"the prefix cache was to be {'' if reused else 'un'}used: {usage}")


def _outcomes(output: Path) -> Iterator[tuple[str, Any]]:
    """Scores, and every sample with the log probabilities or the text that the server gave."""
    for path in output.rglob("results_*.json"):
        for task, scores in json.loads(path.read_text())["results"].items():
            named = {name: score for name, score in scores.items() if "," in name}
            yield from ((f"{task}: {name}", score) for name, score in named.items())
    for path in output.rglob("samples_*.jsonl"):
        task = path.stem.removeprefix("samples_").rpartition("_")[0]
        for line in path.read_text().splitlines():
            sample = json.loads(line)
            yield f"{task}: sample {sample['doc_id']}", sample["resps"]


def _compared(cached: Mapping[str, Any], plain: Mapping[str, Any]) -> Record:
    passed, failed = [], {}
    for name in sorted(cached | plain):
        with_cache, without = cached.get(name), plain.get(name)
        if with_cache == without:
            passed.append(name)
        else:
            failed[name] = f"{with_cache} with the prefix cache, {without} without"
    return Record(passed, failed)


LM_EVAL = Suite(
    name="lm-eval",
    title="lm-evaluation-harness with the prefix cache and without",
    about=(
        "`local-completions` with the remote tokenizer on two small tasks of ours, one of choices "
        "by the log probabilities of prompts and one of short answers; the model is "
        "qwen2.5-coder:0.5b. Every score, and every sample's log probabilities and text, must be "
        "the same with the prefix cache as without it."
    ),
    run=_run,
)
