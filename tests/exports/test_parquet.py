"""Parquet export: every row, the same types for every run, no pictures."""

import shutil
import sys
from pathlib import Path

import pytest

from limen.cli import run as command
from limen.errors import InputError, MissingExtraError, StoreError
from limen.exports.parquet import to_parquet
from limen.image import png
from limen.report import bundle
from limen.store import TABLES, Store
from limen.study import Spec, Study
from limen.testing import photograph


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    for name in "ab":
        (folder / f"{name}.png").write_bytes(png(photograph(name, 48, 64)))
    Study.plan(Spec(images=(str(folder),), observers=("simulated",), distortions=("blur",))).run(folder / "run")
    return folder / "run"


def test_every_row_and_no_picture(run: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    files = to_parquet(run, tmp_path / "deep" / "tables")
    assert [file.name for file in files] == [f"{table}.parquet" for table in TABLES]
    assert sorted(file.name for file in files[0].parent.iterdir()) == sorted(file.name for file in files)
    with Store.open(run) as store:
        for file in files:
            names, rows = store.columns(file.stem)
            found = parquet.read_table(file)
            assert found.column_names == names
            assert list(zip(*found.to_pydict().values(), strict=True)) == rows
    blobs = {file.stem for file in files for field in parquet.read_schema(file) if "binary" in str(field.type)}
    assert blobs == {"prior", "measurement"}  # what waves began with, JSON; no picture


def test_types_do_not_depend_on_what_a_run_holds(run: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    with Store.create(tmp_path / "empty", {"observers": {}}):
        pass
    for full, empty in zip(
        to_parquet(run, tmp_path / "a"), to_parquet(tmp_path / "empty", tmp_path / "b"), strict=True
    ):
        assert parquet.read_schema(full) == parquet.read_schema(empty)
        assert "null" not in {str(field.type) for field in parquet.read_schema(full)}
    answers = parquet.read_schema(tmp_path / "a" / "answer.parquet")
    assert str(answers.field("tokens_in").type) == "int64"
    assert str(answers.field("p_yes").type) == "double"


def test_what_goes_wrong(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        to_parquet(run, tmp_path / "file")
    assert command(["export", str(tmp_path), "--to", "parquet", "--out", str(tmp_path / "out")]) == 1
    assert "not a run directory" in capsys.readouterr().err
    for arguments in (["--to", "parquet"], ["--out", "o"], ["--to", "parquet", "--out", "o", "--parquet", "p"]):
        assert command(["export", str(run), *arguments]) == 1
        assert "limen export RUN --to KIND --out PATH" in capsys.readouterr().err
    assert command(["export", str(run), "--to", "parkett", "--out", str(tmp_path / "out")]) == 1
    assert "Did you mean 'parquet'?" in capsys.readouterr().err
    with pytest.raises(StoreError):
        to_parquet(tmp_path, tmp_path / "out")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"\.\[parquet\]"):
        to_parquet(run, tmp_path / "out")


def test_the_old_option_writes_the_same_files(run: Path, tmp_path: Path) -> None:
    for name, arguments in (("new", ["--to", "parquet", "--out"]), ("old", ["--parquet"])):
        assert command(["export", str(run), *arguments, str(tmp_path / name)]) == 0
    new, old = ({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("new", "old"))
    assert new == old
    assert len(new) == len(TABLES)


def test_a_bundle_is_exported_as_its_run_and_several_runs_each_to_a_folder(run: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    def exported(what: Path, out: Path) -> list[list[tuple[object, ...]]]:
        assert command(["export", str(what), "--to", "parquet", "--out", str(out)]) == 0
        told = {"query": ("series", "level", "key"), "answer": ("key", "text"), "series": ("id", "name", "picture")}
        tables = {name: parquet.read_table(out / f"{name}.parquet").to_pydict() for name in told}
        return [sorted(zip(*(tables[name][one] for one in of), strict=True)) for name, of in told.items()]

    direct = exported(run, tmp_path / "run")
    bundle.write([run], tmp_path / "one.zip")
    assert exported(tmp_path / "one.zip", tmp_path / "one") == direct
    shutil.copytree(run, tmp_path / "again")
    bundle.write([run, tmp_path / "again"], tmp_path / "two.zip")
    assert command(["export", str(tmp_path / "two.zip"), "--to", "parquet", "--out", str(tmp_path / "two")]) == 0
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["again", "run"]
    for name in ("again", "run"):
        assert {path.stem for path in (tmp_path / "two" / name).iterdir()} == set(TABLES)


def test_where_a_bundle_cannot_be_read_a_line_says_what_reads_it(run: Path, tmp_path: Path) -> None:
    bundle.write([run], tmp_path / "one.zip")
    with pytest.raises(StoreError, match=r"one\.zip is a file, not a run .* a bundle is read by limen report"):
        Store.open(tmp_path / "one.zip")
