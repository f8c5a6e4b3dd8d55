"""The example in the docstring of every name of the front door runs, and shows what it says it shows."""

import doctest
from pathlib import Path

import pytest

import limen

NAMES = [name for name in limen.__all__ if name != "__version__"]


@pytest.mark.parametrize("name", NAMES)
def test_example_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example = doctest.DocTestParser().get_doctest(getattr(limen, name).__doc__ or "", {}, name, None, 0)
    assert example.examples, f"limen.{name} has no example in its docstring"
    assert any(line.want for line in example.examples), f"the example of limen.{name} shows no output"
    said: list[str] = []
    failed, _ = doctest.DocTestRunner(verbose=False).run(example, out=said.append)
    assert not failed, "".join(said)
