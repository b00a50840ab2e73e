"""docs/compatibility.md says what the results say, and results what was reported."""

from __future__ import annotations

from benchmarks.compat.page import PAGE, page, results
from benchmarks.compat.record import Record, result
from benchmarks.compat.workplace import HERE

RECORD = Record(
    passed=["a", "b"], failed={"d": "refused", "c": "refused"}, not_applicable={"e": "no pictures"}
)
ONE = result("one", "One: it", "Runs one.", "1.2", RECORD)


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(results()), "run `make compat`"


def test_every_environment_has_a_result() -> None:
    environments = {path.stem for path in (HERE / "requirements").glob("*.txt")}
    assert environments == {one.suite for one in results()}


def test_what_failed_is_listed_with_its_reason() -> None:
    text = page([ONE])
    assert "| [One: it](#one-it) | 1.2 | 2 | 2 | 50.0 % | 1 |" in text
    assert "- `c`, `d`: refused" in text
    assert "- 1: no pictures" in text


def test_a_suite_without_tests_is_not_a_success() -> None:
    assert result("none", "None", "", "1", Record(passed=[], failed={})).share == 0.0
