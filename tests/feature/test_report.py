"""The feature wing in the report: tables from rows of numbers, checked by hand; drawn without torch."""

import math
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from limen import image
from limen.errors import StoreError
from limen.report import Report, feature_figures, feature_sections, feature_tables, figures
from limen.report.feature_screen import FirstScreen
from limen.report.format import Table
from limen.statistics.inference import mean
from limen.store import Store
from limen.store.rows import HEAT
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
    assert table.columns == ("map", "0.5", "1")
    assert table.rows[0][2] == "0.800 (0.800–0.800)"
    assert "Without noise it is 0.900 (0.900–0.900)" in table.notes[0]
    moved = feature_tables.discrepancies(MANIFEST, ROWS)
    assert [cells[0] for cells in moved.rows] == ["fisher", "gaussian"]
    assert moved.rows[0][2].startswith("0.108 (")


def test_maps_that_take_the_head_are_named_by_what_they_are_whatever_their_label() -> None:
    told = "a sender would need the head"
    maps = {"fisher": ["fisher", {}], "mine": ["own-fisher", {}], "image-fisher": ["image-fisher", {}]}
    manifest = MANIFEST | {"plan": MANIFEST["plan"] | {"maps": maps}}
    rows = [row(label, 1.0, 0, 0.1) for label in maps]
    notes = [note for note in feature_tables.discrepancies(manifest, rows).notes if told in note]
    assert len(notes) == 1
    assert "head: mine, image-fisher." in notes[0]
    assert not any(told in note for note in feature_tables.discrepancies(manifest, rows[:1]).notes)


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


def named(table: Table) -> dict[str, dict[str, str]]:
    """Return the cells of a table by the first of each row and by column."""
    return {cells[0]: dict(zip(table.columns, cells, strict=True)) for cells in table.rows}


def test_coverage_stands_beside_the_promise_with_a_word() -> None:
    cells = named(feature_tables.calibrations(MANIFEST, CALIBRATED))["fisher"]
    assert cells["promised"] == "0.900"
    assert cells["observed (95 %)"] == "0.900 (0.821–0.946)"  # Wilson's interval of 81 of 90
    assert cells["test images"] == "90"
    assert cells["verdict"] == "cannot tell yet"  # twice the failures would lie within what is expected
    many = [each | {"n": 500, "n_calibrate": 500, "kept": 450} for each in CALIBRATED]
    assert named(feature_tables.calibrations(MANIFEST, many))["fisher"]["verdict"] == "kept"
    broken = [each | {"kept": 400} for each in many]
    assert named(feature_tables.calibrations(MANIFEST, broken))["fisher"]["verdict"] == "not kept"
    by_seed = feature_tables.calibrations_by_seed(CALIBRATED)
    assert [cells[:4] for cells in by_seed.rows] == [
        ("fisher", "0", "0.900", "30"), ("fisher", "1", "1.000", "30"), ("fisher", "2", "0.800", "30")
    ]  # fmt: skip


def test_bits_that_no_budget_reaches_are_said_not_to_be() -> None:
    cells = named(feature_tables.equal_rates(MANIFEST, EQUAL))
    assert cells["absmax"] == {
        "steps": "absmax", "bits an element": "not reached", "seeds that reach it": "0 of 3", "kB an image": "-",
        "side bits": "-", "to uniform": "-", "to one step an image": "-",
    }  # fmt: skip
    assert list(cells) == ["tolerance:fisher", "uniform", "absmax"]  # the fewest bits first, what is not reached last
    assert cells["tolerance:fisher"]["to uniform"] == "0.50 (0.50–0.50)"
    assert cells["tolerance:fisher"]["kB an image"] == "0.001"  # half a bit of 16 elements


def test_no_cell_holds_numbers_of_two_meanings() -> None:
    """A number, with its interval in brackets or as k of n, or a word: nothing divided by / ; or a comma."""
    shown = [
        *feature_tables.compared(MANIFEST, ROWS), feature_tables.calibrations(MANIFEST, CALIBRATED),
        feature_tables.calibrations_by_seed(CALIBRATED), feature_tables.rates(MANIFEST, QUANTISED),
        feature_tables.equal_rates(MANIFEST, EQUAL), feature_tables.attributions(MANIFEST, ATTRIBUTED),
    ]  # fmt: skip
    number = r"[<>] ?[\d.]+|-?[\d.,]+( \(-?[\d.]+(–| to )-?[\d.]+\))?\*?|\d+ of \d+"
    for table in shown:
        for cells in table.rows:
            for cell in cells[table.heads :]:
                assert re.fullmatch(number, cell) or not re.search(r"\d", cell), (table.title, cell)


