"""`python -m benchmarks.compat [SUITE ...]`: runs suites, all by default, and writes the page.

`--page` only writes the page, from results that are there.
"""

from __future__ import annotations

import sys

import msgspec

from benchmarks.compat.page import RESULTS, write_page
from benchmarks.compat.record import result
from benchmarks.compat.suite import Suite
from benchmarks.compat.suites import SUITES
from benchmarks.compat.workplace import Workplace


def measure(suite: Suite) -> None:
    place = Workplace(suite.name)
    record = suite.run(place)
    found = result(suite.name, suite.title, suite.about, place.version, record)
    text = msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{suite.name}.json").write_bytes(text)
    print(f"{suite.title}: {found.passed} passed, {found.failed} failed")


def main(arguments: list[str]) -> None:
    names = [] if "--page" in arguments else arguments or list(SUITES)
    for name in names:
        if name not in SUITES:
            sys.exit(f"no suite is called {name!r}: there are {', '.join(SUITES)}")
        measure(SUITES[name])
    write_page()


if __name__ == "__main__":
    main(sys.argv[1:])
