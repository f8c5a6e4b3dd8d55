"""The feature wing in the report: tables from rows of numbers, checked by hand; drawn without torch."""

import math
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from limen import image
from limen.errors import StoreError
from limen.report import Report, feature_sections, feature_tables, figures
from limen.statistics.inference import mean
from limen.store import Store
from limen.testing import photograph

MANIFEST: dict[str, Any] = {
    "limen": "0.1.0",
    "git": None,
    "created": "2026-01-01T00:00:00",
    "versions": {"python": "3.11"},
    "wing": "feature",
    "plan": {"model": "net", "split": "a.b", "task": "classification", "data": "scenes", "seeds": 3, "eps": 0.05,
             "rho": 0.1, "drop": "kl", "sizes": {"fit": 10, "calibrate": 20, "test": 30}, "maps": {}},
    "measures": {"score": "top-1 accuracy", "discrepancy": "KL", "drop": "KL in nats"},
    "network": {"name": "net", "digest": "0" * 32, "parameters": 5},
    "split": {"leak": {"logits": 0.0}, "change": {"logits": 1.0}, "idle": [], "shapes": [[4, 2, 2]], "elements": 16,
              "image": [3, 8, 8], "flops": 1},
}  # fmt: skip


def row(label: str, strength: float, seed: int, discrepancy: float, score: float = 0.5) -> dict[str, Any]:
    return {"map": label, "nrmse": strength, "seed": seed, "n": 30, "score": score, "discrepancy": discrepancy,
            "energy_top1": 0.2, "energy_top10": 0.6}  # fmt: skip


ROWS = [
    *({"map": "clean", "nrmse": 0.0, "seed": seed, "n": 30, "score": 0.9} for seed in range(3)),
    *(row("gaussian", 1.0, seed, value) for seed, value in enumerate((0.4, 0.5, 0.8))),
    *(row("fisher", 1.0, seed, value, 0.8) for seed, value in enumerate((0.1, 0.125, 0.1))),
    *(row("gaussian", 0.5, seed, 0.05) for seed in range(3)),
    *(row("fisher", 0.5, seed, 0.06) for seed in range(3)),
]
CALIBRATED = [
    {"map": "fisher", "seed": seed, "kept": kept, "n": 30, "band_low": 0.7, "band_high": 1.0, "nrmse": 0.5,
     "log2_magnitude": -1.0, "n_calibrate": 20, "censored": 1}
    for seed, kept in enumerate((27, 30, 24))
]  # fmt: skip
QUANTISED = [
    {"steps": steps, "budget": budget, "actual_noise": budget * 0.9, "bits": 2 - budget, "side_bits": 0.01,
     "score": 0.5, "discrepancy": budget * worse, "seed": seed, "n": 30}
    for steps, worse in (("uniform", 2.0), ("tolerance:fisher", 1.0)) for budget in (0.3, 0.6) for seed in range(3)
]  # fmt: skip
EQUAL = [
    {"steps": steps, "discrepancy": 0.1, "bits": bits, "side_bits": 0.01, "ratio": bits, "ratio_image": bits, "n": 30,
     "seed": seed}
    for steps, bits in (("uniform", 1.0), ("tolerance:fisher", 0.5), ("absmax", None)) for seed in range(3)
]  # fmt: skip
ATTRIBUTED = [
    {
        "map": "fisher",
        "inside": 0.1,
        "area": 0.2,
        "density": 0.5,
        "prefix": 0.0,
        "correlation": -0.6,
        "n": 9,
        "seed": seed,
    }
    for seed in range(3)
]


@pytest.mark.parametrize("n", [2, 3, 4, 5, 11, 30])
def test_a_mean_over_seeds_has_students_interval(n: int) -> None:
    values = [math.sin(i) for i in range(n)]
    found = mean(values)
    assert found.interval
    low, high = stats.t.interval(0.95, n - 1, loc=sum(values) / n, scale=stats.sem(values))
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))


def test_one_value_has_no_interval_and_none_no_mean() -> None:
    assert mean([3.0]).interval is None
    assert math.isnan(mean([]).value)


def test_the_best_map_stands_first_at_the_strength_next_to_one() -> None:
    table = feature_tables.scores(MANIFEST, ROWS)
    assert [cells[0] for cells in table.rows] == ["fisher", "gaussian"]
    assert table.columns == ("map", "top 1 %", "top 10 %", "0.5", "1")
    assert table.rows[0][4] == "0.800 / 0.108"
    assert "undisturbed 0.900 (0.900–0.900)" in table.title


