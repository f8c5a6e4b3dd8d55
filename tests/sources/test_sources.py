"""Files and folders become references; what cannot be used is named and left out, and the good ones go on."""

import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image as Pillow

from limen.errors import InputError
from limen.image import digest, load, png
from limen.image.folder import walk
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


# --- folders as people have them ------------------------------------------------------------------------------------

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(300)


def names(place: Path, limit: int = 0) -> list[str]:
    return [reference.name for reference in collect([place], limit).references]


def test_pictures_that_are_not_read_are_counted_and_named(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "a")
    for number in range(5):
        (tmp_path / f"IMG_{number}.HEIC").write_bytes(HEIC)
    (tmp_path / "one.JXL").write_bytes(b"\xff\x0a" + bytes(40))
    for name in ("x.NEF", "y.nef"):  # a TIFF whose first picture is a preview
        (tmp_path / name).write_bytes(b"II*\0" + bytes(60))
    (tmp_path / "nameless").write_bytes(HEIC)
    (tmp_path / "film.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(60))
    (tmp_path / "more.zip").write_bytes(b"PK\3\4" + bytes(60))
    for name in ("notes.txt", "a.json", "a.xmp", "Thumbs.db", "README", "list.csv"):
        (tmp_path / name).write_text("beside")
    found = collect([tmp_path])
    assert [reference.name for reference in found.references] == ["a.png"]
    assert sorted(found.refused) == [
        "2 files of .NEF (camera RAW, which limen does not read): x.NEF, y.nef. Convert them, e.g. to PNG.",
        "2 other files are no pictures and are left alone: 1 of .mp4, 1 of .zip.",
        "5 files of .HEIC (HEIF, which limen does not read): IMG_0.HEIC, IMG_1.HEIC, IMG_2.HEIC and others. Convert "
        "them, e.g. to PNG.",
        "nameless: is HEIF, which limen does not read. Convert it, e.g. to PNG.",
        "one.JXL: is JPEG XL, which limen does not read. Convert it, e.g. to PNG.",
    ]
    assert collect([tmp_path], limit=1).refused == found.refused, "told whatever the limit"


def test_a_folder_of_nothing_but_unread_pictures_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(HEIC)
    (tmp_path / "b.heic").write_bytes(HEIC)
    with pytest.raises(InputError, match=r"No usable reference .* First: 2 files of \.heic \(HEIF"):
        collect([tmp_path])
    with pytest.raises(InputError, match="is not an image that limen reads .*, but HEIF"):
        collect([tmp_path / "a.heic"])


def test_pictures_with_another_suffix_are_known_by_their_bytes_and_come_last(tmp_path: Path) -> None:
    for name in ("a.jfif", "b.png", "c.HEIC", "d", "e.JPG_original", "z.png"):
        write(tmp_path, name, name)
    assert names(tmp_path) == ["b.png", "z.png", "a.jfif", "c.HEIC", "d", "e.JPG_original"]
    assert names(tmp_path, limit=2) == ["b.png", "z.png"], "as a limit took before other suffixes were read"
    assert collect([tmp_path]).refused == ()


def test_hidden_files_and_folders_are_no_references(tmp_path: Path) -> None:
    for name in (
        "a.png", ".b.png", ".thumbnails/c.png", ".ipynb_checkpoints/a-checkpoint.png", "__MACOSX/d.png",
        "sub/@eaDir/e.png", "sub/f.png",
    ):  # fmt: skip
        write(tmp_path, name, name)
    (tmp_path / "._a.png").write_bytes(b"\0\5\x16\7" + bytes(60))  # as macOS writes beside a file on other disks
    (tmp_path / ".DS_Store").write_bytes(bytes(8))
    found = collect([tmp_path])
    assert [reference.name for reference in found.references] == ["a.png", "sub/f.png"]
    assert found.refused == ()
    assert names(tmp_path / ".thumbnails") == ["c.png"], "the one that is named is read"
    assert names(tmp_path / ".b.png") == [".b.png"]


def test_a_folder_of_nothing_but_hidden_files_says_so(tmp_path: Path) -> None:
    write(tmp_path, ".cache/a.png", "a")
    with pytest.raises(InputError, match="First: 1 hidden file or folder is no reference"):
        collect([tmp_path])


def test_linked_folders_are_read_once_and_circles_are_cut(tmp_path: Path) -> None:
    place, other = tmp_path / "place", tmp_path / "other"
    write(place, "z.png", "z")
    write(place, "own/b.png", "b")
    write(other, "deep/c.png", "c")
    write(other, "d.png", "d")
    (place / "a").symlink_to(other)
    (place / "again").symlink_to(other)
    (place / "inner").symlink_to(place / "own")
    (place / "own" / "round").symlink_to(place)
    (other / "deep" / "back").symlink_to(other)
    found = collect([place])
    assert [reference.name for reference in found.references] == ["own/b.png", "z.png", "a/d.png", "a/deep/c.png"]
    assert found.refused == ()
    third = tmp_path / "third"
    write(third, "e.png", "e")
    (other / "0").symlink_to(third)  # sorts before the link it is found by
    assert names(place)[2:] == ["a/0/e.png", "a/d.png", "a/deep/c.png"]
    (other / "0").unlink()
    (place / "up").symlink_to(tmp_path)
    (line,) = collect([place]).refused
    assert line.startswith("up: is a link to a folder above it")
    assert names(place) == ["own/b.png", "z.png", "a/d.png", "a/deep/c.png"]


def test_links_that_lead_nowhere_pipes_and_locked_folders_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a.png", "a")
    write(tmp_path, "locked/b.png", "b")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing")
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    os.mkfifo(tmp_path / "pipe.png")
    plain = os.scandir

    def scan(folder: Path) -> Any:  # the tests may run as root, whom no permission stops
        if folder.name == "locked":
            raise PermissionError(13, "Permission denied")
        return plain(folder)

    monkeypatch.setattr(os, "scandir", scan)
    found = collect([tmp_path])
    assert [reference.name for reference in found.references] == ["a.png"]
    assert sorted(found.refused) == [
        "2 links lead nowhere: gone.png, self.png. Mend or remove them.",
        "locked: cannot be read (Permission denied). Check its rights.",
        "pipe.png: is a pipe, a socket or a device, no file. Remove it.",
    ]


def test_folders_without_numbers_are_told_apart_by_their_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "x/a.png", "a")
    write(tmp_path, "y/b.png", "b")
    plain = os.stat
    monkeypatch.setattr(os, "stat", lambda *given, **words: os.stat_result([plain(*given, **words)[0], 0, 7, *[0] * 7]))
    assert [file.name for file in walk(tmp_path).files] == ["a.png", "b.png"]


