"""Every suite, in the order in which they run."""

from __future__ import annotations

from benchmarks.compat.clients.suites import CLIENTS
from benchmarks.compat.suite import Suite

SUITES: dict[str, Suite] = {suite.name: suite for suite in (*CLIENTS,)}
