"""The paper's numbers: its printed matrix, averages, ranks, reductions and curve as outside oracles."""

import csv
import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from limen.analysis import paper
from limen.analysis.correlations import Matrix
from limen.analysis.paper import PaperAnalysis
from limen.cli import main
from limen.errors import InputError
from limen.report import correlations as tables

FOLDER = Path(str(files("limen"))) / "data/published"
# Reductions in per cent as printed in the prompting figure, in the order of the columns.
FIGURE = {
    "GPT-4o (2024-11-20)": (30.2, 38.0, 45.8, 29.9, 35.9, 38.4, 56.9),
    "Gemini 1.5 Pro": (54.2, 14.5, 22.1, 26.3, 2.8, 16.8, 47.6),
    "Qwen2.5-VL-7B": (57.6, 23.9, 22.8, 29.0, 0.9, 15.6, 86.0),
    "InternVL2.5-8B": (11.5, 21.7, 19.7, 4.0, 13.6, 14.7, 81.9),
}


@pytest.fixture(scope="module")
def found() -> PaperAnalysis:
    return paper.analysed()


def columns(models: set[str] | None = None) -> dict[str, list[float]]:
    """Read the table without the package: ">50" as 50, people left out."""
    with (FOLDER / "vpa_jnd_first_jnd.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["access"] != "human"]
    names = list(rows[0])[3:15]
    kept = [row for row in rows if models is None or row["model"] in models]
    return {name: [float(row[name].lstrip(">")) for row in kept] for name in names}


def value(matrix: Matrix, first: str, second: str) -> float:
    return matrix.values()[first][second]


def test_pearson_is_the_printed_matrix_in_every_cell(found: PaperAnalysis) -> None:
    ours = found.pearson.values()
    cells = 0
    with (FOLDER / "vpa_jnd_correlation.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for name in list(row)[1:]:
                assert abs(ours[row[""]][name] - float(row[name])) < 0.0005 + 1e-12, (row[""], name)
                cells += 1
    assert cells == 144
    assert {pair.correlation.n for pair in found.pearson.pairs} == {20}
    assert found.matrix["blur"]["jpeg"] == 0.425


def test_spearman_is_scipys_over_all_and_without_the_censored(found: PaperAnalysis) -> None:
    blind = {"DeepSeek-VL2-Tiny", "LLaVA-OneVision-7B", "LLaVA-OneVision-0.5B"}
    assert {score.observer for score in found.scores if score.censored} == blind
    seeing = {score.observer for score in found.scores} - blind
    for kept, matrices in (
        (None, (found.pearson, found.spearman)),
        (seeing, (found.pearson_uncensored, found.spearman_uncensored)),
    ):
        table = columns(kept)
        expected = stats.spearmanr(np.array(list(table.values())).T).statistic
        assert np.array([list(row.values()) for row in matrices[1].values().values()]) == pytest.approx(expected)
        linear = np.corrcoef(list(table.values()))
        assert np.array([list(row.values()) for row in matrices[0].values().values()]) == pytest.approx(linear)
        assert {pair.correlation.n for matrix in matrices for pair in matrix.pairs} == {20 if kept is None else 17}


def test_a_careful_reader_sees_other_correlations(found: PaperAnalysis) -> None:
    for first, second, pearson, spearman in (
        ("blur", "jpeg", 0.42, 0.81), ("banding", "angle", 0.91, 0.36), ("blur", "banding", 0.78, 0.12),
    ):  # fmt: skip
        assert value(found.pearson, first, second) == pytest.approx(pearson, abs=0.0061)
        assert value(found.spearman, first, second) == pytest.approx(spearman, abs=0.005)
    for matrix in (found.pearson, found.spearman, found.pearson_uncensored, found.spearman_uncensored):
        assert len(matrix.pairs) == 66
        for pair in matrix.pairs:
            assert pair.correlation.interval is not None
            assert -1 <= pair.correlation.interval.low < pair.correlation.interval.high <= 1


def test_averages_and_ranks_again(found: PaperAnalysis) -> None:
    assert len(found.recomputed) == 20
    assert [(r.observer, r.printed, round(r.average, 4)) for r in found.recomputed if not r.agrees] == [
        ("Qwen-VL-Max (2024-11-19)", "25.07", 25.09)
    ]
    assert all(row.rank == row.printed_rank for row in found.recomputed)
    assert sorted(row.rank for row in found.recomputed) == list(range(1, 21))
    means = np.mean(list(columns().values()), axis=0)
    assert [row.average for row in found.recomputed] == pytest.approx(list(means))


def test_every_ladder_with_the_same_weight(found: PaperAnalysis) -> None:
    assert {score.distortion for score in found.scores if score.levels == 100} == {"jpeg", "banding"}
    assert {score.levels for score in found.scores} == {50, 100}
    assert {score.levels for score in found.scores if score.censored} == {50, 100}
    assert all(score.mean == score.levels for score in found.scores if score.censored)
    table = columns()
    shares = [np.array(means) / (100 if name in {"jpeg", "banding"} else 50) for name, means in table.items()]
    ours = [average.of_ladder for average in found.averages if average.part == "all"]
    assert ours == pytest.approx(list(np.mean(shares, axis=0)))


def test_people_are_quoted_and_in_no_figure(found: PaperAnalysis) -> None:
    assert found.table[0].observer == paper.HUMAN
    assert found.table[0].cells["jpeg"] == "52.68"
    assert found.table[0].cells["banding"] == found.table[0].average == ""
    for rows in (found.scores, found.averages, found.ranks, found.recomputed):
        assert paper.HUMAN not in {row.observer for row in rows}


def test_all_reductions_are_those_of_the_figure(found: PaperAnalysis) -> None:
    names = list(paper.COLUMNS)[:7]
    shown = {(who, name): percent for who, row in FIGURE.items() for name, percent in zip(names, row, strict=True)}
    assert len(found.reductions) == len(shown) == 28
    for row in found.reductions:
        assert 100 * row.relative == pytest.approx(shown[row.observer, row.distortion], abs=0.0501)
        assert row.absolute == pytest.approx(row.implicit - row.explicit)
    explicit = {(s.observer, s.distortion): s.mean for s in found.scores}
    assert all(row.explicit == explicit[row.observer, row.distortion] for row in found.reductions)


def test_the_curve_is_a_quadratic_through_four_models(found: PaperAnalysis) -> None:
    drawn = {(row.parabola.part, row.without): row for row in found.curves}
    for part, left, top, right in (
        ("low-level", 18.1, 29.6, 27.2), ("3D", 14.3, 18.3, 15.9), ("all", 18.9, 25.3, 24.0),
    ):  # fmt: skip
        row = drawn[part, ()]
        assert row.fits
        assert len(row.parabola.observers) == 4
        assert sorted(round(ratio) for ratio in row.parabola.ratios) == [12, 107, 107, 180]
        assert row.parabola.top is not None
        shape = (row.parabola.left, row.parabola.top[1], row.parabola.right)
        assert shape == pytest.approx((left, top, right), abs=0.051)
    assert not drawn["injection", ()].fits
    assert drawn["injection", ("Qwen2.5-VL-72B",)].fits
    assert drawn["injection", ("Qwen2.5-VL-72B",)].parabola.residual == pytest.approx(0, abs=1e-9)
    assert len(drawn) == 5  # no other three fit it


def test_backbones_over_all_models_whose_sizes_are_known(found: PaperAnalysis) -> None:
    rows = {(row.kept, row.part, row.size): row.correlation for row in found.backbones}
    table = np.array(list(columns().values()))
    with (FOLDER / "vpa_jnd_models.csv").open(encoding="utf-8") as file:
        models = list(csv.DictReader(file))
    with (FOLDER / "vpa_jnd_first_jnd.csv").open(encoding="utf-8") as file:
        order = [row["model"] for row in csv.DictReader(file)][1:]
    jnd = [table[:, order.index(row["model"])].mean() for row in models]
    language, vision = ([float(row[key]) for row in models] for key in ("language_params_b", "vision_params_m"))
    for size, x in (
        ("Param_L", language),
        ("Param_V", vision),
        ("Param_L/Param_V", np.divide(language, vision)),
    ):
        correlation = rows["all", "all", size]
        assert correlation.value == pytest.approx(stats.spearmanr(x, jnd)[0])
        assert correlation.n == 16
        assert correlation.interval is not None
        assert correlation.kind == "spearman"
    assert {row.correlation.n for row in found.backbones if row.kept == "dense"} == {13}
    assert {row.part for row in found.backbones} == {"low-level", "injection", "3D", "all"}
    mixtures = [name for name, of in found.parameters.items() if of.mixture]
    assert mixtures == ["DeepSeek-VL2", "DeepSeek-VL2-Small", "DeepSeek-VL2-Tiny"]


def test_sizes_from_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "sizes.csv"
    path.write_text("model,vision_params_m,language_params_b\nmine,400,7\nclosed,,\n", encoding="utf-8")
    assert {name: of.ratio for name, of in paper.parameters(path).items()} == {"mine": 17.5}
    path.write_text("model,vision_params_m\nmine,400\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"sizes.csv lacks language_params_b"):
        paper.parameters(path)
    path.write_text("model,vision_params_m,language_params_b\nmine,400M,7\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"mine has '400M'"):
        paper.parameters(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as CSV"):
        paper.parameters(path)
    with pytest.raises(InputError, match="cannot be read"):
        paper.parameters(tmp_path / "none.csv")


def test_the_command_prints_json_with_everything() -> None:
    done = CliRunner().invoke(main, ["published", "--json"])
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert {"correlation", "spearman", "averages", "ranks", "reductions", "backbones", "censored", "source"} <= set(
        content
    )
    assert content["correlation"]["banding"]["angle"] == pytest.approx(0.912, abs=0.0005)
    assert len(content["pairs"]) == 66
    assert content["pairs"][0]["spearman_uncensored"]["n"] == 17
    (flagged,) = [row for row in content["averages"] if not row["agrees"]]
    assert (flagged["printed"], round(flagged["average"], 2)) == ("25.07", 25.09)
    assert (content["censored"]["k"], content["censored"]["n"]) == (11, 240)
    assert content["human"]["cells"]["jpeg"] == "52.68"
    assert any("restricted at L" in note for note in content["notes"])
    assert any("50 and of 100 levels" in note for note in content["notes"])
    assert {(row["points"], row["parameters"]) for row in content["backbones"]["curves"]} == {(4, 3), (3, 3)}


def test_the_command_prints_tables_that_say_what_they_are(found: PaperAnalysis) -> None:
    done = CliRunner().invoke(main, ["published", "--all"])
    assert done.exit_code == 0, done.output
    for words in ("25.090 !", "4 points, 3 parameters", "restricted at L", ">58.1 (20)", "does not fit", "active"):
        assert words in done.stdout
    shown = {table.title: table for table in tables.published_tables(found)}
    matrix = shown["Correlation between distortions over the models"]
    jpeg, blur = (matrix.columns.index(name) for name in ("jpeg", "blur"))
    assert matrix.rows[jpeg - 1][blur] == "0.43"  # Pearson's, .4254
    assert matrix.rows[blur - 1][jpeg] == "0.81"  # Spearman's
    contrasts = shown["Where the two coefficients part"]
    assert contrasts.rows[0][:2] == ("blur - banding", "0.776")
    assert max(len(row) for row in contrasts.rows) == len(contrasts.columns)