def test_postscript_is_not_run_from_wherever_it_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n"
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (tools / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    folder = tmp_path / "folder"
    write(folder, "good.png", "good")
    for name in ("a.png", "b.eps", "c"):
        (folder / name).write_bytes(program)
    shard = tmp_path / "shard.tar"
    with tarfile.open(shard, "w") as tar:
        for name in ("good.png", "a.png"):
            tar.add(folder / name, name)
    pictures = pa.array([(folder / name).read_bytes() for name in ("good.png", "a.png")])
    pq.write_table(pa.table({"image": pictures}), tmp_path / "a.parquet")
    for place in (folder, f"webdataset={shard}", f"parquet={tmp_path / 'a.parquet'}"):
        found = collect([place])
        assert len(found.references) == 1
        assert any("PostScript" in line for line in found.refused)
    assert not (tmp_path / "ran").exists()


def test_names_that_break_lines_are_told_in_one(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "a")
    (tmp_path / "b\n\x1b[1m.png").write_bytes(b"nothing")
    (tmp_path / "c\n.heic").write_bytes(HEIC)
    (tmp_path / "readme.jfif").write_bytes(png(photograph("r", 48, 64)))
    found = collect([tmp_path])
    assert [reference.name for reference in found.references] == ["a.png", "readme.jfif"]
    assert [line.split(":")[0] for line in found.refused] == ["c\\n.heic", "b\\n\\x1b[1m.png"]


def test_unread_pictures_of_shards_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "a")
    (tmp_path / "b.heic").write_bytes(HEIC)
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        tar.add(tmp_path / "a.png", "1.png")
        for number in range(4):
            tar.add(tmp_path / "b.heic", f"{number}.HEIC")
            tar.add(tmp_path / "b.heic", f"{number}.json")
    assert collect([f"webdataset={tmp_path}"]).refused == (
        "s.tar: 4 files of .HEIC (HEIF, which limen does not read): 0.HEIC, 1.HEIC, 2.HEIC and others. Convert them, "
        "e.g. to PNG.",
    )


def test_hidden_members_of_shards_are_no_references(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "a")
    write(tmp_path, "b.png", "b")
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        tar.add(tmp_path / "a.png", "./a.png")
        for name in ("._a.png", "__MACOSX/b.png", ".thumbs/b.png"):
            tar.add(tmp_path / "b.png", name)
    found = collect([f"webdataset={tmp_path}"])
    assert [reference.name for reference in found.references] == ["s.tar/./a.png"]
    assert found.refused == ()


def test_a_link_out_of_a_data_set_is_named(tmp_path: Path) -> None:
    write(tmp_path / "outside", "a.png", "a")
    write(tmp_path / "set", "b.png", "b")
    (tmp_path / "set" / "more").symlink_to(tmp_path / "outside")
    found = collect([f"mcl-jci={tmp_path / 'set'}"])
    assert [reference.name for reference in found.references] == ["b.png"]
    assert found.refused == ("more: is a link that leaves the data set's folder. Put the files themselves there.",)


def test_a_folder_that_is_called_as_a_source_is_is_not_left_out_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "demo/mine.png", "mine")
    monkeypatch.chdir(tmp_path)
    shipped = collect(["demo"])
    assert "mine.png" not in {reference.name for reference in shipped.references}
    assert shipped.refused == (
        "demo: the file or folder of this name is not read: demo is a source. Give ./demo for it.",
    )
    assert [reference.name for reference in collect(["./demo"]).references] == ["mine.png"]
