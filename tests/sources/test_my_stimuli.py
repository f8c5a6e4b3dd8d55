"""Stimuli of one's own, from a CSV file: their ladder, what is refused, and a run that goes on."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import limen
from limen import distortion, image, source, testing
from limen.errors import InputError
from limen.report.images import renderer
from limen.source import Reference, Refusal
from limen.stimulus import Series, undergoes
from limen.study import Spec, Study

Row = tuple[str, ...]


def written(folder: Path, names: str = "abc", levels: int = 5, word: str = "noise") -> list[Row]:
    """Write references and their versions; return the rows that list them."""
    rows: list[Row] = []
    for name in names:
        reference = testing.photograph(name, 48, 64)
        (folder / f"{name}.png").write_bytes(image.png(reference))
        at = distortion.find(word).render(reference, name)
        for level in range(1, levels + 1):
            file = f"{name}-{word}-{level}.png"
            (folder / file).write_bytes(image.png(at(10 * level)))
            rows.append((file, f"{name}.png", str(level)))
    return rows


def listed(folder: Path, rows: Sequence[Row], columns: str = "file,reference,level") -> str:
    file = folder / "list.csv"
    file.write_text("\n".join([columns, *(",".join(row) for row in rows)]) + "\n")
    return f"my-stimuli={file}"


def taken(place: str) -> tuple[list[Reference], list[str]]:
    found = list(source.read(place))
    good = [one for one in found if isinstance(one, Reference)]
    return good, [one.line for one in found if isinstance(one, Refusal)]


def spec(place: str, **more: object) -> Spec:
    return Spec(images=(place,), observers=("simulated",), exam=False, **more)  # type: ignore[arg-type]


def test_levels_are_the_files(tmp_path: Path) -> None:
    place = listed(tmp_path, written(tmp_path))
    kinds = source.brought([place])
    assert list(kinds) == ["my-stimuli"]
    kind = kinds["my-stimuli"]
    assert (kind.word, kind.ladder.unit, kind.ladder.strengths) == ("my-stimuli", "level", (1.0, 2.0, 3.0, 4.0, 5.0))
    references, refused = taken(place)
    assert refused == []
    assert [one.name for one in references] == ["a.png", "b.png", "c.png"]
    assert [one.size for one in references] == [(64, 48)] * 3
    at = Series(references[1], kind).open()
    assert np.array_equal(at(0).pixels, image.load(tmp_path / "b.png"))
    for level in range(1, 6):
        assert np.array_equal(at(level).pixels, image.load(tmp_path / f"b-noise-{level}.png"))


def test_strengths_order_themselves_and_levels_order_strengths(tmp_path: Path) -> None:
    rows = written(tmp_path, "a", 3)
    reverse = [(file, reference, str(40 - 10 * int(level))) for file, reference, level in rows]
    place = listed(tmp_path, reverse, "file,reference,strength")
    kind = source.brought([place])["my-stimuli"]
    assert (kind.ladder.strengths, kind.ladder.unit) == ((10.0, 20.0, 30.0), "strength")
    both = [(*row, level, "QP") for row, (_, _, level) in zip(reverse, rows, strict=True)]
    place = listed(tmp_path, both, "file,reference,strength,level,unit")
    kind = source.brought([place])["my-stimuli"]
    assert (kind.ladder.strengths, kind.ladder.unit) == ((30.0, 20.0, 10.0), "QP")
    at = Series(taken(place)[0][0], kind).open()
    assert np.array_equal(at(1).pixels, image.load(tmp_path / "a-noise-1.png"))


def test_several_distortions_have_ladders_of_their_own(tmp_path: Path) -> None:
    rows = [(*row, "fog", "haze") for row in written(tmp_path, "ab", 4)]
    rows += [(*row, "soft", "") for row in written(tmp_path, "bc", 2, "blur")]
    place = listed(tmp_path, rows, "file,reference,level,distortion,word")
    kinds = source.brought([place])
    assert {name: (kind.word, len(kind.ladder)) for name, kind in kinds.items()} == {
        "fog": ("haze", 4),
        "soft": ("soft", 2),
    }
    pairs = [(one.name, kind.name) for one in taken(place)[0] for kind in kinds.values() if undergoes(one, kind)]
    assert pairs == [("a.png", "fog"), ("b.png", "fog"), ("b.png", "soft"), ("c.png", "soft")]


@pytest.mark.parametrize(
    ("place", "row", "message"),
    [
        (1, ("a-noise-2.png", "a.png", "x"), r"list\.csv line 3: 'x' is not a finite number\. Correct it\."),
        (1, ("a-noise-2.png", "a.png", ""), r"line 3: has no level\. Give a number"),
        (
            1,
            ("a-noise-2.png", "a.png", "0"),
            r"line 3: level 0 is not a whole number from 1\. Level 0 is the reference",
        ),
        (1, ("a-noise-2.png", "a.png", "1"), r"line 3: line 2 has the same reference, distortion and level"),
        (1, ("a-noise-2.png", "a.png"), r"line 3: has 2 fields, the header 3"),
        (1, ("none.png", "a.png", "2"), r"line 3: there is no file 'none\.png'"),
        (1, ("../a.png", "a.png", "2"), r"line 3: '\.\./a\.png' leaves the data set's folder"),
        (1, ("small.png", "a.png", "2"), r"line 3: small\.png and its reference have 40x40 and 64x48 px"),
        (1, ("broken.png", "a.png", "2"), r"line 3: broken\.png: is "),
        (1, ("a-noise-2.png", "a.png", "9"), r"a\.png has other strengths than most .*lacks 2 and has 9 beside them"),
    ],
)
def test_a_broken_row_costs_its_reference_and_no_other(tmp_path: Path, place: int, row: Row, message: str) -> None:
    rows = written(tmp_path)
    (tmp_path / "small.png").write_bytes(image.png(testing.photograph("a", 40, 40)))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    rows[place] = row
    given = listed(tmp_path, rows)
    references, refused = taken(given)
    assert [one.name for one in references] == ["b.png", "c.png"]
    assert any(re.search(message, line) for line in refused), refused
    assert source.brought([given])["my-stimuli"].ladder.strengths == (1.0, 2.0, 3.0, 4.0, 5.0)


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ([("a.png", "b.png")], "file,reference", r"has no column 'level' or 'strength', among: file, reference"),
        ([("a.png", "1")], "file,level", r"column 'reference' is there 0 times"),
        ([], "file,reference,level", r"no row of it can be used\. Expected: a CSV file with the columns"),
        ([("a", "b", "x")], "file,reference,level", r"no row of it can be used\. First: list\.csv line 2: 'x' is not"),
    ],
)
def test_a_file_that_lists_nothing_is_said(tmp_path: Path, rows: list[Row], columns: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        source.brought([listed(tmp_path, rows, columns)])


def test_a_run_goes_on_reports_and_notices_a_changed_file(tmp_path: Path) -> None:
    place, out = listed(tmp_path, written(tmp_path, "abcdef")), tmp_path / "run"
    assert Study.plan(spec(place, limit=5)).run(out).unfinished == []
    assert Study.plan(spec(place)).run(out).done == 6
    again = Study.plan(spec(place)).run(out)
    assert (again.asked, again.unfinished) == (0, [])
    run = limen.open(out)
    assert [(row.distortion, row.n, row.levels) for row in run.jnds] == [("my-stimuli", 6, 5)]
    assert len(run.fit()) == 1
    with (
        limen.Store.open(out) as store,
        pytest.raises(InputError, match=r"The stimuli are files of yours, listed in a CSV"),
    ):
        renderer(store, next(iter(store.series())))
    study = Study.plan(spec(place))
    (tmp_path / "a-noise-3.png").write_bytes(image.png(testing.photograph("z", 48, 64)))
    changed = study.run(tmp_path / "other").unfinished
    assert [one.reference for one in changed] == ["a.png"]
    assert "a-noise-3.png: has other pixels than when the study was planned" in changed[0].detail


def test_own_levels_can_be_chosen_by_strength(tmp_path: Path) -> None:
    place = listed(tmp_path, written(tmp_path, "a"))
    study = Study.plan(spec(place, ladders={"my-stimuli": (1.0, 3.0, 5.0)}))
    at = study.series[0].open()
    assert np.array_equal(at(2).pixels, image.load(tmp_path / "a-noise-3.png"))


def test_limens_own_names_are_taken(tmp_path: Path) -> None:
    place = listed(tmp_path, [(*row, "noise") for row in written(tmp_path)], "file,reference,level,distortion")
    with pytest.raises(InputError, match="'noise' is limen's own name for another one"):
        Study.plan(spec(place))


def test_from_python(tmp_path: Path) -> None:
    run = limen.measure(listed(tmp_path, written(tmp_path)), "simulated", exam=False)
    assert [(row.distortion, row.n) for row in run.jnds] == [("my-stimuli", 3)]
