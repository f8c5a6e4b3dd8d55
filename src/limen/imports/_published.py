"""What importers of published thresholds share: the people as one observer, with where they come from.

Registers nothing.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limen.errors import InputError
from limen.source import Source, readable


@dataclass(frozen=True, slots=True)
class Work:
    """What was published.

    Attributes:
        name: of the data set.
        paper: authors, year, where, doi.
        where: address of its page.
        licence: of the data, as it is stated.
    """

    name: str
    paper: str
    where: str
    licence: str


@dataclass(frozen=True)
class People:
    """The people of a published data set, as the one observer whose thresholds are the medians over them.

    Attributes:
        work: what was published.
        kind: of the import.
        table: the file that was read, or the folder.
    """

    work: Work
    kind: str
    table: Path
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        files = sorted(self.table.glob("*.txt")) if self.table.is_dir() else [self.table]
        whole = hashlib.sha256()
        for file in files:
            whole.update(file.read_bytes())
        object.__setattr__(self, "digest", whole.hexdigest())

    @property
    def name(self) -> str:
        """What tables call them."""
        return f"published:{self.kind}"

    @property
    def file(self) -> str:
        """The name of what was read, never its path."""
        return readable(self.table.name)

    @property
    def outside(self) -> str:
        """Where the stimuli come from, in words."""
        return f"{self.work.name} ({self.work.paper})"

    @property
    def source(self) -> Source:
        """Where the references come from."""
        return Source(self.kind, lambda path: iter(()), self.work.licence, self.work.where, "", "", False)

    @property
    def observers(self) -> Mapping[str, Mapping[str, Any]]:
        """The observer, with the provenance that its run keeps."""
        about = {"data": self.work.name, "paper": self.work.paper, "published": self.work.where}
        of = {"kind": "published", "version": 1, "statistic": "median over people", "licence": self.work.licence}
        return {self.name: of | about | {"file": self.file, "sha256": self.digest}}

    def told(self, known: int, of: int) -> list[str]:
        """Return lines about provenance, and about pictures: how many of all series have their photograph there."""
        lines = [f"{self.work.name}: {self.work.paper}. Licence: {self.work.licence}."]
        if known < of:
            lines.append(
                f"{of - known:,} of {of:,} references are known by name only, not by their pixels: "
                "they stand in tables, and are not compared picture by picture with runs of models."
            )
        return lines


def found(place: str, table: str, pictures: str) -> tuple[Path, Path | None]:
    """Return the table of a release and the folder of its photographs, which is None where there is none.

    Args:
        place: the release's folder, or the table itself.
        table: its path within the release.
        pictures: of the photographs' folder within the release.

    Raises:
        InputError: there is no such place, or no such table in it.
    """
    given = Path(place)
    if not given.exists():
        raise InputError(f"{readable(place)}: no such file or folder. Give the release's folder, or its {table}.")
    inside = given / table
    if given.is_dir() and inside.exists():
        folder = given / pictures
        return inside, folder if folder.is_dir() else None
    if given.is_dir() and given.name != table:
        raise InputError(
            f"{readable(place)}: there is no {table} in it. Give the folder that holds it, or {table} itself."
        )
    return given, None
