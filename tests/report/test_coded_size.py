"""The size of coded pictures at the threshold: the files' own lengths, of the references that a run has kept."""

import json
import sys
from pathlib import Path
from statistics import fmean

import pytest

import limen
from limen import distortion, testing
from limen.report import coded_size
from limen.report.report import Report

PICTURES = {name: testing.photograph(name, 48 + 8 * (name == "e"), 64) for name in "abcdef"}


def measured(out: Path, distortions: list[str], **settings: object) -> Path:
    limen.measure(PICTURES, "simulated", distortions, out=out, exam=False, floor=False, **settings)  # type: ignore[arg-type]
    return out


def test_bytes_and_bits_are_those_of_the_files(tmp_path: Path) -> None:
    out = measured(tmp_path / "run", ["jpeg", "webp", "blur"], ladders={"jpeg": [90, 70, 50, 30, 20, 10, 5]})
    with Report.open((out,)) as report:
        rows = {row.distortion: row for row in coded_size.rows(report.runs, report.apart)}
        jnds = {row.distortion: row for row in report.all.jnds}
        assert set(rows) == {"jpeg", "webp"}
        for name, row in rows.items():
            encoded, strength = distortion.find(name).encoded, jnds[name].strength
            assert encoded is not None
            assert strength is not None
            sizes = [len(encoded(picture, strength)) for picture in PICTURES.values()]
            areas = [picture.shape[0] * picture.shape[1] for picture in PICTURES.values()]
            assert (row.n, row.strength, row.median) == (6, strength, str(jnds[name].median))
            assert row.bytes == pytest.approx(fmean(sizes))
            assert row.bits == pytest.approx(fmean(8 * size / area for size, area in zip(sizes, areas, strict=True)))
            assert row.bytes_interval is not None
            assert row.bytes_interval.low < row.bytes < row.bytes_interval.high
        table = coded_size.table(report.all, list(rows.values()))
        assert table.columns == (
            "distortion",
            "references",
            "median",
            "at the median",
            "bytes [95 %]",
            "bits a pixel [95 %]",
        )
        assert [line[0] for line in table.rows] == ["jpeg", "webp"]
        assert json.loads(json.dumps(report.data()["runs"][0]["sizes"]))[0]["bits"] == pytest.approx(rows["jpeg"].bits)
        assert "sizes" in report.drawings
        curve = report.drawings["sizes"][2](1000)["data"]["values"]
        marks = [value for value in curve if "who" in value]
        assert [(mark["strength"], mark["bits"]) for mark in marks] == [(r.strength, r.bits) for r in rows.values()]
        falling = [value["bits"] for value in curve if "who" not in value and value["distortion"].startswith("jpeg")]
        assert len(falling) == 7
        assert falling == sorted(falling, reverse=True)


def test_a_quality_between_two_levels_is_rounded(tmp_path: Path) -> None:
    out = measured(tmp_path / "run", ["webp"], procedure="psi")
    with Report.open((out,)) as report:
        (row,) = coded_size.rows(report.runs, report.apart)
        encoded = distortion.find("webp").encoded
        assert encoded is not None
        assert row.strength == report.all.estimates[0].strength
        assert row.bytes == fmean(len(encoded(picture, float(round(row.strength)))) for picture in PICTURES.values())


def test_what_cannot_be_coded_again_has_no_row(tmp_path: Path) -> None:
    command = f"{sys.executable} -c 'import sys, shutil; shutil.copy(*sys.argv[1:3])' {{input}} {{output}} {{strength}}"
    codec = {"copy": {"encode": command, "strengths": [1, 2, 3]}}
    runs = [
        measured(tmp_path / "not kept", ["jpeg"], keep_megabytes=0),
        measured(tmp_path / "command", ["copy"], codecs=codec),
        measured(tmp_path / "no codec", ["blur"]),
    ]
    for out in runs:
        with Report.open((out,)) as report:
            assert coded_size.rows(report.runs, report.apart) == ()
            assert "sizes" not in report.drawings


def test_a_row_codes_no_more_than_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = measured(tmp_path / "run", ["jpeg"])
    monkeypatch.setattr(coded_size, "MOST_PIXELS", 3 * 48 * 64 + 1)
    with Report.open((out,)) as report:
        assert coded_size.rows(report.runs, report.apart)[0].n in (2, 3)
