"""All that is worked out of a study with people in it, at once."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from limen import participant
from limen.analysis import Analysis
from limen.analysis.attention import PersonRow
from limen.analysis.likeness import ConsistencyRow, GroupRow, LikenessRow, error_consistency, likeness
from limen.analysis.people import PeopleRow, SpreadRow, SurRow, people_rows, spreads, sur
from limen.analysis.sittings import ConfidenceRow, CourseRow, TimeRow, confidences, courses, shown, times


@dataclass(frozen=True, slots=True)
class PeopleAnalysis:
    """What is worked out of people, and of people beside models; each field is a tuple of rows.

    Attributes:
        persons: each participant, and whether the attention rule was passed.
        thresholds: people's threshold over people and references.
        spreads: how far people differ, apart from references and the rest.
        sur: the satisfied user ratio, over references and of each.
        likeness: which model's thresholds go like people's over references.
        consistency: error consistency of any two observers, where levels were fixed beforehand.
        consistency_groups: its means over pairs of people, of people with models, and of models.
        courses: learning and fatigue.
        times: reaction times.
        confidences: confidence against being right.
        aliases: that stand in several runs: they count as different people, for an alias is local to a study.
    """

    persons: tuple[PersonRow, ...]
    thresholds: tuple[PeopleRow, ...]
    spreads: tuple[SpreadRow, ...]
    sur: tuple[SurRow, ...]
    likeness: tuple[LikenessRow, ...]
    consistency: tuple[ConsistencyRow, ...]
    consistency_groups: tuple[GroupRow, ...]
    courses: tuple[CourseRow, ...]
    times: tuple[TimeRow, ...]
    confidences: tuple[ConfidenceRow, ...]
    aliases: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"PeopleAnalysis({len(self.persons)} persons, {len(self.thresholds)} thresholds)"


def people(analysis: Analysis) -> PeopleAnalysis | None:
    """Work out all of it; None where nobody of the observers is a person.

    Args:
        analysis: of a run, or of several put together.
    """
    if not participant.people_of(analysis.manifest.observers):
        return None
    presented = shown(analysis)
    pairs, means = error_consistency(analysis)
    return PeopleAnalysis(
        analysis.people,
        people_rows(analysis),
        spreads(analysis),
        sur(analysis),
        likeness(analysis),
        pairs,
        means,
        courses(analysis, presented),
        times(analysis, presented),
        confidences(analysis, presented),
        tuple(sorted(alias for alias, n in Counter(_aliases(analysis)).items() if n > 1)),
    )


def _aliases(analysis: Analysis) -> Iterator[str]:
    observers = analysis.manifest.observers
    return (str(observers[name].get("alias", name)) for name in participant.people_of(observers))