def test_energy_of_several_tensors_is_shown_beside_their_size() -> None:
    several = MANIFEST | {"split": MANIFEST["split"] | {"shapes": [[4, 2, 2], [4, 4, 4]]}}
    rows = [row("fisher", 1.0, seed, 0.1) | {"energy_tensors": [0.4, 0.6]} for seed in range(2)]
    table = feature_tables.by_tensor(several, rows)
    assert table.columns == ("map", "4x2x2", "4x4x4")
    assert table.rows == (("all elements alike", "0.200", "0.800"), ("fisher", "0.400", "0.600"))


def test_ratios_to_gaussian_are_paired_by_seed() -> None:
    (cells,) = feature_tables.ratios(MANIFEST, ROWS).rows
    logarithms = [math.log(a / b) for a, b in ((0.1, 0.4), (0.125, 0.5), (0.1, 0.8))]
    centre = sum(logarithms) / 3
    low, high = stats.t.interval(0.95, 2, loc=centre, scale=stats.sem(logarithms))
    assert cells == ("fisher", "1.2 (1.2–1.2)", f"{math.exp(centre):.3g} ({math.exp(low):.3g}–{math.exp(high):.3g})")


def test_coverage_is_pooled_and_shown_by_seed() -> None:
    (cells,) = feature_tables.calibrations(MANIFEST, CALIBRATED).rows
    named = dict(zip(feature_tables.calibrations(MANIFEST, CALIBRATED).columns, cells, strict=True))
    assert named["coverage"] == "0.900"
    assert named["by seed"] == "0.900, 1.000, 0.800"
    assert named["censored"] == "3 of 60"


def test_bits_that_no_budget_reaches_are_said_to_be_outside() -> None:
    cells = {one[0]: one[1:] for one in feature_tables.equal_rates(MANIFEST, EQUAL).rows}
    assert cells["absmax"] == ("outside the budgets", "", "", "")
    assert cells["tolerance:fisher"][2] == "0.500 (0.500–0.500)"


def test_a_column_that_is_empty_is_left_out() -> None:
    table = feature_tables.attributions(MANIFEST, ATTRIBUTED)
    assert "class token" not in table.columns
    assert len(table.rows[0]) == len(table.columns)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "deep"
    stages = {
        "evaluate": ROWS,
        "calibrate": CALIBRATED,
        "quantise": QUANTISED,
        "equal-rate": EQUAL,
        "attribute": ATTRIBUTED,
    }
    with Store.create(path, MANIFEST) as store:
        for stage, rows in stages.items():
            store.add_measurements(stage, {f"{i:03}": each for i, each in enumerate(rows)})
    return path


def test_the_page_has_every_stage_and_the_sentence(run: Path, tmp_path: Path) -> None:
    with Report.open([run]) as report:
        report.page(tmp_path / "page.html")
        data = report.data()
        assert all(figures.on_paper(spec).startswith("<svg") for spec in report.specifications(1060).values())
        assert len(report.specifications(1060)) == 4
    page = (tmp_path / "page.html").read_text()
    for title in ("at equal strength", "what is promised", "quantised", "where maps put their energy"):
        assert title in page
    assert "Top-1 accuracy at NRMSE 1: fisher 0.800 (0.800–0.800); gaussian 0.500 (0.500–0.500)" in page
    assert len(data["wings"]["feature"]["evaluate"]) == len(ROWS)


