"""Files and folders become references; what cannot be used is named and left out, and the good ones go on."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from limen.errors import InputError
from limen.image import digest, load, png
from limen.source import collect
from limen.testing import photograph


def write(folder: Path, name: str, seed: str) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(png(photograph(seed, 48, 64)))


def test_folders_are_searched_whole_in_order_of_names(tmp_path: Path) -> None:
    for name in ("b.png", "a/c.PNG", "写真.png", "été.png", "notes.txt", "файл.png"):
        if name.endswith("txt"):
            (tmp_path / name).write_text("not an image")
        else:
            write(tmp_path, name, name)
    found = collect([tmp_path])
    assert [r.name for r in found.references] == ["a/c.PNG", "b.png", "été.png", "файл.png", "写真.png"]
    assert found.refused == ()
    for reference in found.references:
        assert digest(reference.load()) == reference.digest == digest(photograph(reference.name, 48, 64))


def test_a_single_file_and_a_limit(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path, f"{name}.png", name)
    assert [r.name for r in collect([tmp_path / "b.png"]).references] == ["b.png"]
    assert [r.name for r in collect([tmp_path], limit=2).references] == ["a.png", "b.png"]
    assert [r.name for r in collect([tmp_path / "c.png", tmp_path]).references] == ["c.png", "a.png", "b.png"]


def test_broken_files_are_named_and_the_good_ones_go_on(tmp_path: Path) -> None:
    write(tmp_path, "good.png", "good")
    write(tmp_path, "sub/other.png", "other")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "cut.png").write_bytes(png(photograph("cut", 200, 200))[:2000])
    (tmp_path / "sub" / "twin.png").write_bytes(png(photograph("good", 48, 64)))
    Pillow.fromarray(np.zeros((1, 1, 3), np.uint8)).save(tmp_path / "dot.png")
    Pillow.fromarray(np.zeros((64, 64), np.uint16)).save(tmp_path / "deep.png")
    found = collect([tmp_path])
    assert [r.name for r in found.references] == ["good.png", "sub/other.png"]
    assert len(found.refused) == 6
    for name in ("cut.png", "deep.png", "dot.png", "empty.png", "sub/twin.png", "text.jpg"):
        (line,) = [line for line in found.refused if line.startswith(name)]
        assert "\n" not in line
        assert line.endswith(".")
    assert any("same pixels as good.png" in line for line in found.refused)


def test_nothing_usable_is_an_error_that_names_the_first_cause(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No usable reference"):
        collect([tmp_path])
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(InputError, match=r"1 refused\. First: a\.png: is not an image"):
        collect([tmp_path])
    with pytest.raises(InputError, match="No file or folder"):
        collect([tmp_path / "nowhere"])


def test_the_bundled_photographs() -> None:
    found = collect(["demo"])
    assert len(found.references) >= 10
    assert found.refused == ()
    assert {r.load().shape for r in found.references} == {(64, 64, 3)}


def test_names_carry_no_absolute_path(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "a")
    for place in (tmp_path, tmp_path / "a.png", str(tmp_path)):
        assert [r.name for r in collect([place]).references] == ["a.png"]
    assert load(tmp_path / "a.png").shape == (48, 64, 3)
