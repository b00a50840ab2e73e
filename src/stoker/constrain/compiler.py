"""Constraints compiled into matchers, under limits that llguidance counts and no clock does: what
compiles once compiles always, on any machine."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Any, cast

from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from stoker.constrain.matcher import Matcher
from stoker.constrain.notation import grammar
from stoker.constrain.panic import is_panic
from stoker.constrain.token_table import TokenTable
from stoker.core.constraint import Constraint
from stoker.core.ids import TokenId
from stoker.errors import UnsupportedConstraint

KEPT = 32
"""Grammars that stay compiled, the latest used."""
MAX_REASON = 300
_LIMITS = LLParserLimits(
    initial_lexer_fuel=1_000_000,  # about 20 ms
    step_lexer_fuel=50_000,  # about 4 ms, for which others in a step may have to wait
    step_max_items=50_000,
    max_items_in_row=2000,
    max_lexer_states=50_000,  # about 100 MB
    max_grammar_size=500_000,
    verbose_errors=False,
)


class _Vocabulary:
    """What llguidance asks of a tokenizer. It splits text only to see what is forced, so the
    longest token each time will do."""

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, table: TokenTable) -> None:
        self.tokens = table.tokens()
        self.special_token_ids = list(table.control)
        self.eos_token_id = table.ends[0]
        self.tokenizer: LLTokenizer | None = None

    def __call__(self, text: str) -> Sequence[TokenId]:
        return [] if self.tokenizer is None else self.tokenizer.greedy_tokenize(text)


def _tokenizer(table: TokenTable) -> LLTokenizer:
    vocabulary = _Vocabulary(table)
    vocabulary.tokenizer = LLTokenizer(
        cast("Any", vocabulary), n_vocab=table.num_tokens, eos_token=list(table.ends), slices=[]
    )
    return vocabulary.tokenizer.with_slices(LLTokenizer.json_slices())


class Compiler:
    """For one vocabulary. To be used by one thread; the matchers may belong to others."""

    def __init__(self, table: TokenTable, kept: int = KEPT) -> None:
        """Takes up to a second. `kept` grammars stay compiled. Raises UnsupportedConstraint for a
        table without tokens, or without one that ends a text."""
        if not table.ends:
            raise UnsupportedConstraint(
                "this model's output cannot be constrained: nothing is known to end it",
                param="constraint",
            )
        self._kept = kept
        self._tokenizer = _tokenizer(table)
        self._ends = frozenset(table.ends)
        self._mask_bytes = -(-table.num_tokens // 32) * 4
        self._compiled: OrderedDict[Constraint, Matcher] = OrderedDict()

    def matcher(self, constraint: Constraint, output: Sequence[TokenId] = ()) -> Matcher:
        """At its place behind `output`. Raises UnsupportedConstraint with the reason."""
        compiled = self._compiled.get(constraint)
        if compiled is None:
            compiled = self._compile(constraint)
        self._keep(constraint, compiled)
        matcher = compiled.copy()
        for token in output:
            matcher.advance(token)
        _check(matcher)
        return matcher

    def _compile(self, constraint: Constraint) -> Matcher:
        try:
            inner = LLMatcher(self._tokenizer, grammar(constraint), limits=_LIMITS, log_level=0)
        except BaseException as error:
            if not is_panic(error):
                raise
            raise UnsupportedConstraint("it is not understood", param="constraint") from None
        matcher = Matcher(inner, Lock(), self._ends, self._mask_bytes)
        _check(matcher)
        if not any(matcher.masks()[0]):
            _check(matcher)
            raise UnsupportedConstraint("no text can satisfy it", param="constraint")
        return matcher

    def _keep(self, constraint: Constraint, compiled: Matcher) -> None:
        self._compiled[constraint] = compiled
        self._compiled.move_to_end(constraint)
        if len(self._compiled) > self._kept:
            self._compiled.popitem(last=False)


def _check(matcher: Matcher) -> None:
    if matcher.failed:
        raise UnsupportedConstraint(_shortened(matcher.error), param="constraint")


def _shortened(message: str) -> str:
    """The library's words without what follows them: traces, and what it was given."""
    first = message.partition("\n")[0].strip()
    if first.startswith("NoExtension"):
        return "no text can satisfy it"
    if first.startswith("panic"):
        return "it is not understood"
    return first[:MAX_REASON] or "it is not understood"
