"""A report's numbers and figures as files: complete, raw, safe to open in a spreadsheet."""

import csv
import dataclasses
import gc
import io
import json
import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image as Pillow

from limen.cli import run as run_command
from limen.image import png
from limen.observers.simulated import Simulated, SimulatedOptions
from limen.report import Report, examples, feature_sections, files, html, images, tables, viewer_data
from limen.report.figures import PAPER_WIDTH
from limen.report.images import Gallery
from limen.study import Spec, Study
from limen.testing import photograph
from tests.support.toy import Toy

EVIL = '=cmd|" /C calc"!A0'


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of chains with two observers, two questions, and a reference that calls itself a formula."""
    folder = tmp_path_factory.mktemp("photos")
    for name in ("a", "b", "c", "d", "e", "f", EVIL.replace("/", "_")):
        (folder / f"{name}.png").write_bytes(png(photograph(name, 48, 64)))
    spec = Spec(
        images=(str(folder),), observers=("simulated",), distortions=("blur", "noise"),
        questions=("direct", "direct-implicit"), procedure={"name": "skip", "orders": 3},
    )  # fmt: skip
    keen = Simulated("keen", SimulatedOptions(threshold=3, slope=1))
    dull = Toy(lambda query: "=1+1 no, the two images look the same.", "dull")
    out = tmp_path_factory.mktemp("run") / "run"
    dataclasses.replace(Study.plan(spec), observers=(keen, dull)).run(out)
    return out


@pytest.fixture(scope="module")
def written(chains: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    with Report.open([chains]) as report:
        files.tables(report, folder)
    return folder


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / f"{name}.csv").read_text())))


def test_every_table_is_there_as_json_csv_and_parquet(written: Path) -> None:
    from pyarrow import parquet

    content = json.loads((written / "results.json").read_text())
    run, every = content["runs"][0], content["together"]
    assert set(every) >= {
        "fits", "comparisons", "unnoticed", "changed", "satisfied", "safe", "repeats", "scored", "redundancy", "laws",
        "relations",
    }  # fmt: skip
    for name in ("jnds", "answers", "curves", "series"):
        assert len(rows(written, name)) == len(run[name]) > 0
        assert parquet.read_table(written / f"{name}.parquet").num_rows == len(run[name])
    for name in ("fits", "comparisons", "unnoticed", "redundancy"):
        assert len(rows(written, name)) == len(every[name]) > 0
    first = rows(written, "jnds")[0]
    assert first["run"] == "run"
    assert float(first["censored.n"]) == run["jnds"][0]["censored"]["n"]
    assert first["mean"] == str(run["jnds"][0]["mean"])


def test_no_cell_is_a_formula(written: Path) -> None:
    found = 0
    for file in written.glob("*.csv"):
        for row in csv.reader(io.StringIO(file.read_text())):
            for cell in row:
                if cell[:1] in ("=", "+", "@", "-"):
                    float(cell)  # a number may begin with a minus
                found += cell.startswith(f"'{EVIL[0]}")
    assert found > 0


def test_figures_are_drawn_for_paper(chains: Path, tmp_path: Path) -> None:
    with Report.open([chains]) as report:
        drawn = files.drawings(report, tmp_path / "figures")
    names = {file.stem for file in drawn}
    assert {"first-jnds", "nth-jnds", "unnoticed"} <= names
    for file in drawn:
        if file.suffix == ".svg":
            root = ElementTree.fromstring(file.read_text())
            assert root.tag.endswith("svg")
            assert "var(--" not in file.read_text()
        else:
            with Pillow.open(file) as picture:
                assert picture.width >= PAPER_WIDTH
                assert picture.convert("L").getextrema()[0] < 128, file.name


def test_a_card_is_one_picture(chains: Path, tmp_path: Path) -> None:
    with Report.open([chains]) as report:
        written = files.card(report, tmp_path / "card.png")
    with Pillow.open(written) as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000


def test_the_command_writes_them_beside_the_page(chains: Path, tmp_path: Path, capsys: Any) -> None:
    code = run_command([
        "report", str(chains), "--out", str(tmp_path / "r.html"), "--tables", str(tmp_path / "t"), "--card",
        str(tmp_path / "c.png"), "--embed", "0",
    ])  # fmt: skip
    assert code == 0
    assert gc.isenabled()
    assert (tmp_path / "r.html").stat().st_size > 10_000
    assert (tmp_path / "t" / "results.json").is_file()
    assert (tmp_path / "c.png").is_file()
    text = (tmp_path / "r.html").read_text()
    for title in ("Compared on the same references", "Perceptual redundancy", "Fitted thresholds, false alarms apart"):
        assert title in text
    assert "Implicit against explicit" in text


def test_a_folder_that_cannot_be_written_is_one_line(chains: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "file").write_text("")
    code = run_command(
        ["report", str(chains), "--out", str(tmp_path / "r.html"), "--tables", str(tmp_path / "file" / "t")]
    )
    assert code == 1
    assert "cannot be written" in capsys.readouterr().err


def test_backbones_of_the_users_own_models(photos: Path, tmp_path: Path) -> None:
    observers = [Simulated(f"m{i}", SimulatedOptions(threshold=2 + 2 * i, slope=0.5)) for i in range(5)]
    spec = Spec(images=(str(photos),), observers=("simulated",), distortions=("noise", "contrast"))
    dataclasses.replace(Study.plan(spec), observers=tuple(observers)).run(tmp_path / "run")
    sizes = tmp_path / "sizes.csv"
    lines = ["model,vision_params_m,language_params_b", *(f"simulated:m{i},300,{72 / 2**i}" for i in range(5))]
    sizes.write_text("\n".join(lines) + "\n")
    page, tables, drawn = tmp_path / "r.html", tmp_path / "t", tmp_path / "f"
    command = ["report", str(tmp_path / "run"), "--out", str(page), "--backbones", str(sizes), "--embed", "0"]
    assert run_command([*command, "--tables", str(tables), "--figures", str(drawn)]) == 0
    found = json.loads((tables / "results.json").read_text())["together"]["backbones"]
    whole = [row for row in found if row["part"] == "all" and row["size"] == "Param_L" and row["kept"] == "all"]
    assert whole[0]["correlation"]["value"] == pytest.approx(-1.0)
    assert "1st JND against the size of the backbones" in page.read_text()
    assert (drawn / "backbones.svg").is_file()


GOLDEN = Path(__file__).parent / "golden"


def test_golden_numbers(written: Path) -> None:
    """What a fixed small run gives, as CSV and as JSON; after a change that is meant, write the new text there."""
    wanted = ("observer", "question", "distortion", "order", "n", "mean", "median.level", "censored.k", "questions")
    lines = [",".join(wanted), *(",".join(row[column] for column in wanted) for row in rows(written, "jnds"))]
    assert "\n".join(lines) + "\n" == (GOLDEN / "report_jnds.csv").read_text()
    every = json.loads((written / "results.json").read_text())["together"]
    curves = {
        f"{row['observer']}, {row['question']}, {row['distortion']}": [round(x, 4) for x in row["curve"]["share"][:20]]
        for row in every["unnoticed"]
    }
    shares = [
        {key: row[key] for key in ("observer", "distortion", "question")} | row["count"] for row in every["redundancy"]
    ]
    assert {"unnoticed": curves, "redundancy": shares} == json.loads((GOLDEN / "report.json").read_text())


def test_faults_are_added_up_by_part(chains: Path) -> None:
    from limen.analysis import analyse
    from limen.report import tables
    from limen.store import Store

    with Store.open(chains) as store:
        analysis = analyse(store)
    lines = {row[:3]: row for row in tables.faults(analysis).rows}
    for observer in ("dull", "simulated:keen"):
        mine = [row for row in analysis.answers if (row.observer, row.question) == (observer, "direct")]
        line = lines["all low-level", observer, "direct"]
        assert line[3] == f"{sum(row.questions for row in mine):,}"
        wrong = (sum(row.inversions.k for row in mine), sum(row.inversions.n for row in mine))
        assert line[-1] == f"{wrong[0]} of {wrong[1]}"
    assert not any(row[0].startswith("all injection") for row in lines)


@pytest.mark.parametrize("option", ["--out", "--tables", "--figures", "--card", "--stimuli-beside"])
def test_what_cannot_be_written_is_found_before_the_work(
    tmp_path: Path, option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Report, "open", lambda *given, **named: pytest.fail("a run was opened"))
    (tmp_path / "file").write_text("")
    (tmp_path / "folder_stimuli").write_text("")
    places = [tmp_path / "file" / "below"]
    places += [tmp_path] if option in ("--out", "--card") else [tmp_path / "file"]
    for place in places:
        asked = {"--out": str(tmp_path / "page.html"), option: str(place)}
        if option == "--stimuli-beside":
            asked = {"--out": str(tmp_path / "folder.html"), option: ""}
        arguments = [word for pair in asked.items() for word in pair if word]
        assert run_command(["report", str(tmp_path / "run"), *arguments]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "cannot be written" in line
        assert line.endswith("Give another --out." if option in ("--out", "--stimuli-beside") else "another place.")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder_stimuli"]


def test_places_that_can_be_written_are_not_made_by_the_look(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("of an earlier report")
    for out, folder in ((tmp_path / "page.html", False), (tmp_path / "a" / "b.html", False), (tmp_path / "c", True)):
        files.check(out, folder)
    files.check(Path("relative.html"))
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_report_that_is_stopped_leaves_no_half_file(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = Spec(images=(str(photos),), observers=("simulated",), distortions=("noise",), limit=2)
    Study.plan(spec).run(tmp_path / "run")
    folder = tmp_path / "pages"
    folder.mkdir()
    command = ["report", str(tmp_path / "run"), "--out", str(folder / "page.html"), "--stimuli-beside"]

    def stop(*given: object) -> None:
        raise KeyboardInterrupt

    def stopped() -> None:
        for place, name in ((html, "render"), (os, "fsync")):  # while it is drawn, and while it is written
            with monkeypatch.context() as patch:
                patch.setattr(place, name, stop)
                assert run_command(command) == 130
            assert capsys.readouterr().err.splitlines()[-1] == "limen: stopped."

    stopped()
    assert not list(folder.iterdir())
    assert run_command(command) == 0
    whole = {path: path.read_bytes() for path in folder.rglob("*.*")}
    assert len(whole) > 10
    stopped()
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == whole, "of the earlier page"


def test_every_object_shows_itself_on_a_screen(chains: Path, tmp_path: Path) -> None:
    with Report.open([chains]) as report:
        on_page = viewer_data.on_page([(run.store, run.analysis) for run in report.runs], report.all)
        gallery = Gallery(12e6)
        viewer_data.data(on_page, report.all, report.names.asked, gallery)
        table = tables.first_jnds(report.all)
        picture = images.thumbnail(photograph("a", 300, 400))
        objects = [
            report, *report.runs, report.names, report.statistics, *report.sections, table, gallery, *on_page, picture,
            examples.Stimulus(picture), feature_sections.Contribution(("x" * 9000,), (), {"a": [1] * 9000}),
            dataclasses.replace(report, others={"x" * 9000: report.runs[0].store}),
        ]  # fmt: skip
        for shown in objects:
            assert type(shown).__name__ in repr(shown)
            assert len(repr(shown)) < 500
            assert "\n" not in repr(shown)
