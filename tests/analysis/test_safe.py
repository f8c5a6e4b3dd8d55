"""Safe levels: rank, refusals, coverage of new photographs, several observers, bytes."""

import dataclasses
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from scipy import stats

import limen
from limen import distortion
from limen.analysis import Analysis, Outcome, SeriesStatus, analyse
from limen.analysis.safe import SafeRow, safe_level, safe_levels
from limen.cli import run as cli
from limen.errors import InputError
from limen.image import decode, digest
from limen.parsing.forms import YesNo
from limen.report import safe as report
from limen.report.report import Report
from limen.store import Store
from limen.study import Spec, Study
from limen.testing import photograph
from limen.threshold import Threshold
from tests.support.knower import Knower, asking, reference
from tests.support.manifests import entry, manifest

NONE_FOUND = math.inf


@pytest.mark.parametrize(("n", "rho", "rank"), [(18, 0.05, 0), (19, 0.05, 1), (39, 0.05, 2), (8, 0.1, 0), (9, 0.1, 1)])
def test_the_rank_and_the_fewest_photographs(n: int, rho: float, rank: int) -> None:
    found, level = safe_level([float(k) for k in range(10, 10 + n)], rho, 50)
    assert found == rank
    assert level == (None if rank == 0 else 8 + rank), "one level below the rank-th smallest"


def test_nothing_is_safe_and_everything_is() -> None:
    assert safe_level([1.0] + [30.0] * 18, 0.05, 50) == (1, 0)
    assert safe_level([NONE_FOUND] * 19, 0.05, 50) == (1, 50)


@pytest.mark.parametrize(("rho", "n"), [(0.05, 19), (0.05, 59), (0.1, 30)])
@pytest.mark.parametrize("top", [12, 100])  # many ties and many beyond the end, and few
def test_new_photographs_are_noticed_as_rarely_as_it_says(rho: float, n: int, top: int) -> None:
    """600 resplits of 400 thresholds: the mean share of the others at or below the safe level is at most rho."""
    rng = np.random.default_rng(16)
    thresholds = np.ceil(rng.gamma(4.0, 12.0, 400) * top / 100)
    thresholds[thresholds > top] = math.inf
    missed = []
    for _ in range(600):
        order = rng.permutation(400)
        _, level = safe_level(thresholds[order[:n]].tolist(), rho, top)
        assert level is not None
        missed.append(float(np.mean(thresholds[order[n:]] <= level)))
    error = np.std(missed) / math.sqrt(len(missed))
    assert np.mean(missed) <= rho + 2 * error
    if top == 100:  # and it is no more cautious than ties make it
        assert np.mean(missed) > 0.5 * rho


def test_the_share_varies_over_samples_as_beta_says() -> None:
    rng, n, rank = np.random.default_rng(5), 39, 2
    shares = [float(np.sort(rng.random(n))[rank - 1]) for _ in range(4000)]  # of uniform ones, the share below
    row = made([float(k) for k in range(10, 49)])
    assert row.noticed is not None
    assert (row.noticed.low, row.noticed.high) == pytest.approx(stats.beta.interval(0.95, rank, n + 1 - rank))
    assert np.quantile(shares, (0.025, 0.975)) == pytest.approx((row.noticed.low, row.noticed.high), rel=0.15)


# --- from outcomes ---

NOISE = {"noise": entry(unit="grey levels")}


def outcome(name: str, level: float, **changes: Any) -> Outcome:
    found = Threshold(1, 50 if math.isinf(level) else int(level), 1.0, censored=math.isinf(level))
    series = SimpleNamespace(distortion="noise", picture=name, levels=50, name=name)
    given = {"observer": "a", "question": "direct", "status": SeriesStatus.COMPLETE, "thresholds": (found,)} | changes
    return Outcome(series=series, responses=(), **given)


def analysis(*outcomes: Outcome, observers: tuple[str, ...] = ("a",), **entries: Any) -> Analysis:
    return Analysis(manifest(observers, distortions=NOISE, **entries), outcomes, (), (), ())


def made(levels: list[float], **changes: Any) -> SafeRow:
    (row,) = safe_levels([analysis(*(outcome(f"p{k}", level, **changes) for k, level in enumerate(levels)))])
    return row


def test_an_unconfirmed_jnd_is_one_and_a_censored_one_is_none() -> None:
    unconfirmed = Threshold(1, 49, 49.0, confirmed=False)
    assert made([NONE_FOUND] * 19, thresholds=(unconfirmed,)).level == 48
    assert made([NONE_FOUND] * 19).level == 50


