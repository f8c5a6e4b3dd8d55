"""What is measured is what was planned: pixels against digests when a series is opened, and libraries on resume."""

import dataclasses
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limen import digest as digests
from limen import distortion
from limen.analysis import SeriesStatus, analyse
from limen.errors import InputError, StoreError
from limen.image import Picture, digest, png
from limen.scenes import scene
from limen.source import Reference, collect
from limen.stimulus import Series
from limen.store import Store
from limen.study import Progress, Spec, Study, drawing
from limen.testing import photograph
from tests.study.test_study import noticing, run
from tests.support.toy import Toy

OTHER = photograph("somebody else's", 64, 80)


def series(place: str, kind: str = "blur") -> Series:
    (reference,) = collect([place]).references
    return Series(reference, distortion.find(kind))


def parquet(file: Path, data: bytes) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"image": [data]}), file)


def tar(file: Path, data: bytes) -> None:
    inner = file.with_suffix(".png")
    inner.write_bytes(data)
    with tarfile.open(file, "w") as archive:
        archive.add(inner, "a.png")


@pytest.mark.parametrize(
    ("place", "name", "write"),
    [
        ("{}", "a.png", lambda file, data: file.write_bytes(data)),
        ("webdataset={}", "a.tar", tar),
        ("parquet={}", "a.parquet", parquet),
    ],
)
def test_other_pixels_are_not_measured(
    tmp_path: Path, place: str, name: str, write: Callable[[Path, bytes], object]
) -> None:
    file = tmp_path / name
    write(file, png(photograph("a", 64, 80)))
    one = series(place.format(file))
    assert one.open()(0).digest == one.reference.digest
    for data in (png(OTHER), png(photograph("a", 64, 80)[:, :-8]), png(photograph("a", 64, 80))[:200]):
        write(file, data)
        with pytest.raises(InputError, match=r"other pixels than when it was planned|cannot be read|cut short|broken"):
            one.open()
    file.unlink()
    with pytest.raises(InputError):
        one.open()
    write(file, png(photograph("a", 64, 80)))
    assert one.open()(0).digest == one.reference.digest


def test_either_picture_of_a_pair_counts() -> None:
    first, second = photograph("a", 64, 80), photograph("b", 64, 80)
    there = [first, second]
    known = digests.of([digest(first), digest(second)])
    one = Series(Reference("a pair", known, lambda: tuple(there), kind="pair"), distortion.find("spot"))
    assert [one.open()(level).digest for level in (0, 1)] == [digest(first), digest(second)]
    for changed in ([OTHER, second], [first, OTHER], [second, first]):
        there[:] = changed
        with pytest.raises(InputError, match="a pair: has other pixels than when it was planned"):
            one.open()


def test_a_view_is_the_one_that_was_planned() -> None:
    (view,) = scene.find("room").views("angle", 1)
    (other,) = scene.find("room").views("distance", 1)
    Series(Reference(view.name, view.digest, lambda: view, kind="angle"), distortion.find("angle")).open()
    with pytest.raises(InputError, match="other pixels"):
        Series(Reference(view.name, view.digest, lambda: other, kind="angle"), distortion.find("angle")).open()


def test_a_source_of_ones_own_may_lose_its_file() -> None:
    def lost() -> Any:
        raise FileNotFoundError(2, "No such file or directory", "/home/bob/a.png")

    with pytest.raises(InputError, match=r"^a\.png: cannot be read any more \(No such file or directory\)"):
        Series(Reference("a.png", "0" * 32, lost), distortion.find("blur")).open()


def test_pixels_are_digested_once(monkeypatch: pytest.MonkeyPatch) -> None:
    image = photograph("a", 64, 80)
    one = Series(Reference("a", digest(image), lambda: image), distortion.find("blur"))
    count = []
    whole = Picture.of.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(Picture, "of", classmethod(lambda cls, pixels: count.append(1) or whole(cls, pixels)))
    at = one.open()
    at(0), at(7), at(0)
    assert len(count) == 2


def test_a_series_whose_photograph_changed_stays_open_and_others_go_on(tmp_path: Path, photos: Path) -> None:
    spec = Spec(images=(str(photos),), observers=("simulated",), distortions=("noise",))
    study = Study.plan(spec)
    before = (photos / "b.png").read_bytes()
    (photos / "b.png").write_bytes(png(OTHER))
    progress = study.run(tmp_path / "run")
    (left,) = progress.unfinished
    assert (left.reference, left.kind) == ("b.png", "input")
    assert "Restore it" in left.detail
    with Store.open(tmp_path / "run") as store:
        done = {o.series.name: o.status for o in analyse(store).outcomes}
        assert store.picture(digest(OTHER)) is None
    assert done["b.png"] is SeriesStatus.UNFINISHED
    assert done["a.png"] is SeriesStatus.COMPLETE
    (photos / "b.png").write_bytes(before)
    assert not study.run(tmp_path / "run").unfinished


# --- libraries ---


