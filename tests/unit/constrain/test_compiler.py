"""Every notation becomes the language it says, under limits, and what is kept is bounded."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from stoker.constrain import compiler as module
from stoker.constrain.compiler import Compiler
from stoker.constrain.token_table import TokenTable
from stoker.errors import UnsupportedConstraint
from tests.support.constraints import CASES, GBNF, Case, allowed, constraint, takes, tiny_table


@pytest.fixture(scope="module")
def compiler() -> Compiler:
    return Compiler(tiny_table())


TEXTS = {
    "schema": (('{"name":"a","age":3}', '{"age": 3, "name": "é"}'), ('{"name":"a"}', "{}", "x")),
    "regex": (("ab-123", "abcde-000"), ("ab-12", "ab-123 ", "^ab-123$")),
    "choice": (("yes", "not sure"), ("", "yess", "no ")),
    "gbnf": (("7", "((42))"), ("(7", "777")),
    "lark": (("xx!", "xxxx!"), ("x!", "xxxxx!")),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_notation_means_what_it_says(compiler: Compiler, case: Case) -> None:
    good, bad = TEXTS[case.name]
    if case.name == "schema":  # properties come in the order of the schema
        good = good[:1]
    for text in good:
        assert takes(compiler.matcher(case.constraint), text), text
        assert case.kept(text)
    for text in bad:
        assert not takes(compiler.matcher(case.constraint), text), text


def test_control_tokens_never_come_and_ends_only_where_it_may_end(compiler: Compiler) -> None:
    table = tiny_table()
    matcher = compiler.matcher(constraint("regex", "(.|\n){1,3}"))
    assert allowed(matcher).isdisjoint(table.control)
    matcher.advance(table.tokens().index(b"a"))
    assert allowed(matcher) & {*table.control} == {*table.ends}


def test_a_copy_goes_its_own_way(compiler: Compiler) -> None:
    one = compiler.matcher(constraint("choice", ["ab", "cd"]))
    other = one.copy()
    assert takes(one, "ab")
    assert takes(other, "cd")


def test_it_is_taken_up_behind_what_was_written(compiler: Compiler) -> None:
    table = tiny_table()
    written = [table.tokens().index(byte) for byte in (b"(", b"(")]
    matcher = compiler.matcher(constraint("gbnf", GBNF), written)
    assert takes(matcher, "7))")


@pytest.mark.parametrize("ahead", ["12)", "1x)", "123"])
def test_masks_of_drafts_are_those_of_the_steps_to_come(compiler: Compiler, ahead: str) -> None:
    table = tiny_table()
    drafts = [table.tokens().index(bytes([byte])) for byte in b"(" + ahead.encode()]
    stepwise, at_once = (compiler.matcher(constraint("gbnf", GBNF)) for _ in range(2))
    before = allowed(at_once)
    masks = at_once.masks(drafts)
    assert allowed(at_once) == before, "drafts moved the sequence"
    for draft, mask in zip(drafts, masks, strict=False):
        assert [mask] == stepwise.masks()
        if draft not in allowed(stepwise):
            break
        stepwise.advance(draft)


def test_a_token_that_may_not_come_fails_it_and_then_nothing_may_follow(
    compiler: Compiler,
) -> None:
    matcher = compiler.matcher(constraint("regex", "[0-9]+"))
    matcher.advance(tiny_table().tokens().index(b"a"))
    assert matcher.failed
    assert not allowed(matcher)
    assert not any(matcher.masks([1, 2])[2])


REFUSED: dict[str, tuple[str, Any]] = {
    "no schema": ("json_schema", "5"),
    "no JSON": ("json_schema", "{"),
    "false": ("json_schema", "false"),
    "options of the library": ("json_schema", {"x-guidance": {"lenient": True}}),
    "a keyword nothing enforces": ("json_schema", {"type": "array", "uniqueItems": True}),
    "nothing satisfies it": ("json_schema", {"type": "integer", "minimum": 3, "maximum": 2}),
    "too long": ("json_schema", {"title": "x" * 140_000}),
    "no regex": ("regex", "("),
    "look-around": ("regex", "(?=a)b"),
    "a reference back": ("regex", r"(a)\1"),
    "no choices": ("choice", []),
    "choices that are no list": ("choice", '"a"'),
    "too many choices": ("choice", [str(i) for i in range(5000)]),
    "no grammar": ("gbnf", "root = 5"),
    "no root": ("gbnf", 'a ::= "a"'),
    "no start": ("lark", 'a: "a"'),
    "a rule that is missing": ("lark", "start: b"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_enforced_is_refused_with_a_reason(compiler: Compiler, name: str) -> None:
    with pytest.raises(UnsupportedConstraint) as caught:
        compiler.matcher(constraint(*REFUSED[name]))
    assert caught.value.message
    assert "\n" not in caught.value.message


def test_a_model_without_an_end_cannot_be_constrained() -> None:
    with pytest.raises(UnsupportedConstraint, match="nothing is known to end it"):
        Compiler(TokenTable.of([b"a", b"b"], (), ()))


def test_compiled_grammars_are_kept_and_their_number_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled: list[str] = []
    read = module.grammar
    monkeypatch.setattr(module, "grammar", lambda one: compiled.append(one.text) or read(one))
    own = Compiler(tiny_table(), kept=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        own.matcher(constraint("regex", text))
    assert compiled == ["a", "b", "c", "b"], "the latest used stay"


def test_threads_at_work_on_one_grammar_do_not_wait_for_each_other_for_ever(
    compiler: Compiler,
) -> None:
    shared = constraint("json_schema", {"type": "object"})
    matchers = [compiler.matcher(shared) for _ in range(2)]
    threads = [
        threading.Thread(target=lambda one=one: [allowed(one) for _ in range(50)], daemon=True)
        for one in matchers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