def test_a_photograph_of_several_items_counts_once_with_the_smallest() -> None:
    items = [outcome(f"p{k}-{j}", 20 + k + 10 * j, picture=f"p{k}") for k in range(19) for j in range(2)]
    (row,) = safe_levels([analysis(*items)])
    assert (row.n, row.rank, row.level) == (19, 1, 19)
    assert safe_levels([analysis(*items[:36])])[0].why == "rho 0.05 takes 19 photographs, and there are 18"


def test_what_is_not_in_n_is_counted_beside() -> None:
    whole = [outcome(f"p{k}", 20 + k) for k in range(20)]
    others = {
        SeriesStatus.EXCLUDED: outcome("q", 1, status=SeriesStatus.EXCLUDED),
        SeriesStatus.UNREADABLE: outcome("r", 1, status=SeriesStatus.UNREADABLE),
        SeriesStatus.UNFINISHED: outcome("another item", 1, status=SeriesStatus.UNFINISHED, picture="p0"),
    }
    (row,) = safe_levels([analysis(*whole, *others.values())])
    assert row.left_out == {"excluded": 1, "unreadable": 1, "unfinished": 1}
    assert (row.n, row.level) == (19, 20), "the smallest of p0 is not known yet"


def test_all_together_are_safe_where_the_keenest_of_each_photograph_is() -> None:
    a = [outcome(f"p{k}", 20 + k) for k in range(20)]
    b = [outcome(f"p{k}", 60 - k if k else NONE_FOUND, observer="b") for k in range(1, 21)]
    rows = safe_levels([analysis(*a, *b, observers=("a", "b"))])
    assert [(row.observer, row.n, row.level) for row in rows] == [("a", 20, 19), ("b", 20, 39), ("all 2", 19, 20)]


def test_observers_that_were_not_asked_alike_have_no_level_together() -> None:
    first = analysis(*(outcome(f"p{k}", 20) for k in range(19)))
    other = analysis(*(outcome(f"p{k}", 20, observer="b") for k in range(19)), observers=("b",))
    changed = msgspec.structs.replace(NOISE["noise"], ladder="another")
    there = dataclasses.replace(other, manifest=msgspec.structs.replace(other.manifest, distortions={"noise": changed}))
    assert [row.level for row in safe_levels([first, other])] == [19, 19, 19]
    *_, together = safe_levels([first, there])
    assert (together.level, together.why) == (None, "not asked alike: the ladders or the questions differ")


def test_a_procedure_that_claims_no_jnd_has_no_safe_level() -> None:
    assert safe_levels([analysis(*(outcome(f"p{k}", 20, thresholds=()) for k in range(20)))]) == ()


@pytest.mark.parametrize(
    ("levels", "says"),
    [
        ([20.0] * 19, "noise: 19 grey levels and below is not noticed by a for 95 % of new photographs (n = 19, "),
        ([NONE_FOUND] * 19, "noise: the whole ladder, up to 50 grey levels, is not noticed by a for 95 %"),
        ([1.0] * 19, "noise, a: not even level 1 (1 grey levels) is safe for 95 % of new photographs (n = 19, "),
        ([20.0] * 18, "noise, a: no safe level; rho 0.05 takes 19 photographs, and there are 18."),
    ],
)
def test_the_sentence_says_which_strengths(levels: list[float], says: str) -> None:
    (sentence,) = report.sentences(analysis(), [made(levels)])
    assert sentence.startswith(says)


# --- from runs ---