def test_a_report_of_features_needs_no_torch(run: Path, tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['torch'] = None; sys.modules['transformers'] = None\n"
        "from limen.cli import run\n"
        f"sys.exit(run(['report', {str(run)!r}, '--out', {str(tmp_path / 'page.html')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_curves_show_seven_maps_at_most_and_name_each() -> None:
    many = [row(f"map {i}", s, 0, 0.1 * s + i) for i in range(12) for s in (0.5, 1.0)]
    spec = feature_sections.against_strength(MANIFEST, [*ROWS, *many], 1060)
    drawn = {value["who"] for panel in spec["hconcat"] for layer in panel["layer"] for value in layer["data"]["values"]
             if "who" in value}  # fmt: skip
    assert len(drawn) == 7
    assert {"gaussian", "fisher"} <= drawn


def test_the_curves_say_which_maps_they_leave_out() -> None:
    few = [{"map": name, "seed": 0} for name in ("clean", "gaussian", "fisher")]
    many = [{"map": f"map {n}", "seed": seed} for n in range(9) for seed in (0, 1)]
    assert feature_sections.curves_of(few) == "Score and discrepancy against NRMSE, for each map"
    told = feature_sections.curves_of(many)
    assert "7 of 9 maps" in told
    assert "over seeds" in told


def test_a_rate_that_few_seeds_reach_says_how_many() -> None:
    rows = [
        {"steps": "absmax", "seed": seed, "n": 50, "discrepancy": 0.1, "bits": bits, "side_bits": 0.01,
         "ratio": bits, "ratio_image": None, "same_bits_discrepancy": 0.2, "same_bits_score": 0.9}
        for seed, bits in enumerate((1.0, 2.0, None))
    ]  # fmt: skip
    table = feature_tables.equal_rates(MANIFEST, rows)
    (cells,) = table.rows
    assert cells[1].endswith("2 of 3 seeds")
    assert "to one step an image" not in table.columns  # nothing to tell
    assert cells[-1].startswith("0.900 (")


# What is said is what was measured.


def kept(path: Path, **stages: list[dict[str, Any]]) -> Path:
    with Store.create(path, MANIFEST) as store:
        for stage, rows in stages.items():
            name = stage.replace("_", "-")
            store.add_measurements(name, {f"{i:03}": each for i, each in enumerate(rows)})
    return path


def told_of(path: Path, **stages: list[dict[str, Any]]) -> tuple[str, str]:
    """Return the sentence of a run and the introduction of its first section."""
    with Report.open([kept(path, **stages)]) as report:
        (sentence,) = report.sentences
        return sentence, next((section.about for section in report.sections), "")


def test_the_sentence_says_which_seeds_were_evaluated_not_which_were_planned(tmp_path: Path) -> None:
    two = [each for each in ROWS if each["seed"] < 2]
    sentence, about = told_of(tmp_path / "two", evaluate=two)
    assert "2 of 3 planned seeds of 30 images" in sentence
    assert "2 of 3 planned seeds; each fits on 10" in about
    sentence, about = told_of(tmp_path / "all", evaluate=ROWS, calibrate=CALIBRATED)
    assert "scenes, 3 seeds of 30 images" in sentence
    assert ". 3 seeds; each fits on 10" in about
    _, about = told_of(tmp_path / "unlike", evaluate=two, calibrate=CALIBRATED)
    assert "Not all of 3 planned seeds (calibrate 3, evaluate 2); each" in about
    sentence, _ = told_of(tmp_path / "calibrated", calibrate=CALIBRATED[:1])
    assert "1 of 3 planned seeds, calibrated (20 images a seed to calibrate on), nothing compared yet" in sentence


def test_maps_of_unlike_seeds_are_quoted_over_those_they_share(tmp_path: Path) -> None:
    rows = [each for each in ROWS if not (each["map"] == "gaussian" and each["seed"] == 2)]
    sentence, _ = told_of(tmp_path / "run", evaluate=rows)
    assert "2 of 3 planned seeds" in sentence
    table = feature_tables.scores(MANIFEST, rows)
    assert dict(zip(table.columns, table.rows[1], strict=True))["1"] == "0.500 / 0.450, 2 of 3 seeds"
    assert "fewer seeds: gaussian 2" in table.notes[-1]
    assert feature_tables.ratios(MANIFEST, rows).rows[0][-1].endswith(", 2 of 3 seeds")
    apart = [each for each in ROWS if each["seed"] == {"fisher": 0, "gaussian": 1}.get(each["map"], 0)]
    sentence, _ = told_of(tmp_path / "apart", evaluate=apart)
    assert "fisher 0.800 (seed 0); gaussian 0.500 (seed 1)" in sentence


def test_what_was_compared_at_other_strengths_and_other_maps_is_quoted_too(tmp_path: Path) -> None:
    rows = [row(label, strength, 0, 0.1) for label in ("mine", "gaussian") for strength in (0.25, 2.0)]
    sentence, _ = told_of(tmp_path / "run", evaluate=rows)
    assert "Top-1 accuracy at NRMSE 0.25: " not in sentence
    assert "at NRMSE 2: mine 0.500; gaussian 0.500 (limen" in sentence
    sentence, _ = told_of(tmp_path / "alone", evaluate=[row("gaussian", 1.0, 0, 0.1)])
    assert sentence.count("gaussian") == 1


def test_an_evaluation_that_stopped_after_the_clean_images_is_reported(tmp_path: Path) -> None:
    sentence, _ = told_of(tmp_path / "run", evaluate=ROWS[:1])
    assert "nothing compared yet" in sentence
    with Report.open([tmp_path / "run"]) as report:
        report.page(tmp_path / "page.html")


def test_a_stage_run_again_with_other_images_counts_each_seed_once(tmp_path: Path) -> None:
    less = [each | {"n": 4, "inside": 0.9, "density": 9.0, "correlation": 0.5} for each in ATTRIBUTED[:2]]
    table = feature_tables.attributions(MANIFEST, [*less, *ATTRIBUTED])
    assert table == feature_tables.attributions(MANIFEST, ATTRIBUTED)
    assert "3 seeds, 9 images" in table.notes[-1]
    with Report.open([kept(tmp_path / "run", attribute=[*less, *ATTRIBUTED])]) as report:
        (values,) = (spec["layer"][0]["data"]["values"] for spec in report.specifications(700).values())
    assert [value["to"] for value in values] == [pytest.approx(0.5)]


def test_numbers_that_are_none_are_not_left_blank() -> None:
    none = [each | {"score": None, "discrepancy": None} if each["map"] == "fisher" else each for each in ROWS]
    cells = {one[0]: one[1:] for one in feature_tables.scores(MANIFEST, none).rows}
    assert cells["fisher"][2:] == ("no number", "no number")
    assert feature_tables.ratios(MANIFEST, none).rows[-1][1:] == ("no number", "no number")
    partly = [each for each in ROWS if (each["map"], each["nrmse"]) != ("fisher", 0.5)]
    assert {one[0]: one for one in feature_tables.scores(MANIFEST, partly).rows}["fisher"][3] == "not run"
    (row,) = feature_tables.calibrations(MANIFEST, [each | {"log2_magnitude": None} for each in CALIBRATED]).rows
    assert row[2] == "none, some magnitudes are 0"
    empty = [each | {"inside": None, "density": None, "n": 0, "empty": 9} for each in ATTRIBUTED]
    (row,) = feature_tables.attributions(MANIFEST, empty).rows
    assert "no energy" in row
    assert row[-1] == "0, 27 without energy left out"


def test_a_ratio_of_nothing_is_nothing() -> None:
    still = [each | {"discrepancy": 0.0} if each["map"] == "fisher" and each["seed"] == 0 else each for each in ROWS]
    (cells,) = feature_tables.ratios(MANIFEST, still).rows
    assert cells[2].startswith("0.125 (")  # the mean of 0, .25 and .125: all three seeds count


def test_rates_that_no_budget_reaches_say_up_to_where_they_were_tried() -> None:
    rows = [
        {"steps": steps, "seed": seed, "n": 50, "discrepancy": 0.1, "bits": bits, "side_bits": bits and 0.01,
         "ratio": None, "ratio_image": None, "same_bits_discrepancy": None, "same_bits_score": None,
         "censored": "" if bits else side, "limit": None if bits else limit, "why": "" if bits else why}
        for steps, side, why, given in (
            ("absmax", "fewer", "discrepancy 0.1 is not reached up to budget 3",
             ((None, 0.7), (None, 0.5), (None, 0.6))),
            ("uniform", "more", "discrepancy 0.1 is passed at the smallest budget",
             ((1.0, None), (None, 2.0), (2.0, None))),
        )
        for seed, (bits, limit) in enumerate(given)
    ]  # fmt: skip
    table = feature_tables.equal_rates(MANIFEST, rows)
    cells = {one[0]: one[1] for one in table.rows}
    assert cells["absmax"] == "< 0.700"
    assert cells["uniform"].endswith(", 2 of 3 seeds; > 2.000 with 1 of 3 seeds")
    assert any("absmax: with seed 0 discrepancy 0.1 is not reached up to budget 3" in note for note in table.notes)
    assert any("uniform: with seed 1 discrepancy 0.1 is passed" in note for note in table.notes)


def test_a_figure_that_leaves_kinds_of_steps_out_says_so(tmp_path: Path) -> None:
    many = [each | {"steps": f"static:map {i}"} for i in range(9) for each in QUANTISED[:6]]
    with Report.open([kept(tmp_path / "run", quantise=many, equal_rate=EQUAL)]) as report:
        (label,) = (label for _, label, _ in report.drawings.values())
    assert "7 of 9 kinds of steps (all are in the table)" in label


def test_a_picture_that_is_not_the_one_kept_is_refused(tmp_path: Path) -> None:
    path = kept(tmp_path / "run", attribute=ATTRIBUTED, picture=[{"place": 0, "label": "image", "digest": "a" * 32}])
    for png in (image.png(photograph("a", 64, 64)), b"%!PS-Adobe-3.0 EPSF-3.0"):
        with sqlite3.connect(path / "trials.db") as database:
            database.execute("INSERT OR REPLACE INTO picture VALUES (?, ?)", ("a" * 32, png))
        with pytest.raises(StoreError, match="the picture 'image'"), Report.open([path]) as report:
            report.page(tmp_path / "page.html")


@pytest.mark.parametrize(
    ("entry", "value", "said"),
    [
        ("split", {"leak": {}}, "leak"),
        ("plan", {"seeds": "3"}, "plan.seeds"),
        ("measures", {"score": 3}, "measures.score"),
        ("network", None, "network"),
        ("created", ..., "created"),
    ],
)
def test_a_manifest_with_an_entry_of_another_type_is_one_line(
    entry: str, value: Any, said: str, tmp_path: Path
) -> None:
    made = MANIFEST | {entry: MANIFEST[entry] | value if isinstance(value, dict) else value}
    with Store.create(tmp_path / "run", {key: one for key, one in made.items() if one is not ...}):
        pass
    with pytest.raises(StoreError, match=said) as caught, Report.open([tmp_path / "run"]) as report:
        report.page(tmp_path / "page.html")
    assert "\n" not in str(caught.value)