def test_headings_and_captions_do_not_repeat_one_another(run: Path) -> None:
    with Report.open([run]) as report:
        said = [
            text
            for section in report.sections
            for text in (
                section.title,
                *(table.title for table in section.tables),
                *(label for _, label, _ in section.figures),
            )
        ]
    plain = [re.sub(r"[^a-z ]", "", text.lower()) for text in said]
    assert len(set(plain)) == len(plain)
    assert not [(one, other) for one in plain for other in plain if one != other and one in other]


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
    for title in ("Noise of equal strength", "Noise borne with a promise, and whether it is kept",
                  "Bits, and what they cost the task",
                  "Where the noise goes"):  # fmt: skip
        assert f">{title}</h3>" in page
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
    spec = feature_figures.against_strength(MANIFEST, [*ROWS, *many], 1060)
    drawn = {value["who"] for panel in spec["hconcat"] for layer in panel["layer"] for value in layer["data"]["values"]
             if "who" in value}  # fmt: skip
    assert len(drawn) == 7
    assert {"gaussian", "fisher"} <= drawn


def test_the_curves_say_which_maps_they_leave_out() -> None:
    few = [{"map": name, "seed": 0} for name in ("clean", "gaussian", "fisher")]
    many = [{"map": f"map {n}", "seed": seed} for n in range(9) for seed in (0, 1)]
    assert "for each map; dashed" in feature_figures.curves_of(few)
    assert "bars" not in feature_figures.curves_of(few)
    assert "over the test images" in feature_figures.curves_of([few[0], few[1] | {"score_low": 0.5}])
    told = feature_figures.curves_of(many)
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
    assert cells[1].endswith("*")
    assert cells[2] == "2 of 3"
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
    assert "(3 seeds of 30 images). Measured by limen 0.1.0" in sentence
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
    assert named(table)["gaussian"]["1"] == "0.500 (0.500–0.500)*"
    assert table.notes[0] == "* Over fewer seeds: gaussian at 0.5: 2 of 3; gaussian at 1: 2 of 3."
    assert "fewer seeds: gaussian 2" in table.notes[-1]
    ratios = feature_tables.ratios(MANIFEST, rows)
    assert ratios.rows[0][-1].endswith("*")
    assert "* Over fewer seeds: fisher at 0.5: 2 of 3; fisher at 1: 2 of 3." in ratios.notes
    apart = [each for each in ROWS if each["seed"] == {"fisher": 0, "gaussian": 1}.get(each["map"], 0)]
    sentence, _ = told_of(tmp_path / "apart", evaluate=apart)
    assert "fisher 0.800 (seed 0); gaussian 0.500 (seed 1)" in sentence


def test_what_was_compared_at_other_strengths_and_other_maps_is_quoted_too(tmp_path: Path) -> None:
    rows = [row(label, strength, 0, 0.1) for label in ("mine", "gaussian") for strength in (0.25, 2.0)]
    sentence, _ = told_of(tmp_path / "run", evaluate=rows)
    assert "Top-1 accuracy at NRMSE 0.25: " not in sentence
    assert "at NRMSE 2: mine 0.500; gaussian 0.500 (1 of 3 planned seeds of 30 images). Measured by" in sentence
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
    assert cells["fisher"] == ("no number", "no number")
    assert feature_tables.ratios(MANIFEST, none).rows[-1][1:] == ("no number", "no number")
    partly = [each for each in ROWS if (each["map"], each["nrmse"]) != ("fisher", 0.5)]
    assert named(feature_tables.scores(MANIFEST, partly))["fisher"]["0.5"] == "not run"
    (row,) = feature_tables.calibrations(MANIFEST, [each | {"log2_magnitude": None} for each in CALIBRATED]).rows
    assert row[-1] == "none, some magnitudes are 0"
    empty = [each | {"inside": None, "density": None, "n": 0, "empty": 9} for each in ATTRIBUTED]
    (row,) = feature_tables.attributions(MANIFEST, empty).rows
    assert "no energy" in row
    assert row[-2:] == ("0", "27")


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
    assert cells["uniform"].startswith("1.500 (")
    assert cells["uniform"].endswith("*")
    assert any("absmax: with seed 0 discrepancy 0.1 is not reached up to budget 3" in note for note in table.notes)
    assert any("uniform: with seed 1 discrepancy 0.1 is passed" in note for note in table.notes)


