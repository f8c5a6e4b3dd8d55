"""What an observer is: something that answers a query, or raises a typed error.

To add one, put a file into `observers/`:

    class Options(msgspec.Struct, forbid_unknown_fields=True):
        bias: float = 0.5

    @observer("coin", Options)
    class Coin:
        def __init__(self, model: str, options: Options) -> None: ...

An observer's failure is never a verdict: it raises `ObserverError`, the series stays open and resumes.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Annotated, Any, Protocol, Self, TypeVar, runtime_checkable

import msgspec

from limen import registry
from limen.errors import InputError
from limen.question import Query
from limen.trial import Answer, Attempt

__all__ = ["Answer", "Attempt", "Kind", "Observer", "Query", "Reply", "Telling", "apart", "make", "observer"]

MOST_AT_ONCE = 4096  # series advanced side by side
Concurrency = Annotated[int, msgspec.Meta(ge=1, le=MOST_AT_ONCE)]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with the attempts it took; `answer` is None where all of them failed."""

    answer: Answer | None
    attempts: tuple[Attempt, ...]


class Observer(Protocol):
    """Answers queries.

    Attributes:
        name: as tables show it ("openai:Qwen/Qwen2.5-VL-7B-Instruct").
        concurrency: how many series may be advanced side by side.

    An observer whose answers to one query differ from draw to draw says so with an attribute `sampled = True`;
    without it a second draw of a pair is asked in swapped order or other words.
    """

    name: str
    concurrency: int

    def fingerprint(self) -> Mapping[str, Any]:
        """Return what decides the answers: model, revision, decoding parameters, preprocessing. Part of every key."""
        ...

    async def answer(self, query: Query) -> Reply:
        """Answer one query. Raises `FatalObserverError` if no other query would be answered either."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class Telling(Protocol):
    """An observer that has something to say while it works: that its server is away, say.

    Attributes:
        tell: called with one line for a person; whoever runs the observer puts there what shows it.
    """

    tell: Callable[[str], None]


def apart(observers: Sequence[Observer]) -> None:
    """Add their labels to the names of observers that would be named alike: `openai:MODEL@label`.

    Raises:
        InputError: some are named alike all the same.
    """
    often = Counter(one.name for one in observers)
    for one in observers:
        if often[one.name] > 1 and (label := getattr(one, "label", "")):
            one.name = f"{one.name}@{label}"
    alike = [name for name, count in Counter(one.name for one in observers).items() if count > 1]
    if alike:
        raise InputError(
            f"Two observers of the study have one name, {alike[0]}. Name another model, or tell one model behind two "
            "hosts apart by a label: label = 'a' in the observer's table."
        )


Make = Callable[[str, Any], Observer]
T = TypeVar("T", bound=Make)


@dataclass(frozen=True, slots=True)
class Kind:
    """A registered kind of observer: how to make one, and the options it takes."""

    make: Make
    options: type[msgspec.Struct]
    summary: str


def observer(name: str, options: type[msgspec.Struct]) -> Callable[[T], T]:
    """Register a class or function `(model, options) -> Observer` as the kind `name`."""

    def keep(make: T) -> T:
        summary = (make.__doc__ or "").strip().split("\n")[0]
        registry.add("observer", name)(Kind(make, options, summary))
        return make

    return keep


def make(name: str, options: Mapping[str, Any]) -> Observer:
    """Make the observer that `KIND` or `KIND:MODEL` names.

    Raises:
        UnknownNameError: no such kind.
        InputError: an option that the kind does not take, with the nearest one it does.
    """
    kind_name, _, model = name.partition(":")
    kind = registry.find("observer", kind_name)
    assert isinstance(kind, Kind)
    return kind.make(model, registry.settings(f"Observer {kind_name!r}", options, kind.options))
