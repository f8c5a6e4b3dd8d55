"""From a store to tables: every answer read again, every procedure replayed. No model, no network, no images.

What a number means is an opinion and is made here. A threshold whose window the end of the ladder cut is kept as
the protocol's J and counts as censored in every statistic.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from limen import question
from limen.analysis.attention import PersonRow, persons
from limen.analysis.replay import Outcome, Response, SeriesStatus, outcomes
from limen.analysis.tables import (
    FEW,
    AnswerRow,
    CategoryRow,
    CurveRow,
    EstimateRow,
    JndRow,
    Quantile,
    answer_row,
    category_rows,
    curve_row,
    estimate_row,
    false_alarms,
    faulty,
    jnd_rows,
    sum_of,
)
from limen.question import Question
from limen.store import Origin, Store, entries, shards
from limen.store.entries import Manifest
from limen.store.shards import Missing
from limen.trial import Presentation

__all__ = [
    "FEW", "Analysis", "AnswerRow", "CurveRow", "EstimateRow", "JndRow", "Outcome", "Quantile", "Response",
    "SeriesStatus", "analyse", "false_alarms", "faulty", "sum_of",
]  # fmt: skip


FIXED = frozenset({"constant"})  # procedures that ask every series the same levels


@dataclass(frozen=True, repr=False)
class Analysis:
    """All tables of one run.

    Attributes:
        manifest: of the run.
        outcomes: one a series, observer and question.
        jnds: the n-th JND, order after order.
        answers: false alarms, faults, cost.
        curves: pooled responses.
        attempts: outcomes of attempts, by (observer, outcome), failures too.
        estimates: fitted thresholds, of a procedure that fits.
        categories: the 1st JND by category of items, where there are several.
        unneeded: answers that were asked ahead and never needed: they cost, and are in no other figure.
        origins: which models answered.
        mixed: series with answers of several models: (observer, distortion, name of the reference).
        missing: what it lacks of a study that was divided into shards.
        people: its participants, with whether they passed the attention rule.
        presentations: when and how questions were shown to them.
        chosen: observers whose levels were not fixed beforehand: their answers, or somebody else, chose them.

    Examples:
        >>> import limen
        >>> analysis = limen.measure("demo", "simulated", "blur", limit=2).analysis
        >>> analysis.jnds[0].n, analysis.answers[0].observer
        (2, 'simulated')
    """

    manifest: Manifest
    outcomes: tuple[Outcome, ...]
    jnds: tuple[JndRow, ...]
    answers: tuple[AnswerRow, ...]
    curves: tuple[CurveRow, ...]
    attempts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    estimates: tuple[EstimateRow, ...] = ()
    unneeded: int = 0
    origins: tuple[Origin, ...] = ()
    mixed: tuple[tuple[str, str, str], ...] = ()
    categories: tuple[CategoryRow, ...] = ()
    missing: tuple[Missing, ...] = ()
    people: tuple[PersonRow, ...] = ()
    presentations: tuple[Presentation, ...] = ()
    chosen: tuple[str, ...] = ()

    @cached_property
    def questions(self) -> Mapping[str, Question]:
        """The questions that were asked, by name, as the manifest describes them."""
        return _questions(self.manifest)

    def __repr__(self) -> str:
        rows = (f"{len(getattr(self, name))} {name}" for name in ("outcomes", "jnds", "answers", "curves", "estimates"))
        return f"<Analysis of {', '.join(self.manifest.observers)}: {', '.join(rows)}>"


def _questions(manifest: Manifest) -> dict[str, Question]:
    return {name: question.recorded(name, entry) for name, entry in manifest.questions.items()}


def analyse(store: Store, processes: int = 1) -> Analysis:
    """Read every answer of a run again and make its tables.

    Args:
        store: of the run.
        processes: that may read (`limen.analysis.replay.outcomes`).

    Raises:
        StoreError: the run was made with a question that this limen words differently.

    Examples:
        >>> import limen
        >>> run = limen.measure("demo", "simulated", "blur", limit=1)
        >>> with limen.Store.open(run.paths[0]) as store:
        ...     limen.analyse(store).jnds == run.jnds
        True
    """
    manifest = entries.check(store.path, store.manifest)
    found = tuple(outcomes(store, manifest, processes))
    groups: dict[tuple[str, str, str], list[Outcome]] = defaultdict(list)
    for outcome in found:
        groups[outcome.observer, outcome.question, outcome.series.distortion].append(outcome)
    keyed, origins = sorted(groups.items()), store.origins()
    asked = _questions(manifest)
    estimates = (estimate_row(key, group, manifest) for key, group in keyed)
    people, presentations = persons(store, manifest)
    persons_by_name = {one.observer for one in people}
    several = len({origin.said for origin in origins if origin.what == "model"}) > 1
    return Analysis(
        manifest,
        found,
        tuple(row for key, group in keyed for row in jnd_rows(key, group, manifest)),
        tuple(answer_row(key, group, asked[key[1]], key[0] in persons_by_name) for key, group in keyed),
        tuple(curve_row(key, group, asked[key[1]].midpoint) for key, group in keyed),
        store.attempts(),
        tuple(row for row in estimates if row is not None),
        store.unneeded(),
        origins,
        store.mixed() if several else (),
        tuple(row for key, group in keyed for row in category_rows(key, group, manifest)),
        shards.missing(store, manifest.shard),
        people,
        presentations,
        () if manifest.procedure["name"] in FIXED else tuple(manifest.observers),
    )
