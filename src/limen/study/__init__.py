"""What a study is: observers x questions x series under a procedure. The only room where all three meet.

Procedures decide, observers answer, the store records. Running a study again in the same directory resumes it:
what was answered is not asked again.
"""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from limen import codec, digest, participant, registry
from limen import distortion as distortions
from limen import observer as observers
from limen import source as sources
from limen.distortion import Distortion
from limen.errors import InputError, StoreError, UnknownNameError
from limen.image import SMALLEST
from limen.loop import finish
from limen.observer import Observer
from limen.parsing import forms
from limen.preflight import model_input
from limen.procedure import Method
from limen.question import Order, Question
from limen.source import Reference, ReferenceKind
from limen.spending import Spending
from limen.stimulus import Series, undergoes, wanted
from limen.store import SeriesRow, Store
from limen.store.entries import ITEMS, SIZES
from limen.study import asking, drawing, ladders, manifest
from limen.study.ladders import Given as Strengths
from limen.study.pixel_budget import PixelBudget, announcement
from limen.study.schedule import Assignment, Schedule
from limen.study.session import LIMIT, Progress, Session, UnansweredQuery, UnfinishedSeries, Watch
from limen.study.shard import Shard
from limen.trial import LASTING

__all__ = [
    "LIMIT", "USUAL", "Progress", "Spec", "Study", "UnfinishedSeries", "check", "item_rows", "load", "series_row",
    "size_rows",
]  # fmt: skip

FLOORS = 64  # series whose as-seen floor is written at a time
USUAL = (
    "blur", "brightness", "saturation", "contrast", "noise", "jpeg", "banding", "mask", "qr", "text", "angle",
    "distance", "spot", "band2k",
)  # fmt: skip

