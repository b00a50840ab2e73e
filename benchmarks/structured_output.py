"""How many schemas of two public collections can be enforced, whether what is then drawn is always
valid, and what a mask costs.

The official JSON Schema tests (npm pack json-schema-test-suite) and the functions of the Berkeley
Function Calling Leaderboard (pip download --no-deps bfcl-eval), unpacked somewhere:

    python benchmarks/structured_output.py smollm2:135m --tests DIR/draft7 --bfcl DIR/bfcl_eval

No model is computed: logits are random, which leads into more corners of a schema than any model,
and tokens are drawn by the real sampler at temperature 2. Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np

from stoker.config.paths import cache_folder
from stoker.config.schema import Config
from stoker.constrain.compiler import Compiler
from stoker.constrain.matcher import Matcher
from stoker.constrain.trial import Trial
from stoker.core.constraint import Constraint, ConstraintKind
from stoker.core.sampling import SamplingParams
from stoker.errors import UnsupportedConstraint
from stoker.kernels.sampler import sample_row
from stoker.model.load import open_model
from stoker.model.pull import resolve
from stoker.text.load import load_vocabulary
from stoker.text.vocabulary import Vocabulary

LENGTH = 256
"""Tokens after which an answer is cut, and not validated."""
SPREAD = 3.0
"""Of the random logits; with the closing of things a little likelier, half of the answers end."""
CLOSING = 8.0
NOISE = 64
"""Rows of random logits; each token of an answer takes one of them."""
DRAFTS = {"draft4": "http://json-schema.org/draft-04/schema#"}
TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": None, "int": "integer"}
"""BFCL's names of types, as JSON Schema has them."""