def test_a_figure_that_leaves_kinds_of_steps_out_says_so(tmp_path: Path) -> None:
    many = [each | {"steps": f"static:map {i}"} for i in range(9) for each in QUANTISED[:6]]
    with Report.open([kept(tmp_path / "run", quantise=many, equal_rate=EQUAL)]) as report:
        (label,) = (label for _, label, _ in report.drawings.values())
    assert "7 of 9 kinds of steps (the tables have all)" in label


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


# --- the first screen ---


def first(path: Path, **stages: list[dict[str, Any]]) -> FirstScreen:
    with Store.open(kept(path, **stages)) as store:
        (screen,) = feature_sections.first_screen({"run": store})
    return screen


def rates(*ratios: float, **more: Any) -> list[dict[str, Any]]:
    """Return rows at equal discrepancy: one step an image takes 2 bits, steps from a map these shares of them."""
    return [
        {"steps": steps, "discrepancy": 0.1, "bits": 2 * share, "side_bits": 0.0, "ratio": share, "ratio_image": share,
         "n": 30, "seed": seed} | more
        for seed, ratio in enumerate(ratios) for steps, share in (("uniform-image", 1.0), ("tolerance:fisher", ratio))
    ]  # fmt: skip


def test_the_first_screen_has_numbers_with_intervals_a_verdict_and_the_sentence(tmp_path: Path) -> None:
    screen = first(tmp_path / "run", equal_rate=rates(0.5, 0.52, 0.54), calibrate=CALIBRATED, evaluate=ROWS)
    assert screen.title == "run: net, cut at a.b"
    numbers = {number.label: number for number in screen.numbers}
    assert list(numbers) == [
        "Bits a feature element", "Saved against one step an image", "Bitstream of an image",
        "Noise borne with the promise", "Top-1 accuracy at NRMSE 1",
    ]  # fmt: skip
    bits = numbers["Bits a feature element"]
    low, high = stats.t.interval(0.95, 2, loc=1.04, scale=stats.sem([1.0, 1.04, 1.08]))
    assert (bits.value, bits.interval) == ("1.040 bits", f"{low:.3f} to {high:.3f}")
    assert "n = 3 seeds of 30 images" in bits.note
    saved = numbers["Saved against one step an image"]
    assert (saved.value, saved.interval) == ("48 %", "43 to 53 %")
    assert numbers["Bitstream of an image"].value == "0.00208 kB"  # 1.04 bits of 16 elements
    assert "0.064 kB as float32" in numbers["Bitstream of an image"].note
    assert "cannot tell yet (81 of 90 test images)" in numbers["Noise borne with the promise"].note
    assert numbers["Top-1 accuracy at NRMSE 1"].note.endswith("with Gaussian noise 0.500; without noise 0.900")
    word, reason = screen.verdict
    assert word == "Saves bits"
    assert reason.startswith("0.52 (0.47–0.57) of the bits of one step an image, n = 3 seeds of 30 images")
    logarithms = [math.log(share) for share in (0.5, 0.52, 0.54)]
    ends = stats.t.interval(0.95, 2, loc=sum(logarithms) / 3, scale=stats.sem(logarithms))
    least, most = (math.exp(end) for end in ends)
    assert screen.sentence.startswith(
        f"For a KL of 0.1 steps from fisher need 1.040 ({low:.3f}–{high:.3f}) bits an element, 0.520 "
        f"({least:.3f}–{most:.3f}) of what one step an image needs (3 seeds of 30 images). "
        "Top-1 accuracy at NRMSE 1: fisher 0.800"
    )


@pytest.mark.parametrize(
    ("stages", "word", "why"),
    [
        ({"equal_rate": rates(1.5, 1.52, 1.54)}, "Costs bits", "above 1"),
        ({"equal_rate": rates(0.7, 1.0, 1.5)}, "No difference shown", "the interval holds 1"),
        ({"equal_rate": rates(0.5)}, "Cannot tell yet", "one seed has no interval"),
        ({"equal_rate": rates(0.5, ratio_image_low=0.4, ratio_image_high=0.6)}, "Saves bits", "its images alone"),
        ({"equal_rate": rates(0.5, bits=None, ratio=None, ratio_image=None)}, "Cannot tell yet", "no budget tried"),
        ({"calibrate": CALIBRATED}, "Cannot tell yet", "81 of 90 test images bore the scale of fisher; 90%"),
        ({"calibrate": [each | {"n": 500, "n_calibrate": 500, "kept": 400} for each in CALIBRATED]},
         "The promise is not kept", "1,200 of 1,500"),
        ({"evaluate": ROWS}, "Bears more than Gaussian noise", "of the KL under Gaussian noise"),
        ({"evaluate": [each for each in ROWS if each["map"] != "gaussian"]}, "Cannot tell yet", "nothing to compare"),
        ({}, "Nothing measured yet", "limen feature fit"),
    ],
)  # fmt: skip
def test_the_verdict_is_what_the_interval_says(stages: dict[str, Any], word: str, why: str, tmp_path: Path) -> None:
    found = first(tmp_path / "run", **stages).verdict
    assert found[0] == word
    assert why in found[1]


