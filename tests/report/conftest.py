"""What tests of reports share: figures that are drawn once."""

import functools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from limen.report import figures

DRAW = figures._drawn


@functools.cache
def _drawn(spec: str, palette: tuple[tuple[str, str], ...], on_paper: bool) -> str:
    return DRAW(json.loads(spec), figures._PRINT if on_paper else dict(palette))


def drawn(spec: figures.Spec, palette: Mapping[str, str]) -> str:
    return _drawn(json.dumps(spec), tuple(palette.items()), palette is figures._PRINT)


@pytest.fixture(scope="session", autouse=True)
def drawn_once() -> Iterator[None]:
    """Draw equal figures once for all tests: about a third of a report's time, and most are of the same few runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "_drawn", drawn)
        yield


@pytest.fixture
def drawn_anew(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Draw every figure, as users do: for tests that compare two drawings."""
    monkeypatch.setattr(figures, "_drawn", DRAW)