def resumed(tmp_path: Path, photos: Path, **entries: Any) -> Progress:
    return run(tmp_path / "run", Toy(noticing(5.0)), photos, **entries)


def test_the_same_libraries_are_not_mentioned(tmp_path: Path, photos: Path) -> None:
    assert resumed(tmp_path, photos).notices == []
    assert resumed(tmp_path, photos).notices == []
    with Store.open(tmp_path / "run") as store:
        assert set(store.manifest["probes"]) == {"blur", "noise"}
        assert "sessions" not in store.manifest
        assert store.manifest["versions"]["libjpeg_turbo"]


def test_other_libraries_that_draw_the_same_are_told(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed(tmp_path, photos)
    known = drawing.libraries(())
    monkeypatch.setattr(drawing, "libraries", lambda kinds: known | {"numpy": "99.0"})
    (line,) = resumed(tmp_path, photos).notices
    assert f"numpy {known['numpy']} then, 99.0 now" in line
    assert line.endswith("Its stimuli are drawn with the same pixels.")
    assert resumed(tmp_path, photos).notices == [], "told once"
    with Store.open(tmp_path / "run") as store:
        (session,) = store.manifest["sessions"]
        assert session["versions"]["numpy"] == "99.0"


@pytest.mark.parametrize("told", [{"pillow": "99.0"}, {}])
def test_libraries_that_draw_otherwise_are_refused(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, told: dict[str, str]
) -> None:
    resumed(tmp_path, photos)
    known, rint = drawing.libraries(()), np.rint
    monkeypatch.setattr(drawing, "libraries", lambda kinds: known | told)
    monkeypatch.setattr(np, "rint", lambda values, *a, **k: rint(np.asarray(values) + 0.4, *a, **k))
    match = "noise.* other pixels.*" + ("pillow .* then, 99.0 now" if told else "built otherwise")
    with pytest.raises(StoreError, match=match):
        resumed(tmp_path, photos)


def test_a_run_without_a_record_goes_on_with_a_word(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed(tmp_path, photos)
    with Store.create(tmp_path / "run", {}) as store:
        versions = {name: found for name, found in store.manifest["versions"].items() if name in ("python", "pillow")}
        store.manifest.pop("probes")
        store.amend(versions=versions | {"numpy": "1.26"})
    (line,) = resumed(tmp_path, photos).notices
    assert "numpy 1.26 then" in line
    assert "has no record" in line


def test_photographs_that_changed_between_sessions_are_told(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed(tmp_path, photos)
    (photos / "c.png").write_bytes(png(OTHER))
    (line,) = resumed(tmp_path, photos).notices
    assert line.startswith("c.png: other pixels under the same name")
    (photos / "d.png").write_bytes(png(photograph("yet another", 64, 80)))
    known = drawing.libraries(())
    monkeypatch.setattr(drawing, "libraries", lambda kinds: known | {"libjpeg_turbo": "99"})
    with pytest.raises(StoreError, match=r"d\.png: other pixels.*other libraries read them"):
        resumed(tmp_path, photos)


def test_a_distortion_of_somebody_elses_that_takes_no_probe_is_left_out() -> None:
    def prepare(image: Any, rng: Any) -> Any:
        raise ZeroDivisionError

    kind = distortion.Distortion("theirs", "word", distortion.find("blur").ladder, prepare)
    reference = Reference("a", "0" * 32, lambda: OTHER)
    assert drawing.probes([Series(reference, kind), Series(reference, distortion.find("mask"))]).keys() == {"mask"}


# --- nothing of where data lie ---


def test_no_absolute_path_is_kept(tmp_path: Path) -> None:
    from limen.cli import run as command
    from limen.observer import Reply
    from limen.trial import Attempt

    home = tmp_path / "HOME-OF-BOB"
    home.mkdir()
    for name in "ab":
        (home / f"{name}.png").write_bytes(png(photograph(name, 64, 80)))
    (home / "broken.png").write_bytes(b"\x89PNG")
    tar(home / "w.tar", png(OTHER))
    (home / "w.png").unlink()

    class Failing(Toy):
        async def answer(self, query: Any) -> Reply:
            return Reply(None, (Attempt("failed", f"[Errno 5] Input/output error: '{home / 'weights.bin'}'"),))

    for out, observer in (("run", Toy(noticing(5.0))), ("failed", Failing(lambda query: None))):
        spec = Spec(images=(str(home), f"webdataset={home}/w.tar"), observers=("simulated",), distortions=("jpeg",))
        dataclasses.replace(Study.plan(spec), observers=(observer,)).run(home / out)
        assert command(["report", str(home / out), "--out", str(home / out / "r.html")]) == 0
        assert command(["export", str(home / out), "--parquet", str(home / out)]) == 0
    kept = [file for out in ("run", "failed") for file in (home / out).iterdir()]
    assert len(kept) > 15
    assert [file.name for file in kept if b"HOME-OF-BOB" in file.read_bytes()] == []
