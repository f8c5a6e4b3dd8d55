"""A study in shards: which references belong to a job, and what a run of one shard will not do."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from limen.errors import InputError
from limen.image import Picture, png
from limen.report import observers as reported
from limen.store import Store
from limen.study import Spec, Study
from limen.study.shard import Shard
from limen.testing import photograph
from tests.support.command import limen
from tests.support.photographs import photographs
from tests.support.toy import Toy


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six small photographs."""
    return photographs(tmp_path / "photos", "abcdef", 48, 64)


def plan(photos: Path, **given: Any) -> Study:
    settings = {"distortions": ("blur", "noise"), "observers": ("simulated",), "exam": False} | given
    return Study.plan(Spec(images=(str(photos),), **settings))


def ids(study: Study) -> set[tuple[str, str]]:
    return {(one.reference.name, one.distortion.name) for one in study.series}


def measure(photos: Path, out: Path, *more: str) -> Any:
    return limen(
        "measure", "--images", photos, "--distortion", "blur,noise", "--observer", "simulated", "--out", out, *more
    )


@pytest.mark.parametrize("of", [1, 2, 3, 7, 40])
def test_every_series_is_in_one_shard_and_those_of_a_reference_in_the_same(photos: Path, of: int) -> None:
    parts = [ids(plan(photos, shard=f"{number}/{of}")) for number in range(1, of + 1)]
    assert sum(map(len, parts)) == 12
    assert set().union(*parts) == ids(plan(photos))
    for part in parts:
        assert len(part) == 2 * len({name for name, _ in part})


def test_further_references_move_no_other(photos: Path) -> None:
    before = [ids(plan(photos, shard=f"{number}/3")) for number in (1, 2, 3)]
    for name in ("0", "c2", "z"):
        (photos / f"{name}.png").write_bytes(png(photograph(name, 48, 64)))
    after = [ids(plan(photos, shard=f"{number}/3")) for number in (1, 2, 3)]
    assert all(old <= new for old, new in zip(before, after, strict=True))
    assert sum(map(len, after)) == 18


def test_shards_are_about_of_one_size() -> None:
    counts = [sum(Shard(number, 8).holds(f"reference {i}") for i in range(8_000)) for number in range(1, 9)]
    assert sum(counts) == 8_000
    assert all(900 < count < 1_100 for count in counts)


@pytest.mark.parametrize(
    "text", ["0/4", "5/4", "a/b", "1", "1/0", "1/2/3", "-1/4", "1.0/4", "٣/٤", "/", "1/100001", " "]
)
@pytest.mark.parametrize("dry", [True, False])
def test_what_is_no_shard(photos: Path, tmp_path: Path, text: str, dry: bool) -> None:
    done = measure(photos, tmp_path / "run", "--shard", text, *(["--dry-run"] if dry else []))
    assert done.returncode == 1
    assert done.stderr == (
        f"limen: shard is {text!r}. Give I/N with 1 <= I <= N <= 100,000: 1/8 for the first of eight jobs.\n"
    )
    assert not (tmp_path / "run").exists()


def test_an_empty_variable_is_no_whole_study(photos: Path, tmp_path: Path) -> None:
    done = measure(photos, tmp_path / "run", "--shard", "")
    assert (done.returncode, done.stderr) == (
        1, "limen: --shard is empty. Give I/N, 1/8 for the first of eight jobs, or leave it out.\n"
    )  # fmt: skip