_Side = Annotated[int, msgspec.Meta(ge=0, le=2**16)]
Examine = Callable[[Observer, Store], Awaitable[str]]  # before an observer's first question; what to tell a person


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to measure, as a study file (TOML) says it.

    Attributes:
        images: files, folders, "demo" for the bundled photographs, "scene" for views of the 3D scenes, or
            "KIND=PATH" for a data set (`limen list sources`).
        distortions: by name; if none is given, all that `codecs` and `images` bring with them, else all of the paper's
            that these references can undergo.
        ladders: strengths of your own by distortion, in its unit, from the weakest to the strongest: a list of them, or
            a table with `strengths`, or with `from`, `to`, `levels` and `spacing` ("linear" or "geometric").
        codecs: command lines that code a picture, by the name of the distortion: tables of `encode`, `decode`,
            `strengths`, `unit`, `suffix`, `word`, `version` and `seconds` (`limen.codec`).
        plugins: Python files that register further distortions, observers and so on; run before anything is looked up.
        observers: a name ("openai:gpt-4o"), or a table with `name` and the settings of that kind.
        questions: a name (`limen list questions`), or a table with `name`, `text` and what else makes a question
            (`limen.question.QuestionOptions`).
        paraphrases: in so many other wordings each question is asked too, for the spread of its thresholds over them.
        order: of reference, stimulus and question.
        procedure: a table with `name` and its settings.
        limit: at most so many references of each kind, in the order of `images`; a larger one later appends.
        shard: "I/N": measure only the I-th of N shards of these references, for an array of jobs, each with a run
            directory of its own (`limen merge` makes one of them). Which references belong to a shard follows from
            their digests (`limen.study.shard`).
        seed: of the random draws of stimuli.
        identical_pairs: also show each reference with itself, for the false-alarm rate.
        look_ahead: how many steps to foresee and ask early, whatever the answers will be: the same thresholds sooner,
            for more questions. Where calls are paid, leave it at 0.
        max_side: photographs are scaled down to at most so many px on the longer side before anything is done to them;
            0 leaves them as they are. What is shown is another picture then, with digests and answers of its own. Of
            several, each photograph at each size is a reference of its own; one that is smaller is used once as it is.
        megapixels_in_flight: of all series under way together; the next one waits. Each takes up to 50 MB of memory. A
            photograph that is larger goes alone.
        keep_megabytes: budget for keeping references in the store, so that reports can show them; 0 keeps none.
        exam: whether the command line examines each observer before its first question (`limen exam`); from Python
            give `run` what examines (`examine=limen.preflight.exam.keep`).
        people: how `limen people` asks people (`limen.people.protocol.Protocol`); no model has a use for it.
        floor: whether to write down, for each series, from which level on the observer's input differs at all, where
            it can say what arrives (`local`, `demo`); costs a rendering of every level.

    Examples:
        >>> import limen
        >>> limen.Spec(images=("demo",), observers=("simulated",)).procedure
        {'name': 'skip'}
    """

    images: tuple[str, ...]
    observers: tuple[str | dict[str, Any], ...]
    distortions: tuple[str, ...] = ()
    ladders: dict[str, Strengths] = msgspec.field(default_factory=dict)
    codecs: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    plugins: tuple[str, ...] = ()
    questions: tuple[str | dict[str, Any], ...] = ("direct",)
    paraphrases: Annotated[int, msgspec.Meta(ge=0, le=20)] = 0
    order: Order = Order.REFERENCE_FIRST
    procedure: dict[str, Any] = msgspec.field(default_factory=lambda: {"name": "skip"})
    limit: Annotated[int, msgspec.Meta(ge=0, le=10**9)] = 0
    shard: str = ""
    seed: registry.Seed = 0
    identical_pairs: bool = True
    look_ahead: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
    max_side: _Side | tuple[_Side, ...] = 0
    megapixels_in_flight: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 48.0
    keep_megabytes: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 200.0
    people: dict[str, Any] = msgspec.field(default_factory=dict)
    exam: bool = True
    floor: bool = True

    @property
    def sides(self) -> tuple[int, ...]:
        """The sizes of `max_side`, each once, in ascending order; 0 (as they are) comes last."""
        given = (self.max_side,) if isinstance(self.max_side, int) else self.max_side or (0,)
        return tuple(sorted(set(given), key=lambda side: side or math.inf))


@dataclass(frozen=True)
class Study:
    """Observers x questions x series under a procedure, ready to run.

    Attributes:
        spec: what was asked for.
        observers: made, not yet entered.
        questions: all of them.
        series: to be measured; of a study that is divided those of this shard.
        method: the procedure with its settings.
        refused: one line for each file that could not be used.
        whole: of a study that is divided the series of all shards, in order; () elsewhere.

    Examples:
        >>> import limen
        >>> from pathlib import Path
        >>> spec = limen.Spec(images=("demo",), observers=("simulated",), distortions=("blur",), limit=2)
        >>> study = limen.Study.plan(spec)
        >>> progress = study.run(Path("run"))
        >>> progress.done, len(limen.open("run").jnds)
        (2, 1)
    """

    spec: Spec
    observers: tuple[Observer, ...]
    questions: tuple[Question, ...]
    series: tuple[Series, ...]
    method: Method
    refused: tuple[str, ...] = ()
    whole: tuple[Series, ...] = ()

    def __post_init__(self) -> None:
        for observer in self.observers:
            observers.completed(observer)

    @classmethod
    def plan(
        cls, spec: Spec, progress: Callable[[str], None] = lambda name: None, made: Sequence[Observer] = ()
    ) -> "Study":
        """Check every name and setting, find the references, and make the series.

        Args:
            spec: what is asked for.
            progress: called with the name of each reference that is read.
            made: observers that are there already, in place of the spec's.
        """
        return cls.of(spec, *_named(spec, made), progress)

    @classmethod
    def of(
        cls,
        spec: Spec,
        made: Sequence[Observer],
        kinds: Sequence[Distortion],
        progress: Callable[[str], None] = lambda name: None,
        references: Sequence[Reference] = (),
    ) -> "Study":
        """Plan a study of observers, distortions and references that are there already.

        Args:
            spec: what else is asked for; its observers and distortions are not looked at.
            made: the observers.
            kinds: the distortions; their ladders may be replaced by the spec's.
            progress: called with the name of each reference that is read from `spec.images`.
            references: further ones.

        Raises:
            InputError: something does not fit, named in one line.
        """
        kinds, asked, method = _checked(spec, made, kinds)
        found = sources.collect(spec.images, spec.limit, progress, wanted(kinds), spec.sides, references)
        series = tuple(
            Series(reference, kind, spec.seed)
            for reference in found.references
            for kind in kinds
            if undergoes(reference, kind)
        )
        for question in asked:
            asking.check_references(question, found.references, kinds)
        unused = {kind.name for kind in kinds} - {one.distortion.name for one in series}
        if spec.distortions and unused:
            needs = {kind.name: sources.NEEDED.get(kind.of, kind.of) for kind in kinds if kind.name in unused}
            told = "; ".join(f"{name} needs {what}" for name, what in sorted(needs.items()))
            raise InputError(f"Nothing in {', '.join(map(str, spec.images))} can undergo {', '.join(needs)}: {told}.")
        shard = Shard.parse(spec.shard)
        mine = shard.part(series)
        return cls(spec, tuple(made), asked, mine, method, found.refused, series if shard.of > 1 else ())

    def run(
        self, out: Path, watch: Watch = lambda progress: None, offline: bool = False, examine: Examine | None = None,
        spending: Spending | None = None,
    ) -> Progress:  # fmt: skip
        """Measure into the run directory `out`, resuming what is there.

        Args:
            out: the run directory.
            watch: called while it runs.
            offline: only replay; asks no observer.
            examine: called with each observer before its first question, unless offline (`limen.preflight.exam.keep`).
            spending: the limits of what may be asked and spent, with a count of it that may have begun elsewhere; where
                one is reached, series that lack answers stay open ("limit"), and the same call goes on. Without limits,
                if not given.

        Raises:
            StoreError: `out` cannot be written, or holds another study.
            FatalObserverError: an observer would answer no question; what was answered is kept.
        """
        total = len(self.series) * len(self.questions) * len(self.observers)
        progress = Progress(total, refused=self.refused, spending=spending or Spending())
        with self.opened(out, progress, watch, offline) as store:
            finish(self._run(store, progress, watch, None if offline else examine, offline))
        return progress

    @contextlib.contextmanager
    def opened(
        self, out: Path, progress: Progress, watch: Watch = lambda progress: None, offline: bool = False
    ) -> Iterator[Store]:
        """Open the run directory, made or gone on with, so that observers can be asked.

        Args:
            out: the run directory.
            progress: told what a person should know.
            watch: called while pictures are drawn.
            offline: only replay; asks no observer.

        Raises:
            StoreError: `out` cannot be written, or holds another study.
        """
        progress.notices += self._announced()
        mine = self.described()
        with Store.create(out, mine) as store:
            steered = store.manifest["reader"]
            changed = manifest.merged(out, store.manifest, mine)
            if offline:  # nothing is asked, so nothing is steered, and no shard comes
                changed = {name: entry for name, entry in changed.items() if name != "shard"} | {"reader": steered}
            store.amend(**changed)
            progress.notices += [store.notice] if store.notice else []
            if not offline:
                self._go_on(store, progress, watch)
                store.amend(aim=manifest.aim(self.observers, self.questions, self.series))
            store.add_series(series_row(series) for series in self.series)
            store.add_measurements(ITEMS, item_rows(self.series))
            store.add_measurements(SIZES, size_rows(self.series))
            yield store

    async def ask(self, store: Store, progress: Progress, watch: Watch = lambda progress: None) -> None:
        """Put the questions to the observers, one after the other, in a run that is open.

        Studies of the same series with other observers may do so side by side.

        Args:
            store: of `opened`.
            progress: counted up.
            watch: called while it runs.
        """
        await self._run(store, progress, watch, None, False)

    @property
    def every(self) -> tuple[Series, ...]:
        """All series, in all shards, in order: what describes the study, and what criteria are fixed from."""
        return self.whole or self.series

    def described(self) -> dict[str, Any]:
        """Return what the manifest of a run says of this study: the same in all its shards, but for which it is."""
        kinds = {series.distortion.name: series.distortion for series in self.every}.values()
        name = str(self.spec.procedure.get("name", "skip"))
        given = [sources.find(one) for one in dict.fromkeys(series.reference.source for series in self.every)]
        said = manifest.describe(name, self.method, self.spec.seed, kinds, self.questions, given)
        return said | _stated(self.spec.sides) | Shard.parse(self.spec.shard).stated(self.every)

    def _pixels(self) -> PixelBudget:
        return PixelBudget(max(1, round(self.spec.megapixels_in_flight * 1e6)))

    def _announced(self) -> list[str]:
        """Return what a person should know of the photographs' sizes."""
        sizes = {one.reference.digest: one.reference.size for one in self.series}.values()
        lines = (
            announcement(sizes, self.spec.megapixels_in_flight, self.spec.sides[-1]),
            _smaller(self.series, self.spec.sides),
        )
        return [line for line in lines if line]

    def _go_on(self, store: Store, progress: Progress, watch: Watch) -> None:
        """See to it that a run goes on with the pixels it was begun with."""

        def tell(name: str) -> None:
            progress.doing = f"drawing {name}"
            watch(progress)

        added, lines = drawing.went_on(store.path, store.manifest, self.series, tell)
        progress.doing = ""
        kept = ((row.source, row.name, row.picture) for row in store.series())
        line = drawing.same_references(store.path, kept, self.series, told="sessions" in added)
        progress.notices += [*lines, *([line] if line else [])]
        store.amend(**added)

    async def _run(
        self, store: Store, progress: Progress, watch: Watch, examine: Examine | None, offline: bool
    ) -> None:
        budget = self.spec.keep_megabytes * 1e6 - store.kept_bytes()

        def tell(line: str) -> None:
            progress.notices.append(line)
            watch(progress)

        for observer in self.observers if self.series else ():  # of an empty shard no model is loaded, or examined
            if isinstance(observer, observers.Notifier):
                observer.tell = tell
            async with contextlib.AsyncExitStack() as stack:
                begun = store.manifest["observers"].get(observer.name)
                places = _resumed(observer, store)
                limited = not offline and progress.spending.over
                if limited and begun is None:
                    self._leave(observer, progress)
                    continue
                replayed = offline or limited  # a model that will not be asked is not loaded
                if offline and begun is None:
                    raise StoreError(f"{store.path} holds no answer of {observer.name}. Run without --offline.")
                if not replayed:
                    await stack.enter_async_context(observer)
                    await asyncio.to_thread(model_input.calibrate, observer, self.every, store)
                fingerprint = dict(begun if replayed and begun is not None else observer.fingerprint())
                there = fingerprint if begun is None else begun
                manifest.same(store.path, f"observer {observer.name}", there, fingerprint)
                watch(progress)
                if examine is not None and not replayed:
                    told = await examine(observer, store)
                    progress.notices += [told] if told else []
                loaded = manifest.versions("torch", "transformers", "onnxruntime")
                if len(places) > 1 and not replayed:
                    store.amend(endpoints=store.manifest.get("endpoints", {}) | {observer.name: places})
                known = store.manifest["observers"] | {observer.name: there}  # as others have left it meanwhile
                store.amend(observers=known, versions=store.manifest["versions"] | loaded)
                if observer.notice and not replayed:
                    progress.notices.append(observer.notice)
                if self.spec.floor and not replayed and not progress.spending.over:
                    await self._look(observer, store, progress, watch)
                watch(progress)
                session = Session(
                    observer, digest.of(fingerprint), store, progress, watch, offline, budget,
                    self.spec.identical_pairs, self.spec.look_ahead, self._pixels(),
                )  # fmt: skip
                await self._observe(session)
                budget = session.budget
                self._note_planned(observer.name, store, progress)

    def _leave(self, observer: Observer, progress: Progress) -> None:
        """Leave all series of an observer open that a limit has kept from being begun with."""
        why = progress.spending.why
        for _ in self.questions:
            progress.unfinished += [
                UnfinishedSeries(observer.name, one.distortion.name, one.reference.name, LIMIT, why)
                for one in self.series
            ]
        progress.done += len(self.series) * len(self.questions)

    def _note_planned(self, observer: str, store: Store, progress: Progress) -> None:
        """Write down what an observer was to be asked, where a limit came first, so that tables know of it."""
        if progress.spending.refused:
            planned: dict[str, list[str]] = store.manifest.get("planned", {})
            names = {*planned.get(observer, ()), *(question.name for question in self.questions)}
            store.amend(planned=planned | {observer: sorted(names)})

    async def _look(self, observer: Observer, store: Store, progress: Progress, watch: Watch) -> None:
        """Write down the as-seen floor of every series, some at a time."""
        loop = asyncio.get_running_loop()

        def say(place: int, level: int) -> None:
            levels = len(self.series[place])
            progress.doing = f"as-seen floor {place + 1:,}/{len(self.series):,}, level {level}/{levels}"
            watch(progress)

        for start in range(0, len(self.series), FLOORS):
            some = self.series[start : start + FLOORS]

            def tell(place: int, level: int, start: int = start) -> None:  # in the thread that draws
                loop.call_soon_threadsafe(say, start + place, level)

            blind = await asyncio.to_thread(model_input.keep_floors, observer, some, store, tell)
            progress.notices += [blind] if blind and blind not in progress.notices else []
        progress.doing = ""

    async def _observe(self, session: Session) -> None:
        schedule = Schedule(session.store, session.observer.name, self.method, self.questions, self.series)
        workers = [asyncio.create_task(self._work(session, schedule)) for _ in range(session.observer.concurrency)]
        try:
            ended, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
            for worker in ended:
                worker.result()
        except asyncio.CancelledError:
            await session.land()
            raise
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        kind, why = "waiting", "its wave begins when the open series of earlier ones are finished"
        if session.progress.spending.refused:
            kind, why = LIMIT, session.progress.spending.why
        session.progress.unfinished += [_left(session, turn, kind, why) for turn in schedule.waiting()]

    async def _work(self, session: Session, schedule: Schedule) -> None:
        while not session.stopping and (turn := await schedule.take()) is not None:
            verdicts, lasting = None, False
            try:
                verdicts = await session.series(turn, self.method)
            except (UnansweredQuery, InputError) as error:
                kind = error.kind if isinstance(error, UnansweredQuery) else "input"
                detail = error.detail if isinstance(error, UnansweredQuery) else str(error)
                session.progress.unfinished.append(_left(session, turn, kind, detail))
                lasting = kind in LASTING
            session.progress.done += 1
            session.watch(session.progress)
            await schedule.done(turn, verdicts, lasting)


