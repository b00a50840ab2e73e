"""What clients saw, and whether it is what they were promised. Pure: events in, problems out.

Each accepted request has exactly one ending; its tokens are those of an undisturbed run, none
missing, none twice; and nothing comes after the ending (I02, I03, I12).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

COMPLETE = frozenset({"stop", "length"})


@dataclass(frozen=True)
class Accepted:
    request_id: str


@dataclass(frozen=True)
class Refused:
    request_id: str


@dataclass(frozen=True)
class Tokens:
    request_id: str
    tokens: Sequence[int | str]


@dataclass(frozen=True)
class Ending:
    request_id: str
    reason: str
    """A finish reason, or the code of an error."""


Event = Accepted | Refused | Tokens | Ending


@dataclass
class _Story:
    accepted: int = 0
    refused: int = 0
    tokens: list[int | str] = field(default_factory=list)
    endings: list[str] = field(default_factory=list)
    late: int = 0


def problems(
    events: Iterable[Event],
    undisturbed: Mapping[str, Sequence[int | str]],
    may_end: Callable[[str, str], bool] = lambda _request_id, reason: reason in COMPLETE,
) -> list[str]:
    """One line each; none for a history as it should be. `may_end` says which endings of a request
    are right; with one that is not complete, a beginning of its tokens is enough."""
    stories: dict[str, _Story] = {}
    for event in events:
        _tell(stories.setdefault(event.request_id, _Story()), event)
    found: list[str] = []
    for request_id, story in stories.items():
        wrong = [*_life(story), *_endings(story, request_id, may_end)]
        wrong += _text(story, undisturbed[request_id])
        found += [f"{request_id}: {one}" for one in wrong]
    return found


def _tell(story: _Story, event: Event) -> None:
    match event:
        case Accepted():
            story.accepted += 1
        case Refused():
            story.refused += 1
        case Tokens(_, tokens):
            story.late += bool(story.endings)
            story.tokens += tokens
        case Ending(_, reason):
            story.endings.append(reason)


def _life(story: _Story) -> Iterable[str]:
    if story.accepted + story.refused != 1:
        yield f"accepted {story.accepted} and refused {story.refused} times"
    if story.refused and (story.tokens or story.endings):
        yield "refused, and answered all the same"
    if story.late:
        yield f"{story.late} deltas after the ending"


def _endings(story: _Story, request_id: str, may_end: Callable[[str, str], bool]) -> Iterable[str]:
    if story.accepted and len(story.endings) != 1:
        yield f"{len(story.endings)} endings"
    for reason in story.endings:
        if not may_end(request_id, reason):
            yield f"ended with {reason}"


def _text(story: _Story, wanted: Sequence[int | str]) -> Iterable[str]:
    got = story.tokens
    if got != list(wanted[: len(got)]):
        at = next(i for i, one in enumerate(got) if i >= len(wanted) or one != wanted[i])
        yield f"wrong from token {at} of {len(wanted)}: {got[at : at + 3]}"
    elif len(got) < len(wanted) and story.endings and set(story.endings) <= COMPLETE:
        yield f"{len(wanted) - len(got)} tokens are missing at the end"