def test_a_study_file_says_it_and_a_flag_replaces_it(photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text('images = ["photos"]\nobservers = ["simulated"]\ndistortions = ["blur"]\nshard = "2/3"\n')
    for flags, number in (((), 2), (("--shard", "3/3"), 3)):
        done = limen("measure", file, "--out", tmp_path / f"run{number}", "--no-exam", *flags)
        assert done.returncode == 0
        own = len(plan(photos, shard=f"{number}/3", distortions=("blur",)).series)
        assert f"Shard {number}/3: {own} of 6 references." in done.stderr
        with Store.open(tmp_path / f"run{number}") as store:
            assert len(store.series()) == own
            assert store.manifest["shard"] == {"of": 3, "parts": [number], "series": {"blur": 6}}


def test_one_of_one_is_the_whole_study(photos: Path, tmp_path: Path) -> None:
    assert measure(photos, tmp_path / "run", "--shard", "1/1").returncode == 0
    assert measure(photos, tmp_path / "run").returncode == 0
    with Store.open(tmp_path / "run") as store:
        assert "shard" not in store.manifest
        assert len(store.series()) == 12


def test_a_run_of_one_shard_does_not_go_on_as_another(photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert measure(photos, run, "--shard", "1/4").returncode == 0
    remedy = "Give --shard 1/4 to go on, or another --out; limen merge puts shards together."
    for flags, given in ((("--shard", "2/4"), "shard 2/4"), (("--shard", "1/3"), "shard 1/3"), ((), "no shard")):
        for dry in ([], ["--dry-run"]):
            done = measure(photos, run, *flags, *dry)
            assert done.returncode == 1
            assert done.stderr.splitlines()[-1].endswith(
                f"{run} holds shard 1 of 4 of its study; given is {given}. {remedy}"
            )
    again = measure(photos, run, "--shard", "1/4")
    assert (again.returncode, "0 questions asked" in again.stderr) == (0, True)
    whole = tmp_path / "whole"
    assert measure(photos, whole).returncode == 0
    done = measure(photos, whole, "--shard", "1/4")
    assert "holds the whole study; given is shard 1/4. Leave --shard out, or give another --out." in done.stderr


def test_a_dry_run_is_of_the_shard(photos: Path) -> None:
    counts = []
    for number in range(1, 8):
        done = limen(
            "measure", "--images", photos, "--distortion", "blur,noise", "--observer", "simulated", "--dry-run",
            "--procedure", "constant", "-P", "levels=1,25,50", "--no-exam", "--shard", f"{number}/7",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        counts.append(int(re.search(r"series\s+(\d+) open", done.stdout)[1]))  # type: ignore[index]
        if not counts[-1]:
            assert "exactly 0" in done.stdout
            assert "Nothing is left to ask." in done.stdout
    assert sum(counts) == 12
    assert 0 in counts


def test_an_empty_shard_loads_no_model_and_is_no_error(photos: Path, tmp_path: Path) -> None:
    empty = next(number for number in range(1, 41) if not plan(photos, shard=f"{number}/40").series)

    class Unloadable(Toy):
        async def __aenter__(self) -> "Unloadable":
            raise AssertionError("it was entered")

    spec = Spec(images=(str(photos),), observers=("simulated",), distortions=("blur",), shard=f"{empty}/40")
    progress = Study.plan(spec, made=[Unloadable(lambda query: "<no>")]).run(tmp_path / "a")
    assert (progress.total, progress.asked) == (0, 0)
    for _ in range(2):
        done = measure(photos, tmp_path / "b", "--shard", f"{empty}/40")
        assert (done.returncode, done.stdout) == (0, "")
        assert f"Shard {empty}/40: 0 of 6 references." in done.stderr
    assert limen("report", tmp_path / "b", "--json").returncode == 0


@pytest.mark.parametrize("procedure", ["psi", "certify"])
def test_what_learns_from_series_to_series_is_not_divided(photos: Path, procedure: str) -> None:
    with pytest.raises(InputError, match=f"shard is 1/2, but {procedure} learns from series to series: .* questplus"):
        plan(photos, shard="1/2", procedure={"name": procedure})
    assert plan(photos, shard="1/1", procedure={"name": procedure}).series


def test_the_report_of_a_shard_says_that_it_is_one(photos: Path, tmp_path: Path) -> None:
    done = measure(photos, tmp_path / "run", "--shard", "3/3")
    line = (
        "Not all of the study is here, and missing from every figure: shards 1-2 of 3. limen merge puts shards "
        "together."
    )
    assert f"warning: {line}" in done.stderr
    from limen.analysis import analyse

    with Store.open(tmp_path / "run") as store:
        assert reported.warnings(analyse(store)) == [line]


class Judged(Toy):
    """Fixes a criterion from the references it is given, as encoders do."""

    def calibrate(self, pictures: Sequence[Picture]) -> Mapping[str, Any]:
        """Fix it."""
        self.criterion = float(sum(float(picture.pixels.mean()) for picture in pictures))
        return {"criterion": self.criterion}

    def judge_by(self, row: Mapping[str, Any]) -> None:
        """Take it."""
        self.criterion = row["criterion"]

    def fingerprint(self) -> dict[str, Any]:
        return {"kind": "toy", "criterion": self.criterion}


def test_all_shards_judge_by_the_criterion_of_the_whole_study(photos: Path, tmp_path: Path) -> None:
    rows = []
    for shard in ("", "1/2", "2/2"):
        spec = Spec(images=(str(photos),), observers=("simulated",), distortions=("blur",), shard=shard)
        out = tmp_path / f"run{shard[:1]}"
        Study.plan(spec, made=[Judged(lambda query: "<no> No.")]).run(out)
        with Store.open(out) as store:
            rows.append((store.measurements("calibration"), store.manifest["observers"]))
    assert rows[0] == rows[1] == rows[2]


def test_a_dry_run_says_which_shard_it_prices(photos: Path, tmp_path: Path) -> None:
    own = len({one.reference.digest for one in plan(photos, shard="2/3", distortions=("blur",)).series})
    done = measure(photos, tmp_path / "run", "--shard", "2/3", "--dry-run")
    assert done.returncode == 0
    assert f"Shard 2/3: {own} of 6 references." in done.stderr