def _place_lists(entries: Any, folder: Path) -> None:
    """Let files of base URLs ("@FILE") in a study file's observers be relative to the study file."""
    for entry in entries if isinstance(entries, list) else ():
        urls = entry.get("base_url") if isinstance(entry, dict) else None
        if isinstance(urls, str):
            entry["base_url"] = _beside(urls, folder)
        elif isinstance(urls, list):
            entry["base_url"] = [_beside(url, folder) for url in urls]


def _beside(url: Any, folder: Path) -> Any:
    return f"@{folder / Path(url[1:]).expanduser()}" if isinstance(url, str) and url.startswith("@") else url


def _resumed(observer: Observer, store: Store) -> list[str]:
    """Let an observer go on at other places than the run was begun at; return all that the run knows then."""
    if not isinstance(observer, observers.Hosted):
        return []
    before: list[str] = store.manifest.get("endpoints", {}).get(observer.name, [])
    begun = store.manifest["observers"].get(observer.name)
    if begun is not None:
        observer.resume(begun, before)
    return list(dict.fromkeys((*before, *observer.places)))


def check(spec: Spec) -> None:
    """Check every name and setting of a study as `Study.plan` does, without a look at the references.

    Raises:
        InputError: something does not fit, named in one line.
    """
    _checked(spec, *_named(spec))


