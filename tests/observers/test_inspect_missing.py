"""Without Inspect, what needs it says so in one line."""

import sys
from pathlib import Path

import pytest

from limen import observer, registry
from limen.errors import MissingExtraError
from tests.support.command import limen


@pytest.fixture(autouse=True)
def _without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai", None)


def test_observer() -> None:
    with pytest.raises(MissingExtraError, match=r"pip install -e '\.\[inspect\]'"):
        observer.make("inspect:openai/gpt-4o", {})


def test_import_and_export(tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match="The export of Inspect's logs needs inspect_ai"):
        registry.find("export", "inspect")(tmp_path / "run", tmp_path / "logs")
    done = limen("import", f"inspect={tmp_path / 'log.eval'}", "--out", tmp_path / "run")
    assert done.returncode == 1
    assert done.stderr.startswith("limen: The import of Inspect's logs needs inspect_ai, which is not installed")


@pytest.mark.parametrize("given", ["log.eval", "inspect="])
def test_import_takes_a_kind_and_a_place(tmp_path: Path, given: str) -> None:
    done = limen("import", given, "--out", tmp_path / "run")
    assert done.returncode == 1
    assert f"import takes KIND=PATH, not '{given}'. Known: inspect=PATH, " in done.stderr


def test_import_of_an_unknown_kind(tmp_path: Path) -> None:
    done = limen("import", "inspct=log.eval", "--out", tmp_path / "run")
    assert done.returncode == 1
    assert "Did you mean 'inspect'?" in done.stderr
