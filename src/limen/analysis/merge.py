"""Several runs as one set of tables."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from limen.analysis import Analysis

_ROWS = ("outcomes", "jnds", "answers", "curves", "estimates")


def renamed(analyses: Mapping[str, Analysis]) -> list[Analysis]:
    """Return the analyses of runs, by name, in which an observer that is in more than one of them gets its run's name.

    No two observers of all of them have one name.
    """
    seen = Counter(observer for analysis in analyses.values() for observer in analysis.manifest.observers)
    taken, found = set(seen), []
    for run, analysis in analyses.items():
        names = {}
        for name in analysis.manifest.observers:
            names[name] = name
            if seen[name] > 1:
                names[name], number = f"{name} ({run})", 2
                while names[name] in taken:
                    names[name], number = f"{name} ({run} #{number})", number + 1
                taken.add(names[name])
        found.append(_renamed(analysis, names))
    return found


def together(analyses: Mapping[str, Analysis]) -> Analysis:
    """Put several runs, by name, into one set of tables."""
    return joined(renamed(analyses))


def joined(renamed: Sequence[Analysis]) -> Analysis:
    """Put analyses into one set of tables whose observers have names like no other.

    What a manifest says of one run alone (version, seed, when) is that of the first.
    """
    manifests = [each.manifest for each in renamed]
    procedure = manifests[0].procedure
    manifest = msgspec.structs.replace(
        manifests[0],
        observers={name: item for each in manifests for name, item in each.observers.items()},
        questions={name: item for each in manifests for name, item in each.questions.items()},
        distortions={name: item for each in manifests for name, item in each.distortions.items()},
        procedure=procedure if all(each.procedure == procedure for each in manifests) else {"name": "several"},
    )

    def every(name: str) -> tuple[Any, ...]:
        return tuple(item for each in renamed for item in getattr(each, name))

    return Analysis(
        manifest,
        **{name: every(name) for name in (*_ROWS, "origins", "mixed", "categories")},
        attempts={key: count for each in renamed for key, count in each.attempts.items()},
        unneeded=sum(each.unneeded for each in renamed),
    )


def _renamed(analysis: Analysis, names: Mapping[str, str]) -> Analysis:
    observers = {names[name]: item for name, item in analysis.manifest.observers.items()}
    rows: dict[str, Any] = {
        table: tuple(dataclasses.replace(row, observer=names[row.observer]) for row in getattr(analysis, table))
        for table in _ROWS
    }
    return dataclasses.replace(
        analysis,
        manifest=msgspec.structs.replace(analysis.manifest, observers=observers),
        attempts={(names[observer], outcome): count for (observer, outcome), count in analysis.attempts.items()},
        origins=tuple(
            dataclasses.replace(row, observer=names.get(row.observer, row.observer)) for row in analysis.origins
        ),
        categories=tuple(
            dataclasses.replace(one, row=dataclasses.replace(one.row, observer=names[one.row.observer]))
            for one in analysis.categories
        ),
        mixed=tuple((names.get(observer, observer), kind, name) for observer, kind, name in analysis.mixed),
        **rows,
    )
