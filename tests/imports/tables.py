"""Small files in the layouts of others, and runs made of them."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from limen import registry
from limen.analysis import Analysis, analyse
from limen.store import Store
from limen.trial import Trial

COLUMNS = ("participant", "reference", "level", "answer")


def write(file: Path, rows: Iterable[Mapping[str, Any]], delimiter: str = ",", start: bytes = b"") -> Path:
    """Write a table with the columns of its rows, in the order in which they come first."""
    rows = list(rows)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, columns, delimiter=delimiter, restval="")
        table.writeheader()
        table.writerows(rows)
    file.write_bytes(start + file.read_bytes())
    return file


def answers(says: Mapping[tuple[str, str], Sequence[str]], **more: Any) -> list[dict[str, Any]]:
    """Return rows of trials: by participant and reference the answers at levels 1, 2, ..."""
    return [
        {"participant": who, "reference": reference, "level": level, "answer": answer, **more}
        for (who, reference), said in says.items()
        for level, answer in enumerate(said, start=1)
    ]


def bring(kind: str, place: Path, run: Path) -> list[str]:
    """Import a file, and return what is said about it."""
    lines: list[str] = registry.find("import", kind)(str(place), run)
    return lines


def send(kind: str, run: Path, folder: Path) -> list[Path]:
    """Export a run, and return its files."""
    files: list[Path] = registry.find("export", kind)(run, folder)
    return files


def read(run: Path) -> tuple[Analysis, list[Trial]]:
    """Return a run's analysis and its trials."""
    with Store.open(run) as store:
        store.check_rows()
        return analyse(store), list(store.trials())


def facts(run: Path, strengths: bool = True) -> list[tuple[Any, ...]]:
    """Return what a run says of each answer, whatever its keys are: equal for runs that hold the same trials."""
    with Store.open(run) as store:
        rows = {row.id: row for row in store.series()}
        shown = {one.key: one for one in store.presentations()}
        analysis = analyse(store)
        found = []
        for outcome in analysis.outcomes:
            for response in outcome.responses:
                (trial,) = response.trials
                row, how = rows[trial.series], shown.get(trial.key)
                strength = (
                    analysis.manifest.distortions[row.distortion].strengths[trial.level - 1] if trial.level else 0
                )
                assert not analysis.questions[trial.question].alone
                found.append(
                    (
                        trial.observer, trial.question, row.distortion, row.name, trial.reference, trial.level,
                        trial.draw, response.verdict.flag, strength if strengths else 0,
                        how and (how.session, how.reaction_time_ms),
                    )
                )  # fmt: skip
        return sorted(found, key=repr)