class Machine:
    """Draws answers, and remembers how long masks took."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.compiler = Compiler(vocabulary.table)
        self.trial = Trial(vocabulary.table)
        self.microseconds: list[float] = []
        ends = [token in vocabulary.eos_token_ids for token in range(len(vocabulary.tokens))]
        closes = [bytes_.endswith((b'"', b"}", b"]")) for bytes_ in vocabulary.token_bytes]
        closing = CLOSING * (np.array(ends) | np.array(closes)).astype(np.float32)
        noise = np.random.default_rng(0).standard_normal((NOISE, len(ends)), dtype=np.float32)
        self._logits = noise * np.float32(SPREAD) + closing

    def mask(self, matcher: Matcher) -> bytes:
        started = time.perf_counter()
        [mask] = matcher.masks()
        self.microseconds.append((time.perf_counter() - started) * 1e6)
        return mask

    def answer(self, constraint: Constraint, seed: int) -> tuple[str, bytes]:
        """How it ended, and its text."""
        matcher = self.compiler.matcher(constraint)
        random = np.random.default_rng(seed)
        sampling, text = SamplingParams(temperature=2.0, seed=seed), b""
        for position in range(LENGTH):
            words = np.frombuffer(self.mask(matcher), np.uint32)
            logits = self._logits[random.integers(NOISE)]
            token = sample_row(logits, sampling, position=position, allowed=words).token
            if token is None or matcher.failed:
                return "failed", text
            if token in self.vocabulary.eos_token_ids:
                return "stop", text
            text += self.vocabulary.token_bytes[token]
            matcher.advance(token)
            if matcher.complete:
                return "failed" if matcher.failed else "stop", text
        return "length", text

    def accepts(self, constraint: Constraint, text: str) -> bool:
        """Whether the answer could be this one, a byte a token."""
        matcher, rest = self.compiler.matcher(constraint), text.encode()
        bytes_ = {b: i for i, b in enumerate(self.vocabulary.token_bytes) if len(b) == 1}
        for byte in rest:
            token = bytes_.get(bytes([byte]))
            if token is None or not _bit(self.mask(matcher), token):
                return False
            matcher.advance(token)
        return matcher.complete or any(
            _bit(self.mask(matcher), end) for end in self.vocabulary.eos_token_ids
        )


def _bit(mask: bytes, token: int) -> bool:
    return bool(mask[token // 8] >> (token % 8) & 1)


async def collection(machine: Machine, cases: list[tuple[str, Any, list[Any]]]) -> dict[str, Any]:
    """Cases are a name, a schema, and the official verdicts on values, where there are some."""
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    compile_ms: list[float] = []
    wrong: list[str] = []
    for name, schema, verdicts in cases:
        constraint = Constraint(ConstraintKind.JSON_SCHEMA, json.dumps(schema))
        started = time.perf_counter()
        try:
            await machine.trial.check(constraint, "schema")
        except UnsupportedConstraint as error:
            counts["refused"] += 1
            reasons[error.message.partition(": ")[2][:60]] += 1
            continue
        finally:
            compile_ms.append((time.perf_counter() - started) * 1e3)
        counts["accepted"] += 1
        ending, text = machine.answer(constraint, counts["accepted"])
        counts[ending] += 1
        if ending == "stop" and not _valid(schema, text):
            wrong.append(f"{name}: {text[:80]!r}")
        for value, valid in verdicts:
            said = machine.accepts(constraint, json.dumps(value, ensure_ascii=False))
            counts[f"{'valid' if valid else 'invalid'} {'taken' if said else 'not taken'}"] += 1
            if said and not valid:
                wrong.append(f"{name} takes {json.dumps(value)[:60]}")
    return {
        **counts,
        "trial_ms_p50": round(statistics.median(compile_ms), 2),
        "trial_ms_max": round(max(compile_ms), 1),
        "wrong": wrong,
        "reasons": dict(reasons.most_common(12)),
    }


def _valid(schema: Any, text: bytes) -> bool:
    kind = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
    try:
        checker = kind(schema, format_checker=kind.FORMAT_CHECKER)
        return not any(True for _ in checker.iter_errors(json.loads(text)))
    except (ValueError, RecursionError):
        return False


def official(folder: Path) -> Iterator[tuple[str, Any, list[Any]]]:
    for path in sorted(folder.glob("*.json")):
        for group in json.loads(path.read_text()):
            verdicts = [(test["data"], test["valid"]) for test in group["tests"]]
            schema = {"$schema": DRAFTS[folder.name], **group["schema"]}
            yield f"{path.stem}: {group['description']}", schema, verdicts


def functions(folder: Path) -> Iterator[tuple[str, Any, list[Any]]]:
    for path in sorted((folder / "data").rglob("*.json")):
        for line in path.read_text().splitlines():
            for function in _functions(line):
                yield function["name"], _renamed(function["parameters"]), []


def _functions(line: str) -> Iterator[dict[str, Any]]:
    try:
        entry = json.loads(line)
    except ValueError:
        return
    if not isinstance(entry, dict):
        return
    for function in entry.get("function", [entry]):
        if isinstance(function, dict) and isinstance(function.get("parameters"), dict):
            yield function


def _renamed(schema: Any) -> Any:
    """With JSON Schema's names of types, and none where any will do."""
    if isinstance(schema, list):
        return [_renamed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    renamed = {key: _renamed(value) for key, value in schema.items()}
    if isinstance(kind := renamed.get("type"), str):
        renamed["type"] = TYPES.get(kind.lower(), kind.lower())
        if renamed["type"] is None:
            del renamed["type"]
    return renamed


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--tests", type=Path, action="append", default=[])
    parser.add_argument("--bfcl", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take one schema in so many")
    asked = parser.parse_args()
    path = resolve(asked.model, cache_folder(Config().model))
    machine = Machine(load_vocabulary(path, open_model(path).metadata))
    results: dict[str, Any] = {}
    for folder in asked.tests:
        results[folder.name] = await collection(machine, list(official(folder))[:: asked.every])
    if asked.bfcl is not None:
        results["bfcl"] = await collection(machine, list(functions(asked.bfcl))[:: asked.every])
    await machine.trial.close()
    times = sorted(machine.microseconds)
    cuts = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    results["mask_us"] = {name: round(times[int(len(times) * at)], 1) for name, at in cuts.items()}
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    asyncio.run(main())
