"""Several runs as one set of tables."""

import dataclasses
from collections import Counter
from collections.abc import Mapping

from limen.analysis import Analysis


def together(analyses: Mapping[str, Analysis]) -> Analysis:
    """Put several runs, by name, into one set of tables; an observer that is in more than one gets its run's name."""
    seen = Counter(observer for analysis in analyses.values() for observer in analysis.manifest["observers"])
    renamed = [_renamed(analysis, run, seen) for run, analysis in analyses.items()]
    shared = ("observers", "questions", "distortions")
    manifest = {key: {name: item for each in renamed for name, item in each.manifest[key].items()} for key in shared}
    procedures = [each.manifest["procedure"] for each in renamed]
    if all(procedure == procedures[0] for procedure in procedures):
        manifest["procedure"] = procedures[0]
    else:
        manifest["procedure"] = {"name": "several"}
    return Analysis(
        manifest,
        tuple(item for each in renamed for item in each.outcomes),
        tuple(item for each in renamed for item in each.jnds),
        tuple(item for each in renamed for item in each.answers),
        tuple(item for each in renamed for item in each.curves),
        {key: count for each in renamed for key, count in each.attempts.items()},
        tuple(item for each in renamed for item in each.estimates),
        sum(each.unneeded for each in renamed),
    )


def _renamed(analysis: Analysis, run: str, seen: Mapping[str, int]) -> Analysis:
    names = {name: f"{name} ({run})" if seen[name] > 1 else name for name in analysis.manifest["observers"]}
    observers = {names[name]: item for name, item in analysis.manifest["observers"].items()}
    return Analysis(
        {**analysis.manifest, "observers": observers},
        tuple(dataclasses.replace(row, observer=names[row.observer]) for row in analysis.outcomes),
        tuple(dataclasses.replace(row, observer=names[row.observer]) for row in analysis.jnds),
        tuple(dataclasses.replace(row, observer=names[row.observer]) for row in analysis.answers),
        tuple(dataclasses.replace(row, observer=names[row.observer]) for row in analysis.curves),
        {(names[observer], outcome): count for (observer, outcome), count in analysis.attempts.items()},
        tuple(dataclasses.replace(row, observer=names[row.observer]) for row in analysis.estimates),
        analysis.unneeded,
    )
