"""What an observer is: something that answers a query, or raises a typed error.

To add one that is a function of two pictures, in a file of your own (`--plugin FILE`) or in `observers/`:

    @observer("rms")
    def rms(first, second):
        \"\"\"Notices a difference of 5 grey levels rms.\"\"\"
        return bool(np.sqrt(np.mean((first - second.astype(float)) ** 2)) > 5)

To add one with settings, or one that is asked in words:

    class Options(msgspec.Struct, forbid_unknown_fields=True):
        bias: float = 0.5

    @observer("coin", Options)
    class Coin(Observer):
        def __init__(self, model: str, options: Options) -> None: ...

An observer's failure is never a verdict: it raises `ObserverError`, the series stays open and resumes.
"""

import asyncio
import difflib
import inspect
import math
import numbers
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, Protocol, Self, TypeVar, overload, runtime_checkable

import msgspec
import numpy as np

from limen import function_digest, registry
from limen.errors import FatalObserverError, InputError
from limen.image import Picture
from limen.parsing.token_probability import offers_letters
from limen.question import DRAWS, Query
from limen.trial import Answer, Attempt, Trial

__all__ = [
    "Answer",
    "Attempt",
    "BatchObserver",
    "Deferrer",
    "Examine",
    "Follower",
    "FunctionObserver",
    "Hosted",
    "Notifier",
    "Observer",
    "ObserverKind",
    "Query",
    "Reply",
    "Stopper",
    "apart",
    "completed",
    "flags",
    "make",
    "numeric_answer",
    "observer",
    "of_yes",
    "two_pictures",
]  # fmt: skip

MOST_AT_ONCE = 4096  # series advanced side by side
Concurrency = Annotated[int, msgspec.Meta(ge=1, le=MOST_AT_ONCE)]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with the attempts it took; `answer` is None where all of them failed.

    Examples:
        >>> from limen import Answer, Attempt, Reply
        >>> Reply(Answer("<no> I see none."), (Attempt("timeout"), Attempt("ok"))).answer.text
        '<no> I see none.'
        >>> Reply(None, (Attempt("timeout"),)).answer is None  # a failure; never a no
        True
    """

    answer: Answer | None
    attempts: tuple[Attempt, ...]


@runtime_checkable
class Observer(Protocol):
    """Answers queries. Derive yours from this class: what it does not say has the values given here.

    Attributes:
        name: as tables show it ("openai:Qwen/Qwen2.5-VL-7B-Instruct").
        concurrency: how many series may be advanced side by side.
        sampled: whether its answers to one query differ from draw to draw; where they do not, a second draw of a pair
            is asked in swapped order or other words.
        numeric: whether it judges two pictures by a number: an exam of order, wording and tokens finds nothing in it.
        label: tells one model behind two hosts apart; "" where that is not needed.
        max_tokens: length of an answer at most; None where it is not known.
        batch: queries that one pass of a model answers together; above 1, a greedy answer may depend on the others.
        slow: whether an answer takes so long that a series lets go of its pixels meanwhile, and draws them again.
        looks: how often it is asked about a picture that is shown alone, where it samples and answers are compared; the
            majority counts.

    Examples:
        >>> import limen
        >>> class Never(limen.Observer):
        ...     name = "never"
        ...
        ...     def fingerprint(self):
        ...         return {"kind": "never"}
        ...
        ...     async def answer(self, query):
        ...         return limen.Reply(limen.Answer("<no> They look the same."), (limen.Attempt("ok"),))
        >>> limen.measure("demo", Never(), "blur", limit=2).jnds[0].censored.k
        2
    """

    name: str
    concurrency: int = 1
    sampled: bool = False
    numeric: bool = False
    label: str = ""
    max_tokens: int | None = None
    batch: int = 1
    slow: bool = False
    looks: int = DRAWS

    @property
    def notice(self) -> str:
        """What a person should know before the first question; "" for nothing."""
        return ""

    def fingerprint(self) -> Mapping[str, Any]:
        """Return what decides the answers: model, revision, decoding parameters, preprocessing. Part of every key."""
        ...

    async def answer(self, query: Query) -> Reply:
        """Answer one query. Raises `FatalObserverError` if no other query would be answered either."""
        ...

    def sent_bytes(self, picture: Picture) -> int:
        """Return how many bytes a picture takes as it is sent to a server; 0 where it is sent to none."""
        return 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


@runtime_checkable
class Notifier(Protocol):
    """An observer that has something to say while it works: that its server is away, say.

    Attributes:
        tell: called with one line for a person; whoever runs the observer puts there what shows it.
    """

    tell: Callable[[str], None]


@runtime_checkable
class Stopper(Protocol):
    """An observer whose questions may wait a long while before they are sent, for a limit of its server's, say."""

    def stop(self) -> int:
        """Send nothing more, end what waits with no answer, and return how many calls are under way."""
        ...


