"""Every suite, in the order in which they run."""

from __future__ import annotations

from benchmarks.compat.clients.suites import CLIENTS
from benchmarks.compat.langchain.suite import LANGCHAIN
from benchmarks.compat.llama_cpp.suite import LLAMA_CPP
from benchmarks.compat.lm_eval.suite import LM_EVAL
from benchmarks.compat.suite import Suite

SUITES: dict[str, Suite] = {
    suite.name: suite for suite in (*CLIENTS, LLAMA_CPP, LANGCHAIN, LM_EVAL)
}
