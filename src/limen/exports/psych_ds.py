"""A run's answers as a Psych-DS data set (psych-ds.github.io): CSV files, each with what its columns mean."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from limen import registry
from limen.analysis import Analysis
from limen.analysis.attention import PersonRow
from limen.exports import _told
from limen.exports._told import Names, ToldTrial
from limen.people import wording
from limen.store import Store
from limen.store.entries import Manifest
from limen.store.publishing import Publisher

COLUMNS = {
    "participant": "Alias of the participant, or name of the model.",
    "kind": "person or model.",
    "session": "Number of the participant's sitting; 1 for a model.",
    "at": "Seconds since the sitting's first question was shown, where times are known; day and hour are not given.",
    "reference": "Name of the undistorted picture.",
    "picture": "Digest of its pixels (limen.image.digest), or of its name where the pixels were not at hand.",
    "distortion": "What was done to the picture.",
    "strength": "Of the level, in unit.",
    "unit": "Of the strength.",
    "level": "Of the picture that was shown beside the reference; 0 is the undistorted picture.",
    "against": "Level of the reference.",
    "question": "Name of the question in limen.",
    "draw": "Number of the answer, where one pair was shown several times.",
    "answer": "What was answered, in one spelling; empty where it could not be read.",
    "noticed": "yes where the answer says that there is a difference, or is right; no where it does not.",
    "ms_shown": "How long the pictures were visible, in milliseconds.",
    "reaction_time_ms": "From the pictures' appearance to the answer, in milliseconds.",
    "confidence": "Of the answer, 0 to 1.",
}
PEOPLE = {
    "participant": COLUMNS["participant"],
    "answers": "How many rows the participant's own table has.",
    "sessions": "Number of sittings.",
    "catch_trials": "Questions shown between the others whose answer everybody can give who looks; their answers are "
    "no rows of any table.",
    "catch_trials_right": "How many of them were answered right.",
    "attention_rule": "Name of the rule that was declared beforehand; empty where none was.",
    "attention": "passed; failed: limen's figures over people leave the participant out; undecided: too few catch "
    "trials to judge, counted; empty without a rule.",
}
LEVELS = {
    "distortion": COLUMNS["distortion"],
    "level": "Each level of the ladder, whether or not anybody was asked about it.",
    "strength": COLUMNS["strength"],
    "unit": COLUMNS["unit"],
}
UNITS = {"at": "s", "ms_shown": "ms", "reaction_time_ms": "ms"}


@registry.add("export", "psych-ds")
def to_psych_ds(run: Path, folder: Path) -> list[Path]:
    """A Psych-DS data set: dataset_description.json, and for each observer a CSV of trials with its JSON beside it.

    Columns are those of `limen import trials=FOLDER`, which reads the files back. Beside them stand a table of the
    strengths of all levels, which that import reads too, and, where people took part, one of participants with their
    catch trials and whether they passed the attention rule. Name, description and columns are written, which Psych-DS
    requires; author, licence and funder are yours to add.

    Args:
        run: a run directory.
        folder: made if it is not there; files of the same names are replaced, each at once.

    Returns:
        The files, dataset_description.json first.

    Raises:
        StoreError: the run cannot be read.
        InputError: nothing was answered, or the folder cannot be written.
    """
    with Store.open(run) as store:
        analysis, trials = _told.told(store)
        name = Publisher(store).name(run.name)
    manifest, names = analysis.manifest, Names()
    study, tables, files = Names().of(name, 40), list(_told.by_observer(trials)), []
    for observer, group in tables:
        who = group[0].who if group[0].person else f"model {group[0].who}"
        stem = f"study-{study}_subject-{names.of(who, 40, observer)}_data"
        rows = [_row(manifest, one) for one in group]
        files.append(_told.write_table(folder / "data" / f"{stem}.csv", tuple(COLUMNS), rows))
        about = {"name": f"Answers of {group[0].who}", "description": _who(observer, group)}
        files.append(_write(folder / "data" / f"{stem}.json", about | {"variableMeasured": _variables(COLUMNS)}))
    beside = folder / "data" / f"study-{study}_description-"
    levels = [
        (name, level, strength, kind.unit)
        for name, kind in manifest.distortions.items()
        for level, strength in enumerate(kind.strengths, start=1)
    ]
    files += _beside(f"{beside}levels_data", LEVELS, levels, "Strengths of levels", "Every level of each distortion.")
    took_part = [one for one in analysis.people if one.observer in dict(tables)]
    if took_part:
        about_them, judged = f"Who took part, by alias. {_rule(took_part)}".rstrip(), _judged(took_part, dict(tables))
        files += _beside(f"{beside}participants_data", PEOPLE, judged, "Participants", about_them)
    people = sum(group[0].person for _, group in tables)
    whole: dict[str, Any] = {
        "@context": "http://schema.org/", "@type": "Dataset", "name": name,
        "description": " ".join(
            filter(None, (_description(analysis, people, len(tables) - people, len(trials)), _rule(took_part)))
        ),
        "keywords": ["just noticeable difference", "psychophysics", "limen"],
        "variableMeasured": _variables({**LEVELS, **(PEOPLE if took_part else {}), **COLUMNS}),
    }  # fmt: skip
    readme = _told.write(folder / "README.md", f"# {_told.cell(name)}\n\n{whole['description']}\n\n{_KEY}\n")
    return [_write(folder / "dataset_description.json", whole), readme, *files]


_KEY = (
    "One row is one answer. Rows differ by participant, question, distortion, reference, against, level and draw. "
    "Tables whose names end in levels_data.csv and participants_data.csv say how strong every level is, and who passed "
    "the rule about catch trials. `limen import trials=FOLDER`, with this folder, reads all of it into a run."
)


def _beside(
    stem: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]], name: str, description: str
) -> list[Path]:
    """Write a table that holds no trials, with its JSON."""
    about = {"name": name, "description": description, "variableMeasured": _variables(columns)}
    return [_told.write_table(Path(f"{stem}.csv"), tuple(columns), rows), _write(Path(f"{stem}.json"), about)]


def _judged(people: Sequence[PersonRow], tables: Mapping[str, Sequence[ToldTrial]]) -> list[tuple[Any, ...]]:
    """Return a row for each participant."""
    attention = _told.attention(people)
    return [
        (
            tables[one.observer][0].who, len(tables[one.observer]),
            len({trial.sitting for trial in tables[one.observer]}), one.catches.n, one.catches.k, one.rule or None,
            attention.get(one.observer),
        )
        for one in people
    ]  # fmt: skip


def _rule(people: Sequence[PersonRow]) -> str:
    """Return the attention rule in words, with how many failed it; "" where none was declared."""
    one = next((one for one in people if one.rule), None)
    if one is None:
        return ""
    failed = sum(not each.counted for each in people)
    return (
        f"Attention rule {one.rule!r}: {100 * one.share:g} % or more of catch trials right, judged from {one.fewest} "
        f"on. {failed:,} of {len(people):,} people failed it; their answers are here, and "
        "data/*participants_data.csv says whose."
    )


def _row(manifest: Manifest, one: ToldTrial) -> tuple[Any, ...]:
    series, probe = one.outcome.series, one.response.probe
    kind = manifest.distortions[series.distortion]
    strength = kind.strengths[probe.level - 1] if probe.level else None
    noticed = ("yes" if one.response.verdict.yes else "no") if one.response.readable else None
    shown = one.shown
    return (
        one.who, "person" if one.person else "model", one.sitting, one.seconds, one.reference, series.picture,
        series.distortion, strength, kind.unit, probe.level, probe.reference, one.outcome.question, probe.draw,
        one.value or None, noticed,
        *((shown.ms_shown, shown.reaction_time_ms, shown.confidence) if shown else (None,) * 3),
    )  # fmt: skip


def _variables(columns: Mapping[str, str]) -> list[dict[str, str]]:
    return [
        {"@type": "PropertyValue", "name": name, "description": text}
        | ({"unitText": UNITS[name]} if name in UNITS else {})
        for name, text in columns.items()
    ]


def _who(observer: str, group: list[ToldTrial]) -> str:
    kind = "a participant, by alias" if group[0].person else "a model"
    return f"Answers of {kind}: {len(group):,}, in sessions: {len({one.sitting for one in group})}."


def _description(analysis: Analysis, people: int, models: int, trials: int) -> str:
    manifest = analysis.manifest
    asked = "; ".join(
        f"{name}: {one.text if models or one.form is None else wording.plain(one, one.text)}"
        for name, one in analysis.questions.items()
    )
    kinds = ", ".join(manifest.distortions)
    return (
        f"{trials:,} answers of {people:,} people and {models:,} models about just noticeable differences of pictures "
        f"({kinds}). Procedure: {manifest.procedure['name']}. Questions: {' '.join(asked.split())} Exported by limen "
        f"from a run of limen {manifest.limen}."
    )


def _write(file: Path, content: dict[str, Any]) -> Path:
    return _told.write(file, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