@runtime_checkable
class Follower(Protocol):
    """An observer that keeps a record of its own beside the run's, and so must know which trials its answers are of.

    What it is told decides no answer: a query shows all that may.
    """

    def follow(self, trial: Trial) -> None:
        """Hear of a trial: before its query is put (without an answer), or as it is recorded without being asked.

        Args:
            trial: with the answer that the store had; without one and with the key "" where there was nothing to ask.
        """
        ...


Examine = Callable[[Observer, str], Awaitable[str]]  # of one place; with what follows the observer's name in its exam's


@runtime_checkable
class Hosted(Protocol):
    """An observer that is asked at one or several places, and in another session of a run perhaps at others.

    Attributes:
        places: where it is asked, by name; a run keeps them.
        exam_tags: of each place what follows the observer's name under which a run keeps its exam; "" for one.
        unexamined: the places that `admit` had no exam held at, with why.
    """

    @property
    def places(self) -> tuple[str, ...]:
        """Where it is asked, by name."""
        ...

    @property
    def exam_tags(self) -> tuple[str, ...]:
        """Of each place, what follows the observer's name under which a run keeps its exam."""
        ...

    @property
    def unexamined(self) -> Mapping[str, str]:
        """The places that `admit` had no exam held at, with why."""
        ...

    def resume(self, fingerprint: Mapping[str, Any], places: Sequence[str]) -> None:
        """Take the fingerprint that a run was begun with, where one of its places is one of these.

        Args:
            fingerprint: of the observer in the run.
            places: where the run has asked it, if at several.
        """
        ...

    async def admit(self, examine: Examine) -> list[str]:
        """Have each place examined before it is asked; return what to tell a person.

        Args:
            examine: called with each place as an observer of its own.
        """
        ...


@runtime_checkable
class Deferrer(Protocol):
    """An observer whose answers come later: it takes questions down, and the series that need them stay open.

    Of a series whose next step needs several answers all are taken down, and so are those that it will need for
    certain, or may need (`look_ahead`). Each may be taken down several times.
    """

    async def defer(self, query: Query, trial: Trial, ahead: bool) -> None:
        """Take a question down.

        Args:
            query: what is shown and asked.
            trial: the record that its answer belongs to, with the key.
            ahead: whether no procedure needs it yet.
        """
        ...


@runtime_checkable
class BatchObserver(Protocol):
    """An observer whose questions can travel in files too, for a service that answers them hours later.

    Attributes:
        batch_format: how its service wants such a file (`limen.scale.batch.formats`).
        candidates: log probabilities asked for at each position, as far as the service gives them; 0 for none.
    """

    batch_format: str
    candidates: int

    async def request(self, query: Query) -> bytes:
        """Return the body of the request that asks a question, one JSON object without line breaks."""
        ...

    def reply(self, status: int, body: bytes, letters: bool, candidates: int) -> Reply:
        """Return what a response says, as if it had come at once; one that is no answer is an attempt that failed.

        What it says hangs on nothing that was read before: lines come back in any order.

        Args:
            status: of the response, as HTTP has it.
            body: of the response, JSON.
            letters: whether the question offered A for yes and B for no.
            candidates: log probabilities that the question asked for at each position.
        """
        ...


