"""A run's answers as psignifit takes them: level, answers that notice, answers."""

import json
from collections.abc import Iterable
from pathlib import Path

from limen import registry
from limen.exports import _told
from limen.exports._told import Names, ToldTrial
from limen.question import Question
from limen.store import Store

INDEX = (
    "file",
    "x",
    "observer",
    "kind",
    "distortion",
    "question",
    "reference",
    "unit",
    "experiment",
    "answers",
    "lost",
    "attention",
)


@registry.add("export", "psignifit")
def to_psignifit(run: Path, folder: Path) -> list[Path]:
    """Arrays of n x 3 for psignifit: level or strength, yes (or correct), total; by observer, also by reference.

    For each observer, distortion and question one CSV over all references, and one for each, under levels/ and under
    strengths/; `numpy.loadtxt(FILE, delimiter=",", ndmin=2)` reads them. index.csv says what each holds, with
    psignifit's `experiment_type`. Only pairs with the undistorted reference are counted; identical pairs are left out;
    answers that cannot be read are counted in index.csv as lost, and it says who passed the rule about catch trials.

    Args:
        run: a run directory.
        folder: made if it is not there; files of the same names are replaced, each at once.

    Returns:
        The files, index.csv first.

    Raises:
        StoreError: the run cannot be read.
        InputError: nothing was answered, or the folder cannot be written.
    """
    with Store.open(run) as store:
        analysis, trials = _told.told(store)
    kinds, attention = analysis.manifest.distortions, _told.attention(analysis.people)
    groups: dict[tuple[str, str, str], list[ToldTrial]] = {}
    for one in trials:
        if one.response.probe.reference == 0 < one.response.probe.level:
            groups.setdefault((one.outcome.observer, one.outcome.series.distortion, one.outcome.question), []).append(
                one
            )
    names, rows, files = Names("-"), [], []
    for which, group in groups.items():
        _, distortion, asked = which
        kind, question = kinds[distortion], analysis.questions[asked]
        stem = names.of(f"{group[0].who} {distortion} {asked}", 100, which)
        inside, parts = Names("-"), {"": group}
        for one in group:
            parts.setdefault(one.outcome.series.id, []).append(one)
        for series, some in parts.items():
            reference = some[0].reference if series else ""
            name = f"{stem}/{inside.of(f'{reference} {series[:8]}', of=series)}.csv" if series else f"{stem}.csv"
            for x in ("levels", "strengths"):
                at = [float(level + 1) for level in range(len(kind.strengths))] if x == "levels" else kind.strengths
                files.append(_told.write(folder / x / name, _array(some, at)))
                total = sum(one.response.readable for one in some)
                about = (f"{x}/{name}", x, group[0].who, "person" if group[0].person else "model", distortion, asked)
                unit = "level" if x == "levels" else kind.unit
                rows.append(
                    (
                        *about,
                        reference,
                        unit,
                        _experiment(question),
                        total,
                        len(some) - total,
                        attention.get(some[0].outcome.observer),
                    )
                )
    return [_told.write_table(folder / "index.csv", INDEX, rows), *files]


def _array(trials: Iterable[ToldTrial], at: list[float]) -> str:
    counts: dict[int, list[int]] = {}
    for one in trials:
        if one.response.readable:
            count = counts.setdefault(one.response.probe.level, [0, 0])
            count[0] += one.response.verdict.yes
            count[1] += 1
    lines = [f"{json.dumps(at[level - 1])},{yes},{total}\n" for level, (yes, total) in sorted(counts.items())]
    return "".join(lines)


def _experiment(question: Question) -> str:
    return f"{question.pictures}AFC" if question.forced else "yes/no"