def _named(spec: Spec, made: Sequence[Observer] = ()) -> tuple[Sequence[Observer], list[Distortion]]:
    """Return the observers, made if they are not there, and the distortions that a study names."""
    for path in spec.plugins:
        registry.plugin(path)
    own = own_distortions(spec.codecs, spec.images)
    kinds = [own.get(name) or distortions.find(name) for name in dict.fromkeys(spec.distortions or own or USUAL)]
    return made or [observers.make(*named(entry)) for entry in spec.observers], kinds


def _checked(
    spec: Spec, made: Sequence[Observer], kinds: Sequence[Distortion]
) -> tuple[list[Distortion], tuple[Question, ...], Method]:
    """Return the distortions with the study's ladders, its questions and its procedure, where all of them fit."""
    if not made or not spec.questions:
        raise InputError("A study needs at least one observer and one question.")
    kinds = [ladders.replaced(kind, spec.ladders) for kind in kinds]
    if unknown := sorted(spec.ladders.keys() - {kind.name for kind in kinds}):
        raise UnknownNameError("distortion of this study (ladders)", unknown[0], (kind.name for kind in kinds))
    asked = asking.questions_of(spec.questions, spec.order, spec.paraphrases)
    method = asking.settled(spec.procedure, asked, _people(spec, made))
    asking.check_draws(method, made)
    Shard.parse(spec.shard).check(method, str(spec.procedure.get("name", "skip")))
    for kind in kinds:
        if len(kind.ladder) > 1 and (spec.distortions or kind.of == ReferenceKind.IMAGE):
            next(method.start(kind.ladder), None)  # a setting that does not fit the ladder is known at once
    for observer in made:
        if not 1 <= observer.concurrency <= observers.MOST_AT_ONCE:
            raise InputError(
                f"{observer.name}: concurrency is {observer.concurrency}. Give 1 to {observers.MOST_AT_ONCE}."
            )
    observers.apart(made)
    for side in spec.sides:
        if 0 < side < SMALLEST:
            raise InputError(f"max_side is {side} px. Give {SMALLEST} or more, or 0 to leave photographs as they are.")
    return kinds, asked, method