def apart(observers: Sequence[Observer]) -> None:
    """Add their labels to the names of observers that would be named alike: `openai:MODEL@label`.

    Raises:
        InputError: some are named alike all the same.
    """
    often = Counter(one.name for one in observers)
    for one in observers:
        if often[one.name] > 1 and one.label:
            one.name = f"{one.name}@{one.label}"
    alike = [name for name, count in Counter(one.name for one in observers).items() if count > 1]
    if alike:
        raise InputError(
            f"Two observers of the study have one name, {alike[0]}. Name another model, or tell one model behind two "
            "hosts apart by a label: label = 'a' in the observer's table."
        )


def completed(observer: Observer) -> Observer:
    """Give an observer that is not derived from `Observer` what it does not say: the protocol's own values."""
    own = {
        "sampled": Observer.sampled, "numeric": Observer.numeric, "label": Observer.label, "notice": "",
        "max_tokens": Observer.max_tokens, "batch": Observer.batch, "slow": Observer.slow,
        "looks": Observer.looks,
        "sent_bytes": lambda picture: 0,
    }  # fmt: skip
    for ability, value in own.items():
        if not hasattr(observer, ability):
            setattr(observer, ability, value)
    return observer


Make = Callable[[str, Any], Observer]
T = TypeVar("T", bound=Make)


@dataclass(frozen=True, slots=True)
class ObserverKind:
    """A registered kind of observer: how to make one, and the options it takes."""

    make: Make
    options: type[msgspec.Struct]
    summary: str


