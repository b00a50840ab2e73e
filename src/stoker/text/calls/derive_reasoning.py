"""What stands around reasoning, and before text."""

from __future__ import annotations

import re

from stoker.text.calls.format import ReasoningFormat
from stoker.text.calls.literal import Literal, common_prefix, common_suffix, without_half_tag
from stoker.text.calls.probes import CONTENT, FIRST, QUESTION, REASONING, Prober, Written

_TAG_AT_END = re.compile(r"(<[^<>\s/][^<>]*>|\[[A-Z_]+\]|[\ud800-\udfff])$")
_PAIR_AT_END = re.compile(r"<([^<>\s/]+)>\s*</\1>$")
SWITCHES = ("enable_thinking", "thinking")


def derive_reasoning(prober: Prober) -> tuple[ReasoningFormat | None, str]:
    """And what the template writes before text."""
    written = prober.answer(CONTENT, reasoning=REASONING)
    plain = prober.answer(CONTENT)
    before = plain.text.partition(CONTENT)[0] if plain and CONTENT in plain.text else ""
    if written and _order(written.text, REASONING, CONTENT):
        between = written.text.partition(REASONING)[2].partition(CONTENT)[0]
        close, content_open = _split(prober, between)
        return _around(prober, written, close), content_open
    called = prober.answer(None, [(FIRST, {})], REASONING)
    if called and _order(called.text, REASONING, FIRST):
        bare = prober.answer(None, [(FIRST, {})])
        after = called.text.partition(REASONING)[2]
        close = after.removesuffix(common_suffix(after, bare.text)) if bare else ""
        if close.strip():
            return _around(prober, called, close), before
    return _from_prompt(prober), before


def _order(text: str, first: str, second: str) -> bool:
    return -1 < text.find(first) < text.find(second)


def _split(prober: Prober, between: str) -> tuple[str, str]:
    """What closes reasoning, and what opens the text after it: calls have the first only."""
    called = prober.answer(None, [(FIRST, {})], REASONING)
    if called is None or not _order(called.text, REASONING, FIRST):
        return between, ""
    after = called.text.partition(REASONING)[2]
    close = without_half_tag(common_prefix(after, between))
    return (close, between[len(close) :]) if close.strip() else (between, "")


def _around(prober: Prober, written: Written, close: str) -> ReasoningFormat | None:
    before = written.text.partition(REASONING)[0]
    if before.strip():
        return ReasoningFormat(Literal.of(before), Literal.of(close), before.strip())
    prompt = prompt_before(prober, written, Literal.of(close)).rstrip()
    begun = prober.begun_in(prompt) or prompt.rpartition(QUESTION["content"])[2]
    begun = begun.rpartition("\n")[2]
    tag = _TAG_AT_END.search(begun)
    open_ = tag[0] if tag and tag[0] not in close else ""
    return ReasoningFormat(Literal.of(open_), Literal.of(close), open_ or begun)


def prompt_before(prober: Prober, written: Written, close: Literal) -> str:
    """What an answer like this one goes on from: prompts may say more than earlier answers show,
    but one that has closed the reasoning already is not it."""
    prompt = prober.prompt() or ""
    further = prompt[len(written.prompt) :].strip()
    return written.prompt if close and further.startswith(close.first) else prompt


def _from_prompt(prober: Prober) -> ReasoningFormat | None:
    """Templates that drop the reasoning of earlier answers still begin it, or begin and end it, in
    some prompt."""
    for switches in ({}, *({name: value} for name in SWITCHES for value in (True, False))):
        prompt = (prober.prompt(**switches) or "").rstrip()
        pair = _PAIR_AT_END.search(prompt)
        tag = _TAG_AT_END.search(prompt)
        name = pair[1] if pair else tag[1][1:-1] if tag and tag[1].startswith("<t") else ""
        if name:
            begun = f"<{name}>"
            return ReasoningFormat(Literal.of(begun), Literal.of(f"</{name}>"), begun)
    return None