def grey(name: str) -> Any:
    return (photograph(name, 64, 48) // 2 + 60).astype(np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten photographs, two yes-or-no items about each; a toy that loses a picture beyond some grey levels rms."""
    images = [grey(f"p{k}") for k in range(10)]
    items = [asking(YesNo(), "yes", question) for question in ("Is it a cat?", "Is it here?")]
    references = [reference(f"p{k}-{j}", image, item) for k, image in enumerate(images) for j, item in enumerate(items)]
    observer = Patient(images)
    spec = Spec(images=(), observers=(), questions=("answer-changes",), exam=False, floor=False)
    out = tmp_path_factory.mktemp("safe") / "run"
    Study.of(spec, [observer], [distortion.find("jpeg")], references=references).run(out)
    return out


class Patient(Knower):
    """Loses the second question about a picture later than the first."""

    def __init__(self, images: list[Any]) -> None:
        super().__init__({"no": grey("nothing")}, "no")
        self._images = images

    def _says(self, picture: Any, query: Any) -> str:
        apart = min(float(np.sqrt(np.mean((picture.pixels.astype(float) - image) ** 2))) for image in self._images)
        return "yes" if apart <= (15 if "here" in query.text else 12) else "no"


def test_a_codec_saves_bytes_against_its_finest_level(run: Path) -> None:
    with Store.open(run) as store:
        (row,) = safe_levels([whole := analyse(store)], (0.1,), [store])
    firsts = [
        min(o.thresholds[0].level for o in whole.outcomes if o.picture == digest(grey(f"p{k}"))) for k in range(10)
    ]
    assert (row.n, row.rank, row.level) == (10, 1, min(firsts) - 1)
    assert row.level is not None
    assert row.strength == 101 - row.level
    sizes = [[len(encode(grey(f"p{k}"), quality)) for quality in (100.0, row.strength)] for k in range(10)]
    assert row.saved is not None
    assert row.saved.value == pytest.approx(np.mean([1 - there / finest for finest, there in sizes]))
    assert row.saved.interval is not None
    assert (row.saved.n, row.saved.interval.low < row.saved.value < row.saved.interval.high) == (10, True)
    (sentence,) = report.sentences(whole, [row])
    assert sentence.startswith(
        f"jpeg: quality {row.strength:g} and above leaves the answer of knower as it was for 90 %"
    )
    assert f"and saves {100 * row.saved.value:.0f} % [" in sentence
    assert sentence.endswith("] of the bytes against quality 100 (mean of 10 photographs).")


def encode(image: Any, quality: float) -> bytes:
    kind = distortion.find("jpeg")
    assert kind.encoded is not None
    return kind.encoded(image, quality)


def test_the_file_of_a_codec_is_the_stimulus() -> None:
    kind, image = distortion.find("jpeg"), photograph()
    assert np.array_equal(decode(encode(image, 40.0)), kind.render(image, "any")(61))


def test_without_a_kept_picture_nothing_is_said_of_bytes(run: Path) -> None:
    with Store.open(run) as store:
        whole = analyse(store)
    assert safe_levels([whole], (0.1,))[0].saved is None


def test_from_python_it_is_the_same(run: Path) -> None:
    with Store.open(run) as store:
        rows = safe_levels([analyse(store)], (0.1,), [store])
    assert limen.open(run).safe(rho=0.1) == rows
    with pytest.raises(InputError, match="Give a share above 0 and below 1"):
        limen.open(run).safe(rho=5)


def test_the_command_prints_a_table_and_a_sentence(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli(["safe", str(run), "--rho", ".1"]) == 0
    printed = capfd.readouterr().out
    assert "Safe levels" in printed
    assert "jpeg: quality" in printed
    assert cli(["safe", str(run)]) == 0
    assert capfd.readouterr().out.count("rho 0.05 takes 19 photographs") == 1, "a level that is missing is told once"
    assert cli(["safe", str(run), "--json"]) == 0
    (row,) = json.loads(capfd.readouterr().out)["safe"]
    assert row["why"] == "rho 0.05 takes 19 photographs, and there are 10"
    assert row["sentence"].startswith("jpeg, knower: no safe level")


def test_the_command_says_which_procedures_claim_jnds(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    spec = Spec(
        images=("demo",), observers=("simulated",), distortions=("noise",), limit=1, exam=False,
        procedure={"name": "psi"},
    )  # fmt: skip
    Study.plan(spec).run(tmp_path / "run")
    assert cli(["safe", str(tmp_path / "run")]) == 1
    assert "(procedure psi)" in capfd.readouterr().err


def test_the_report_has_the_table_and_the_share_of_changed_answers(run: Path, tmp_path: Path) -> None:
    with Report.open([run]) as made_of:
        made_of.page(tmp_path / "report.html", embed=0)
        content = made_of.data()["together"]
    page = (tmp_path / "report.html").read_text()
    assert [(row["rho"], row["n"], row["level"] is None) for row in content["safe"]] == [
        (0.05, 10, True),
        (0.1, 10, False),
    ]
    assert content["safe"][1]["saved"]["n"] == 10
    assert '<h3 id="safe">Safe levels</h3>' in page
    assert "? jpeg: rho 0.05 takes 19 photographs, and there are 10." in page
    (changed,) = content["changed"]
    assert (changed["n"], changed["photographs"], len(changed["share"])) == (20, 10, 101)
    assert "Share of answers that have changed, against the level." in page
