"""The front doors say what they hold: every name and public member has a docstring, and a place on the site's pages."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import limen

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
NAMES = [name for name in limen.__all__ if name != "__version__"]  # a text


def silent(thing: Any, name: str) -> Iterator[str]:
    """Yield what has no docstring of its own: a thing, and its public methods and properties."""
    if not inspect.getdoc(thing):
        yield name
    if inspect.isclass(thing):
        for of, member in vars(thing).items():
            described = isinstance(member, property | classmethod | staticmethod) or inspect.isfunction(member)
            if described and not of.startswith("_") and not inspect.getdoc(getattr(thing, of)):
                yield f"{name}.{of}"


def listed(page: str) -> list[str]:
    lines = (REFERENCE / page).read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("::: ") for line in lines if line.startswith("::: ")]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_the_front_door_is_described(name: str) -> None:
    assert not [*silent(getattr(limen, name), name)]


def test_the_page_of_the_front_door_has_every_name_once() -> None:
    assert sorted(listed("api.md")) == sorted(f"limen.{name}" for name in NAMES)


@pytest.mark.torch
@pytest.mark.slow
def test_the_front_door_of_deep_features_is_described_and_has_its_page() -> None:
    from limen import feature

    assert isinstance(feature, ModuleType)
    assert not [part for name in feature.__all__ for part in silent(getattr(feature, name), name)]
    assert sorted(listed("api-feature.md")) == sorted(f"limen.feature.{name}" for name in feature.__all__)


def test_what_plug_ins_import_is_there_and_described() -> None:
    import importlib

    for path in listed("api-plugins.md"):
        module, _, name = path.rpartition(".")
        assert not [*silent(getattr(importlib.import_module(module), name), path)]