def _people(spec: Spec, made: Sequence[Observer]) -> bool:
    """Say whether it is people that a study asks; models may be asked beside them, by the same study file."""
    named_so = all(
        one.name.startswith(f"{participant.KIND}:") and participant.is_person(one.fingerprint()) for one in made
    )
    return named_so or (bool(spec.people) and all(getattr(one, "sampled", False) for one in made))


def own_distortions(codecs: Mapping[str, Mapping[str, Any]], places: Iterable[str]) -> dict[str, Distortion]:
    """Return the distortions that only one study has, by name: codecs by a command line, and what places bring.

    Args:
        codecs: settings by name (`limen.codec.Options`).
        places: files, folders, `KIND=PATH`.

    Raises:
        InputError: a codec cannot be used, or a name is taken.
    """
    found: dict[str, Distortion] = {}
    for name, given in codecs.items():
        if not isinstance(given, Mapping):
            raise InputError(f"codecs.{name} cannot be {given!r:.60}. Give a table with encode and strengths.")
        if "strengths" in given:
            given = dict(given) | {"strengths": ladders.strengths(f"codecs.{name}.strengths", given["strengths"])}
        found[name] = codec.of_table(name, given)
    for name, brought in sources.brought(places).items():
        if found.setdefault(name, brought) is not brought:
            raise InputError(f"Two distortions of the study are named {name!r}. Give one of them another name.")
    if taken := sorted(found.keys() & registry.every("distortion").keys()):
        raise InputError(f"Distortion {taken[0]!r} is limen's own name for another one. Give yours another name.")
    return found


