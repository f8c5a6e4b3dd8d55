"""Stimuli of a run drawn again from its photographs: is what was asked still what its keys stand for?

The key of an answer is a digest of all that was shown (the pixels of every picture, and the words) and of who was
asked. So each question that a run put is put together again, and its key compared.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limen import source as sources
from limen.analysis.replay import questions_of
from limen.errors import InputError, LimenError
from limen.image import Picture, png
from limen.procedure import Probe
from limen.question import Query, Question
from limen.report import images
from limen.report.differing import Difference, Namer
from limen.source import Reference
from limen.stimulus import Series
from limen.store import SeriesRow, Store, entries
from limen.store.bundle import Note, add_pictures
from limen.store.publishing import FINGERPRINTS
from limen.study import asking, drawing
from limen.trial import OTHER_SIDE, Trial


@dataclass(frozen=True, slots=True)
class Redrawn:
    """What came of drawing stimuli again.

    Attributes:
        stimuli: how many questions were put together again.
        differences: those that are not what was asked.
        unchecked: a sentence for each thing that was not looked at.
        notes: what may explain differences.
        whole: whether the rebuilt runs have all pictures now that the runs had kept.
    """

    stimuli: int = 0
    differences: tuple[Difference, ...] = ()
    unchecked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    whole: bool = False


def check(stores: Sequence[Store], kept: Sequence[set[str]], places: Sequence[str | Path], note: Note) -> Redrawn:
    """Draw the stimuli of rebuilt runs again, and give these the pictures that the runs had kept.

    Args:
        stores: of the rebuilt runs.
        kept: digests of the pictures that each run had kept.
        places: of the photographs, as `limen measure --images` takes them; none leaves all that out.
        note: told what is being done.

    Raises:
        InputError: a place does not exist, has no photograph, or none that a run was measured with.
    """
    if not places:
        said = "stimuli: need the photographs (--images FOLDER) to be drawn again."
        return Redrawn(unchecked=(said,), whole=not any(kept))
    every = [_Check(store, wanted, places, note) for store, wanted in zip(stores, kept, strict=True)]
    if (references := sum(one.references for one in every)) and not any(one.found for one in every):
        given = ", ".join(str(place) for place in places)
        raise InputError(
            f"None of the {references:,} references is among the photographs of {given}. Give --images what the run "
            "was measured with, or leave it out: all but the stimuli is verified."
        )
    return Redrawn(
        sum(one.stimuli for one in every),
        tuple(difference for one in every for difference in one.differences),
        tuple(dict.fromkeys(line for one in every for line in one.unchecked)),
        tuple(dict.fromkeys(line for one in every for line in one.notes)),
        all(one.whole for one in every),
    )


class _Check:
    """One run, drawn again."""

    def __init__(self, store: Store, kept: set[str], places: Sequence[str | Path], note: Note) -> None:
        self.stimuli, self.whole, self.references, self.found = 0, True, 0, 0
        self.differences, self.unchecked, self.notes = list[Difference](), list[str](), list[str]()
        self._store = store
        if "wing" in store.manifest:
            self.unchecked.append("stimuli of runs of deep features: they have none that are drawn again.")
            return
        manifest = entries.check(store.path, store.manifest)
        self._questions, self._namer = questions_of(store.path, manifest), Namer(store)
        sides = [manifest.max_side] if isinstance(manifest.max_side, int) else sorted(manifest.max_side, key=_last)
        note("reading photographs")
        read = sources.collect(places, max_side=sides, progress=lambda name: note(f"reading {name}"))
        references = {one.digest: one for one in read.references}
        rows, pictures = store.series(), dict[str, bytes]()
        shown = {row.picture for row in rows}
        self.references, self.found = len(shown), len(shown & references.keys())
        for at, row in enumerate(rows, start=1):
            note(f"drawing series {at:,} of {len(rows):,}")
            reference = references.get(row.picture)
            if reference is not None:
                pictures |= self._series(row, reference, manifest.seed, row.picture in kept - pictures.keys())
        add_pictures(store.path, pictures)
        self.whole = kept <= pictures.keys()
        self._tell_missing({row.picture: row.name for row in rows if row.picture not in references})

    def _tell_missing(self, missing: Mapping[str, str]) -> None:
        if missing:
            some = ", ".join(list(missing.values())[:3]) + (", ..." if len(missing) > 3 else "")
            self.unchecked.append(
                f"stimuli of {len(missing):,} reference{'s' * (len(missing) != 1)} not among the photographs ({some})."
            )

    def _series(self, row: SeriesRow, reference: Reference, seed: int, wanted: bool) -> dict[str, bytes]:
        """Check a series; return the picture of its reference by its digest, if that is wanted."""
        try:
            kind = images.with_ladder(self._store, row.distortion)
            series = Series(reference, dataclasses.replace(kind, word=row.word), seed)
            draw = series.open()
            for observer, name in sorted(self._store.lanes()):
                if name in self._questions:
                    self._lane(observer, self._questions[name], series, draw)
            whole = asking.kept(series, draw(0), draw) if wanted else None
        except LimenError as error:
            self.unchecked.append(f"stimuli of {row.distortion}: {error}")
            return {}
        self._tell_versions(row.distortion)
        return {row.picture: png(whole.pixels)} if whole is not None else {}

    def _tell_versions(self, name: str) -> None:
        """Tell, once, where the libraries installed here draw a distortion otherwise than the run's did."""
        try:
            images.as_measured(self._store, name)
        except InputError as error:
            now = drawing.libraries([images.with_ladder(self._store, name)])
            then = self._store.manifest.get("versions", {})
            other = ", ".join(f"{one} {then[one]} then, {v} now" for one, v in now.items() if then.get(one, v) != v)
            line = f"{str(error).rstrip('.')} ({other or 'their versions are the same'})."
            if line not in self.notes:
                self.notes.append(line)

    def _lane(self, observer: str, question: Question, series: Series, draw: Callable[[int], Picture]) -> None:
        """Put together again what one observer was asked about a series, and compare the keys."""
        groups: dict[tuple[Probe, bool], list[Trial]] = defaultdict(list)
        for trial in self._store.trials(observer, question.name, series.id):
            groups[Probe(trial.reference, trial.level, trial.draw), trial.again].append(trial)
        fingerprint, items = self._store.manifest[FINGERPRINTS].get(observer, ""), series.items()
        for (probe, again), trials in groups.items():
            pictures = asking.shown(question, series, probe, draw)
            same = asking.equal(question, items, probe, *pictures)
            asked = [trial for trial in trials if trial.key]
            self.stimuli += len(trials)
            if same != (not asked):
                where = self._namer.asked(observer, question.name, series.id, probe.reference, probe.level, probe.draw)
                told = ("the reference's own pixels", "other pixels than the reference's")
                self.differences.append(Difference("stimulus", where, *(told if not asked else told[::-1])))
                continue
            queries = (asking.queries(question, series, items, probe, again, pictures, by) for by in (False, True))
            ways = [_keys(fingerprint, question, one) for one in queries] if asked else []
            for trial in asked:
                if not any(keys.get(trial.part) == trial.key for keys in ways):
                    found = next((keys[trial.part] for keys in ways if trial.part in keys), "no such question")
                    self.differences.append(
                        Difference("stimulus", f"of answer {self._namer.answer(trial.key)}", trial.key, found)
                    )


def _keys(fingerprint: str, question: Question, asked: Sequence[Query]) -> dict[int, str]:
    """Return the keys of the queries of one ask by the numbers of their parts."""
    half = len(asked) // 2
    parts = [at if at < half else OTHER_SIDE + at - half for at in range(len(asked))] if question.alone else [0]
    return {part: query.key(fingerprint) for part, query in zip(parts, asked, strict=True)}


def _last(side: int) -> float:
    """Order sizes as a study does: 0, a picture's own size, comes last."""
    return side or float("inf")