def test_bits_that_are_not_reached_have_their_bound_on_the_first_screen(tmp_path: Path) -> None:
    rows = [row | {"bits": None, "ratio": None, "ratio_image": None, "censored": "fewer", "limit": 0.7}
            for row in rates(0.5, 0.6)]  # fmt: skip
    (number,) = first(tmp_path / "run", equal_rate=rows).numbers
    assert (number.value, number.interval) == ("< 0.700", "")


def test_one_seed_has_intervals_over_its_images(tmp_path: Path) -> None:
    one = [each | {"score_low": 0.7, "score_high": 0.85} for each in ROWS if each["seed"] == 0]
    rows = rates(0.5, bits_low=0.9, bits_high=1.1, ratio_image_low=0.4, ratio_image_high=0.6)
    screen = first(tmp_path / "run", equal_rate=rows, evaluate=one)
    intervals = {number.label: number.interval for number in screen.numbers}
    assert intervals["Bits a feature element"] == "0.900 to 1.100"
    assert intervals["Saved against one step an image"] == "40 to 60 %"
    assert intervals["Top-1 accuracy at NRMSE 1"] == "0.700 to 0.850"
    table = feature_tables.scores(MANIFEST, one)
    assert named(table)["fisher"]["1"] == "0.800 (0.700–0.850)"
    assert "in brackets 95 % over these images" in table.notes[-1]
    assert "so no interval" in feature_tables.calibrations(MANIFEST, CALIBRATED[:1]).notes[-1]


# --- fixtures, and what colours mean ---


def test_networks_that_ship_are_called_fixtures_on_page_and_card(tmp_path: Path) -> None:
    shipped = MANIFEST | {"network": MANIFEST["network"] | {"name": "demo:vit"}}
    for name, manifest in (("own", MANIFEST), ("demo", shipped)):
        with Store.create(tmp_path / name, manifest) as store:
            store.add_measurements("calibrate", {f"{i}": each for i, each in enumerate(CALIBRATED)})
            store.add_measurements("evaluate", {f"{i}": each for i, each in enumerate(ROWS)})
    said = {}
    for names in (("demo",), ("demo", "own"), ("own",)):
        with Report.open([tmp_path / name for name in names]) as report:
            report.page(tmp_path / "page.html")
            said[names] = (tmp_path / "page.html").read_text()
            card = str(report.card())
        assert ("say nothing about networks in use" in card) == ("demo" in names)
    assert "This is a fixture:</strong>" in said["demo",]
    assert "demo:vit, a small network that ships with limen, on scenes drawn here" in said["demo",]
    assert "nothing about networks in use" in said["demo",]
    assert "Fixtures are among the networks" in said["demo", "own"]
    assert 'class="banner"' not in said["own",]


@pytest.mark.parametrize("scale", [{}, {"low": 0.0123, "high": 3.1}])
def test_every_heat_map_has_its_scale(scale: dict[str, float], tmp_path: Path) -> None:
    pictures = [photograph(name, 16, 16) for name in ("a", "b")]
    drawn = [
        {"place": place, "label": label, "digest": image.digest(picture)} | (scale if label != "image" else {})
        for place, (label, picture) in enumerate(zip(("image", "fisher"), pictures, strict=True))
    ]
    path = kept(tmp_path / "run", attribute=ATTRIBUTED, picture=drawn)
    with sqlite3.connect(path / "trials.db") as database:
        for picture in pictures:
            database.execute("INSERT INTO picture VALUES (?, ?)", (image.digest(picture), image.png(picture)))
    with Report.open([path]) as report:
        report.page(tmp_path / "page.html")
        (section,) = (section for section in report.sections if section.pictures)
    ((photo, heat),) = section.pictures
    assert (photo.label, photo.colours) == ("the image", ())
    assert heat.colours == HEAT
    assert heat.ends == (("0.012×", "3.1×") if scale else ("least", "most"))
    assert "Bright: much noise is borne there" in section.key
    assert ("relative to as much noise spread evenly" in section.key) == bool(scale)
    page = (tmp_path / "page.html").read_text()
    assert page.count('class="scale"') == 1
    assert f"linear-gradient(to right, {HEAT[0]}, {HEAT[1]})" in page
    assert f"<b>{heat.ends[0]}</b> <b>{heat.ends[1]}</b>" in page