def _left(session: Session, turn: Assignment, kind: str, detail: str) -> UnfinishedSeries:
    return UnfinishedSeries(
        session.observer.name, turn.series.distortion.name, turn.series.reference.name, kind, detail
    )


def named(entry: str | dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return an observer of a study as its name and its settings; raise `InputError` where it has no name."""
    if isinstance(entry, str):
        return entry, {}
    settings = dict(entry)
    name = settings.pop("name", None)
    if not isinstance(name, str):
        raise InputError("An observer needs a name: [[observers]] name = 'openai:gpt-4o'.")
    return name, settings


def _check_codecs(path: Path, entries: Any) -> None:
    """Raise `InputError`, with file and line, where a codec of a study file cannot be used."""
    for name, given in entries.items() if isinstance(entries, dict) else ():
        try:
            own_distortions({name: given}, ())
        except InputError as error:
            raise InputError(f"{path}{ladders.line_of(path, 'codecs', name)}: {error}") from None


def item_rows(series: Iterable[Series]) -> dict[str, dict[str, Any]]:
    """Return the items of references as rows, by the reference's digest."""
    references = {one.reference.digest: one.reference for one in series}
    return {
        key: {
            "question": item.question, "form": forms.describe(item.form),
            "truth": item.truth, "category": item.category, "picture": reference.picture,
        }
        for key, reference in references.items() if (item := reference.item) is not None
    }  # fmt: skip


def _stated(sides: tuple[int, ...]) -> dict[str, Any]:
    """Return the manifest's entry of the sizes of photographs; none where they are left as they are."""
    if len(sides) > 1:
        return {"max_side": list(sides)}
    return {"max_side": sides[0]} if sides[0] else {}


def size_rows(series: Iterable[Series]) -> dict[str, dict[str, Any]]:
    """Return of which photograph references are sizes, as rows, by the reference's digest."""
    references = {one.reference.digest: one.reference for one in series}
    return {key: {"of": one.of, "side": one.side} for key, one in references.items() if one.of}


def _smaller(series: Iterable[Series], sides: tuple[int, ...]) -> str:
    """Say how many photographs do not reach the largest of several sizes; "" for none."""
    shown: dict[str, set[int]] = {}
    for one in series:
        if one.reference.of:
            shown.setdefault(one.reference.of, set()).add(one.reference.side)
    largest = max(sides)
    smaller = sum(0 in own and largest not in own for own in shown.values())
    if not smaller:
        return ""
    return (
        f"{smaller:,} of {len(shown):,} photographs are smaller than {largest:,} px: for the sizes that they do not "
        "reach they are shown once, at their own, which the comparison of sizes leaves out."
    )


def series_row(series: Series) -> SeriesRow:
    """Return a series as the store keeps it."""
    kind, reference = series.distortion, series.reference
    row = (series.id, kind.name, kind.word, reference.name, reference.digest, series.key, len(series))
    return SeriesRow(*row, source=reference.source, strength=reference.strength)


def load(path: Path, changes: Mapping[str, Any] | None = None) -> Spec:
    """Read a study file (TOML); paths in it are relative to the file.

    Args:
        path: the file.
        changes: entries that replace the file's.

    Raises:
        InputError: it cannot be read, or has an unknown key (the nearest known one is named).
    """
    try:
        content = msgspec.toml.decode(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Check the path.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not TOML ({error}).") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: is not a table of settings.")
    places = content.get("images")
    if isinstance(places, list):
        content["images"] = [sources.beside(str(place), path.parent) for place in places]
    _place_lists(content.get("observers"), path.parent)
    files = content.get("plugins")
    if isinstance(files, list):
        content["plugins"] = [str(path.parent / str(file)) for file in files]
    asking.check_file(path, content.get("questions"))
    ladders.check_file(path, content.get("ladders"))
    _check_codecs(path, content.get("codecs"))
    changes = dict(changes or {})
    if isinstance(content.get("ladders"), dict) and "ladders" in changes:
        changes["ladders"] = content["ladders"] | changes["ladders"]
    mine, there = changes.get("procedure"), content.get("procedure")
    if isinstance(mine, dict) and isinstance(there, dict) and mine.get("name", there.get("name")) == there.get("name"):
        changes["procedure"] = there | mine  # --orders 2 changes the file's procedure, it does not replace it
    return registry.settings(str(path), content | changes, Spec)