class _NoOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to set."""


Function = Callable[..., Any]
Returns = Literal["probability"]
F = TypeVar("F", bound=Function)


@overload
def observer(name: str, options: type[msgspec.Struct]) -> Callable[[T], T]: ...
@overload
def observer(
    name: str, options: None = None, *, version: str = "", returns: Returns | None = None,
    threshold: float | None = None, concurrency: int = 1,
) -> Callable[[F], F]: ...  # fmt: skip
def observer(name: str, options: type[msgspec.Struct] | None = None, **about: Any) -> Callable[[Any], Any]:
    """Register a kind of observer under a name.

    With `options`, what is decorated makes one: a class or function `(model, options) -> Observer`. Without, it is a
    function of two pictures that is the observer itself.

    Args:
        name: of the kind, as `--observer` takes it.
        options: the settings it takes, a msgspec struct.
        about: what a function's answers are: see `FunctionObserver`.
    """

    def keep(made: Any) -> Any:
        summary = (made.__doc__ or "").strip().split("\n")[0]
        if options is not None:
            registry.add("observer", name)(ObserverKind(made, options, summary))
            return made

        def make(model: str, options: msgspec.Struct) -> Observer:
            if model:
                raise InputError(f"Observer {name!r} is a function and takes no model: {name}, not {name}:{model}.")
            return FunctionObserver(made, name=name, **about)

        registry.add("observer", name)(ObserverKind(make, _NoOptions, summary))
        return made

    return keep


def make(name: str, options: Mapping[str, Any]) -> Observer:
    """Make the observer that `KIND` or `KIND:MODEL` names.

    Raises:
        UnknownNameError: no such kind.
        InputError: an option that the kind does not take, with the nearest one it does.
    """
    kind_name, _, model = name.partition(":")
    if kind_name not in (known := registry.every("observer")):
        raise registry.unknown("observer", name, _meant(name, known))
    kind = known[kind_name]
    assert isinstance(kind, ObserverKind)
    return completed(kind.make(model, registry.settings(f"Observer {kind_name!r}", options, kind.options, commas=True)))


def _meant(name: str, known: Iterable[str]) -> str:
    """Return what somebody meant who gave the name of a model alone; "" where a kind is misspelt."""
    if Path(name).expanduser().is_dir():
        return f"{name} is a folder: local:{name} if it holds a checkpoint."
    if "/" in name:
        return f"Did you mean openai:{name} (behind an endpoint, with --base-url) or local:{name} (from the hub)?"
    if ":" in name or difflib.get_close_matches(name, known, n=1, cutoff=0.5):
        return ""
    return f"Did you mean openai:{name}? An observer is KIND:MODEL."


# --- numbers and functions as answers ---


def two_pictures(query: Query) -> tuple[Picture, Picture]:
    """Return the two pictures of a question that has a yes and a no.

    Raises:
        FatalObserverError: it shows other than two, or asks for more than whether they differ.
    """
    if len(query.pictures) != 2:
        raise FatalObserverError("pictures", f"a distance is between two pictures, not {len(query.pictures)}")
    if not flags(query):
        raise FatalObserverError(
            "question",
            "a distance says whether two pictures differ. It cannot tell which of two pictures shows more, nor answer "
            "anything else: ask direct or choice, not a forced choice",
        )
    return query.pictures[0], query.pictures[1]


def _flagged(query: Query, yes: bool, analysis: str) -> str:
    """Return a yes or a no as the question wants it, a letter or a flag, with what it is based on."""
    return f"{flags(query)[bool(yes)]} {analysis}"  # a comparison of NumPy's numbers is no index


def flags(query: Query) -> tuple[str, ...]:
    """Return how the question wants to hear that nothing, and that something is noticed; () where it asks else."""
    if query.flags is not None:
        return query.flags
    return ("B.", "A.") if offers_letters(query.text) else ("<no>", "<yes>")


def of_yes(query: Query, noticing: float) -> float:
    """Return the probability of the word yes (or of A), where that of noticing is known: some questions want a no."""
    return 1 - noticing if flags(query)[1:] in (("<no>",), ("B.",)) else noticing


def numeric_answer(
    query: Query, number: float, criterion: float, unit: str, others: Mapping[str, float], model: str
) -> Answer:
    """Return yes where the number is above the criterion, as an answer that holds both.

    Args:
        query: what was asked; says whether the answer is a letter or a flag.
        number: what was measured, in `unit`.
        criterion: above which the answer is yes, in `unit`.
        unit: what the number is, in words ("JND").
        others: further numbers by name, in units of their own, written down and not judged.
        model: the observer's own name for what answered.
    """
    rest = "".join(f"; {name} {value:.6g}" for name, value in others.items())
    analysis = f"{unit} {number:.6g}, criterion {criterion:.6g}{rest}"
    return Answer(_flagged(query, number > criterion, analysis), finish="stop", model=model)


class FunctionObserver(Observer):
    """A function of two pictures (and, if it takes it, the question's text) as an observer.

    The pictures are uint8 RGB arrays (H, W, 3) in the order in which the question shows them; they are copies. What
    the function returns is an answer:

    - bool: whether it notices a difference;
    - str: an answer in words, read as a model's is;
    - float: with `returns="probability"`, of noticing; with `threshold`, a difference that is noticed above it.

    Anything else ends the run with a line that says what came. So does an exception of the function, which stays
    attached (`__cause__`).

    Args:
        function: called with two arrays, or with two arrays and a text. It may be a coroutine function.
        name: of the observer; the function's own if not given.
        version: of the function, part of the key of every answer. If not given, the digest of what it does stands for
            it (`limen.function_digest`).
        returns: what a float is, where it is a probability in 0..1.
        threshold: the criterion, in the unit of the floats it returns.
        concurrency: calls at a time, each in a thread of its own.

    Raises:
        InputError: it takes other than two or three arguments; or has no version, and what it does cannot be told.
    """

    numeric = True  # an exam in words would find nothing in a function

    def __init__(
        self, function: Function, *, name: str = "", version: str = "", returns: Returns | None = None,
        threshold: float | None = None, concurrency: int = 1,
    ) -> None:  # fmt: skip
        self.name = name or getattr(function, "__name__", type(function).__name__)
        if returns is not None and threshold is not None:
            raise InputError(f"{self.name}: give returns='probability' or threshold=, not both.")
        if returns not in (None, "probability"):
            raise InputError(f"{self.name}: returns is {returns!r}. Give 'probability', or leave it out.")
        if threshold is not None and not math.isfinite(threshold):
            raise InputError(f"{self.name}: threshold is {threshold}. Give a finite number.")
        self.concurrency = concurrency
        self._function, self._returns, self._threshold = function, returns, threshold
        self._takes_text = _takes_text(function, self.name)
        self._version = version or function_digest.of_function(function)
        self._threads: ThreadPoolExecutor | None = None

    def fingerprint(self) -> Mapping[str, Any]:
        """Return what decides the answers: the function's version, or the digest of what it does."""
        about = {"kind": "function", "name": self.name, "version": self._version}
        return about | {"returns": self._returns, "threshold": self._threshold}

    async def __aenter__(self) -> Self:
        self._threads = ThreadPoolExecutor(self.concurrency, thread_name_prefix="limen-observer")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def answer(self, query: Query) -> Reply:
        """Call the function with the pictures of a query."""
        if len(query.pictures) != 2:
            raise FatalObserverError("pictures", f"{self.name} takes two pictures, not {len(query.pictures)}")
        given: list[Any] = [picture.pixels.copy() for picture in query.pictures]
        given += [query.text] if self._takes_text else []
        began = time.perf_counter()
        try:
            if inspect.iscoroutinefunction(self._function):
                result = await self._function(*given)
            else:
                result = await asyncio.get_running_loop().run_in_executor(self._threads, self._function, *given)
        except Exception as error:
            raise FatalObserverError("raised", f"{self.name} raised {type(error).__name__}: {error}") from error
        seconds = time.perf_counter() - began
        return Reply(replace(self._answer(query, result), seconds=seconds), (Attempt("ok", "", seconds),))

    def _answer(self, query: Query, result: Any) -> Answer:
        if isinstance(result, str):
            return Answer(result, finish="stop")
        if not flags(query):
            raise FatalObserverError(
                "question", f"{self.name} must answer this question in words, as it asks for, not with {result!r}"
            )
        if isinstance(result, bool | np.bool_):
            does = "a" if result else "no"
            return Answer(_flagged(query, bool(result), f"It notices {does} difference."), finish="stop")
        number = _number(result)
        if number is not None and self._threshold is not None:
            return numeric_answer(query, number, self._threshold, "difference", {}, "")
        if number is not None and self._returns == "probability" and 0 <= number <= 1:
            flag = _flagged(query, number > 0.5, f"It notices a difference with probability {number:.6g}.")
            return Answer(flag, finish="stop", p_yes=of_yes(query, number), p_neither=0.0)
        raise FatalObserverError("returned", f"{self.name} returned {_shown(result)}. {self._wanted}")

    @property
    def _wanted(self) -> str:
        if self._threshold is not None:
            return "With threshold=, return a finite number, the difference of the two pictures."
        if self._returns == "probability":
            return "With returns='probability', return a number from 0 to 1."
        return (
            "Return True or False (it notices a difference), or an answer in words; for a number say what it is: "
            "returns='probability', or threshold= for a difference that is noticed above it."
        )


def _takes_text(function: Function, name: str) -> bool:
    """Say whether a function must be given a third argument."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # compiled, and says nothing of itself
        return False
    for count in (2, 3):
        try:
            signature.bind(*range(count))
        except TypeError:
            continue
        return count == 3
    raise InputError(f"{name}{signature} cannot be called with two pictures, or with two pictures and a text.")


def _number(result: Any) -> float | None:
    """Return a finite number as a float, an array of one element included; None for anything else."""
    if isinstance(result, np.ndarray | np.generic) and result.size == 1:
        result = result.item()
    if isinstance(result, bool) or not isinstance(result, numbers.Real):
        return None
    return float(result) if math.isfinite(result) else None


def _shown(result: Any) -> str:
    """Return what a function returned, in few words."""
    kind = type(result).__name__
    if isinstance(result, np.ndarray):
        return f"an array of {result.dtype} and shape {result.shape}"
    return "nothing (None)" if result is None else f"{result!r:.60} ({kind})"
