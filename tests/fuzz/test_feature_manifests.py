"""Runs of deep features that somebody changed: an entry gone, of another type or out of bounds is one line, or fine."""

import copy
import functools
import json
import shutil
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from limen.errors import LimenError
from limen.feature import run as running
from limen.feature import stages
from limen.feature.data.parts import SubsetSizes
from limen.feature.model.network import Network
from limen.feature.plan import FeaturePlan
from limen.feature.run import FeatureRun
from limen.report import feature_figures, feature_sections, feature_tables
from limen.store import Store
from limen.store.rows import STAGES

VALUES = st.one_of(
    st.just(...),  # the entry is gone
    st.sampled_from(
        [
            None,
            True,
            "",
            "x\x00\x1b[2J",
            "9" * 30,
            -1,
            0,
            1,
            3,
            10**9,
            -0.5,
            1e308,
            1e-308,
            [],
            {},
            [[]],
            [1, "a"],
            {"a": {}},
        ]
    ),
)
FILES = [b"", b"\x00" * 9, b"{", b"\xff" * 64]


class Tiny(nn.Module):
    """Ten classes from sixteen numbers an image: it costs nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.last = nn.AdaptiveAvgPool2d(4), nn.Linear(48, 10)
        source = torch.Generator().manual_seed(5)
        self.last.weight.data = torch.randn(self.last.weight.shape, generator=source)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.stem(images).flatten(1))


NETWORK = Network(Tiny(), name="tiny")
MAPS = {"flat": ("flat", {}), "gaussian": ("gaussian", {}), "fisher-2": ("fisher", {"power": -2.0, "draws": 1})}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(running, "parts", functools.cache(running.parts))  # the same scenes need not be drawn again
    out = tmp_path_factory.mktemp("fuzz") / "run"
    plan = FeaturePlan("tiny", "stem", seeds=2, sizes=SubsetSizes(4, 4, 3), maps=MAPS, rho=0.3, eps=5.0)
    with FeatureRun.begin(out, plan, "cpu", NETWORK) as begun:
        for seed in range(2):
            begun.fitted(seed, fit=True)
        stages.calibrate(begun)
        stages.evaluate(begun, (0.5, 1.0))
        stages.quantise(begun, (0.5, 1.0))
        stages.attribute(begun, 3)
    yield out
    monkeypatch.undo()


def places(content: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where every entry of a JSON value stands."""
    if before:
        yield before
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield from places(value, (*before, key))


def changed(content: Any, place: tuple[Any, ...], value: Any) -> Any:
    """Return a value with one entry replaced, or without it where `value` is `Ellipsis`."""
    made = copy.deepcopy(content)
    inside = made
    for key in place[:-1]:
        inside = inside[key]
    if value is ...:
        del inside[place[-1]]
    else:
        inside[place[-1]] = value
    return made


def reported(run: Path) -> None:
    """Make everything that a page of the run needs, but draw nothing."""
    with Store.open(run) as store:
        brought = feature_sections.contribution({"run": store})
        json.dumps(brought.records)
        for section in brought.sections:
            for _, _, draw in section.figures:
                json.dumps(draw(1060), allow_nan=False)


def gone_on(run: Path) -> None:
    """Open the run and ask for every stage, as the commands do."""
    with FeatureRun.open(run, "cpu", NETWORK) as opened:
        about = opened.store.manifest
        feature_tables.calibrations(about, stages.calibrate(opened))
        feature_tables.scores(about, stages.evaluate(opened, (0.5, 1.0)))
        feature_tables.rates(about, stages.quantise(opened, (0.5, 1.0)))
        equal = stages.equal_rates(opened)
        feature_tables.equal_rates(about, equal)
        feature_figures.rate(about, stages.quantise(opened, (0.5, 1.0)), equal, 700)


def complaint(work: Callable[[Path], Any], run: Path) -> str:
    """Return the one line that is told; "" where all went well."""
    said = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            work(run)
    except LimenError as error:
        said = str(error) or "nothing\n"
    return said


def opened(run: Path) -> None:
    FeatureRun.open(run, "cpu", NETWORK).store.close()


def stored(run: Path) -> list[tuple[str, str, Any]]:
    with sqlite3.connect(run / "trials.db") as database:
        rows = database.execute("SELECT stage, key, content FROM measurement ORDER BY stage, key").fetchall()
    return [(stage, key, orjson.loads(content)) for stage, key, content in rows]


@given(data=st.data())
def test_a_changed_manifest_is_one_line_or_does_no_harm(run: Path, data: st.DataObject) -> None:
    file = run / "manifest.json"
    there = file.read_bytes()
    manifest = orjson.loads(there)
    place = data.draw(st.sampled_from(list(places(manifest))))
    content = changed(manifest, place, data.draw(VALUES))
    try:
        file.write_bytes(orjson.dumps(content))
        assert "\n" not in complaint(reported, run) + complaint(opened, run)
    finally:
        file.write_bytes(there)


@given(data=st.data())
def test_a_changed_row_is_one_line_or_does_no_harm(run: Path, data: st.DataObject) -> None:
    stage, key, row = data.draw(st.sampled_from(stored(run)))
    place = data.draw(st.sampled_from([(), *places(row)]))
    value = data.draw(VALUES)
    other = value if not place else changed(row, place, value)
    content = b"{" if other is ... else json.dumps(other).encode()
    with sqlite3.connect(run / "trials.db") as database:
        database.execute("UPDATE measurement SET content = ? WHERE stage = ? AND key = ?", (content, stage, key))
    try:
        assert stage in STAGES
        assert "\n" not in complaint(reported, run)
    finally:
        with sqlite3.connect(run / "trials.db") as database:
            again = orjson.dumps(row)
            database.execute("UPDATE measurement SET content = ? WHERE stage = ? AND key = ?", (again, stage, key))


@pytest.fixture(scope="module")
def copied(run: Path) -> Iterator[FeatureRun]:
    other = run.with_name("copied")
    shutil.copytree(run, other)
    with FeatureRun.open(other, "cpu", NETWORK) as made:
        yield made


@given(data=st.data())
def test_a_changed_map_is_one_line(copied: FeatureRun, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from((0, 1)))
    file = copied.store.path / f"seed-{seed}" / "fisher-2.safetensors"
    there = file.read_bytes()
    at = data.draw(st.integers(0, len(there) - 1))
    cut, turned = there[:at], there[:at] + bytes([there[at] ^ data.draw(st.integers(1, 255))]) + there[at + 1 :]
    try:
        file.write_bytes(data.draw(st.sampled_from([cut, turned, *FILES])))
        said = complaint(lambda _: copied.fitted(seed), file)
        assert "fisher-2.safetensors is not the map that was fitted" in said
        assert "\n" not in said
    finally:
        file.write_bytes(there)


def test_a_run_as_it_was_left_goes_on_and_is_reported(run: Path) -> None:
    reported(run)
    gone_on(run)
