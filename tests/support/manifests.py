"""A manifest that says only what a test is about."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from limen.store.entries import DistortionEntry, Manifest, QuestionEntry

STRENGTHS = tuple(float(level) for level in range(1, 51))


def manifest(
    observers: Iterable[str] = ("o",),
    questions: Iterable[str] = ("direct",),
    distortions: Mapping[str, DistortionEntry] | None = None,
    procedure: Mapping[str, Any] | None = None,
) -> Manifest:
    """Return the manifest of a run of these observers; with the procedure skip if none is given."""
    return Manifest(
        schema=3, limen="0", git=None, created="2026-01-01T00:00:00+00:00", versions={}, reader=2,
        procedure=dict(procedure or {"name": "skip"}), seed=0, distortions=dict(distortions or {}),
        questions={name: QuestionEntry("", "reference-first", "") for name in questions}, sources={},
        observers={name: {} for name in observers},
    )  # fmt: skip


def entry(strengths: Sequence[float] = STRENGTHS, unit: str = "px", word: str = "blur") -> DistortionEntry:
    """Return a distortion of these strengths."""
    return DistortionEntry(1, word, unit, "", list(strengths))
