"""What a study would cost, said before: held against what it then took."""

import functools
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limen import distortion as distortions
from limen import observer as observers
from limen import procedure as procedures
from limen.analysis.cost import ObserverCost, costs, sent_bytes
from limen.analysis.forecast import Asking, Count, Lane, Pool, simulated, totals
from limen.distortion import Distortion
from limen.errors import StoreError
from limen.image import Picture, png
from limen.ladder import Ladder
from limen.observer import Observer
from limen.observers.simulated import Simulated, SimulatedOptions
from limen.preflight import exam
from limen.procedure import Probe
from limen.question import Query
from limen.report import costs as report
from limen.spending import Price, Spending
from limen.study import Spec, Study
from tests.support.command import limen as command
from tests.support.toy import Toy


def study(made: Observer | list[Observer], **settings: Any) -> Study:
    given = {
        "images": ("demo",),
        "limit": 3,
        "distortions": ("blur", "noise"),
        "exam": False,
        "floor": False,
    } | settings
    kinds = [one if isinstance(one, Distortion) else distortions.find(one) for one in given.pop("distortions")]
    spec = Spec(observers=(), keep_megabytes=0, **given)
    return Study.of(spec, made if isinstance(made, list) else [made], kinds)


def cost(plan: Study, out: Path | None = None, **given: Any) -> ObserverCost:
    (found,) = costs(plan, out, **given)
    return found


def same_words(query: Query) -> str:
    return "<no> They look the same."


PROCEDURES: list[dict[str, Any]] = [
    {"name": "skip"}, {"name": "skip", "orders": 3}, {"name": "scan"}, {"name": "bisect"}, {"name": "staircase"},
]  # fmt: skip


@pytest.mark.slow
def test_the_real_number_lies_in_the_interval(tmp_path: Path) -> None:
    """Observers whose thresholds the forecast does not know, from the first levels to beyond the ladder."""
    held, told = [], []
    for procedure in PROCEDURES:
        for number, threshold in enumerate((0.5, 2.0, 6.0, 14.0, 60.0)):
            observer = Simulated("", SimulatedOptions(threshold=threshold, slope=0.4, seed=number))
            plan = study(observer, procedure=procedure)
            found = cost(plan).questions
            asked = plan.run(tmp_path / f"{len(held)}").asked
            held.append(found.interval.low <= asked <= found.interval.high)
            told.append((procedure, threshold, found, asked))
            assert found.interval.low >= 6 * 2  # of six series; and an interval that holds anything says nothing
            assert procedure.get("orders") == 3 or found.interval.high <= 6 * 51
            assert not found.exact
    assert np.mean(held) >= 0.9, [one for one, inside in zip(told, held, strict=True) if not inside]


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [2.0, 14.0])
def test_procedures_that_learn_are_played_in_waves(tmp_path: Path, threshold: float) -> None:
    plan = study(
        Simulated("", SimulatedOptions(threshold=threshold)), procedure={"name": "certify"}, limit=10,
        distortions=("noise",),
    )  # fmt: skip
    found = cost(plan).questions
    assert found.interval.low <= plan.run(tmp_path / "run").asked <= found.interval.high


def test_the_interval_is_over_observers_and_does_not_shrink_with_series() -> None:
    pool = simulated(procedures.make("skip", {}), 50, Asking())
    few, many = (Count.of(totals([Lane("q", "blur", n, (), (), pool)]).sum(axis=0) * (1 / n)) for n in (20, 2000))
    width = [one.interval.high - one.interval.low for one in (few, many)]
    assert width[1] > 0.7 * width[0] > 0
    assert few.expected == pytest.approx(many.expected, rel=0.1)


def test_finished_series_say_more_than_a_simulation() -> None:
    pool = simulated(procedures.make("skip", {}), 50, Asking())
    took = (9, 10, 10, 11, 10, 9)
    known = Count.of(totals([Lane("q", "blur", 100, (), took, pool)]).sum(axis=0))
    assert 800 < known.interval.low < known.interval.high < 1200
    assert Lane("q", "blur", 100, (), took[:4], pool).basis == "simulation"
    begun = Count.of(totals([Lane("q", "blur", 0, (8,) * 100, took, pool)]).sum(axis=0))
    assert 100 <= begun.expected <= 300  # of each series eight answers are there


def test_a_fixed_design_is_said_exactly(tmp_path: Path) -> None:
    toy = Toy(same_words)
    plan = study(toy, procedure={"name": "constant", "every": 10}, distortions=("noise", "qr"))
    found = cost(plan)
    plan.run(tmp_path / "run")
    assert found.questions.exact
    assert found.questions.expected == sum(toy.asked.values()) == 6 * (5 + 1)
    assert found.basis == {"fixed": 6}


@pytest.mark.parametrize(
    ("settings", "sampled", "asked"),
    [
        ({"questions": ("direct-implicit",)}, False, 6 * 5 + 3),  # one undistorted pair for both distortions
        ({"questions": ("direct-implicit",), "paraphrases": 2}, False, 3 * (6 * 5 + 3)),
        ({"identical_pairs": False}, False, 6 * 5),
        ({"questions": ("odd-one-out-3",)}, False, 6 * 5),
        ({"questions": ("same-different",)}, False, 6 * (5 + 5) + 3),  # as many identical pairs as different ones
        ({"questions": ({"name": "what", "text": "What is it?", "options": ["a", "b"], "pictures": 1},)}, False,
         3 + 6 * (5 + 1)),
        ({"questions": ({"name": "what", "text": "What is it?", "options": ["a", "b"], "pictures": 1},)}, True,
         5 * (3 + 6 * (5 + 1))),
    ],
)  # fmt: skip
def test_whatever_is_asked_it_is_counted_as_it_is_asked(
    settings: dict[str, Any], sampled: bool, asked: int, tmp_path: Path
) -> None:
    says = {"odd-one-out-3": "Number 1.", "same-different": "<same>"}
    question = settings.get("questions", ("direct",))[0]
    toy = Toy(lambda query: "A" if isinstance(question, dict) else says.get(question, "<no> They look the same."))
    toy.sampled = sampled
    plan = study(toy, procedure={"name": "constant", "every": 10}, distortions=("noise", "qr"), **settings)
    found = cost(plan)
    assert (found.questions.exact, found.questions.expected) == (True, asked)
    plan.run(tmp_path / "run")
    assert sum(toy.asked.values()) == asked


def test_a_ladder_of_one_level_takes_two_questions() -> None:
    once = Distortion(
        "once", "light", Ladder((0.5,), "factor"), lambda image, rng: lambda k: (image * k).astype(np.uint8)
    )
    found = cost(study(Toy(same_words), distortions=(once,)))
    assert (found.questions.exact, found.questions.expected) == (True, 3 * 2)


def test_later_jnds_and_looking_ahead_take_more() -> None:
    once, thrice, ahead = (
        cost(study(Toy(same_words), **settings)).questions
        for settings in ({}, {"procedure": {"name": "skip", "orders": 3}}, {"look_ahead": 2})
    )
    assert thrice.expected > 1.2 * once.expected
    assert ahead.expected > 1.2 * once.expected


def test_what_a_run_holds_is_taken_off_and_reckoned_with(tmp_path: Path) -> None:
    toy = Toy(same_words)
    plan = study(toy, procedure={"name": "constant", "every": 10}, distortions=("noise", "qr"), limit=8)
    whole = cost(plan).questions.expected
    plan.run(tmp_path / "run", spending=Spending(questions=50))
    left = cost(plan, tmp_path / "run", price=Price(1, 10))
    assert left.questions.expected == whole - 50
    assert left.series + left.finished == 16
    assert left.reported  # 7 + 2 tokens an answer
    assert left.tokens_in is not None
    assert left.price is not None
    assert left.tokens_in.expected == pytest.approx(7 * left.questions.expected)
    assert left.price.expected == pytest.approx((7 + 2 * 10) * left.questions.expected / 1e6)
    plan.run(tmp_path / "run")
    done = cost(plan, tmp_path / "run")
    assert (done.questions.expected, done.questions.exact, done.series) == (0, True, 0)


def test_what_is_left_of_a_search_is_found_by_its_finished_series(tmp_path: Path) -> None:
    observer = Simulated("", SimulatedOptions(threshold=4))
    study(observer, limit=8, distortions=("noise",)).run(tmp_path / "run")
    plan = study(observer, limit=20, distortions=("noise",))
    found = cost(plan, tmp_path / "run")
    assert found.basis == {"finished": 12}
    alone = cost(plan)
    width = [one.questions.interval.high - one.questions.interval.low for one in (found, alone)]
    assert width[0] < 0.5 * width[1]
    asked = plan.run(tmp_path / "run").asked
    assert found.questions.interval.low <= asked <= found.questions.interval.high


def test_nothing_is_asked_entered_or_written(tmp_path: Path) -> None:
    class Shy(Toy):
        async def __aenter__(self) -> "Toy":
            raise AssertionError("entered")

    def state() -> dict[str, str]:
        files = sorted((tmp_path / "run").iterdir())
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    study(Toy(same_words)).run(tmp_path / "run", spending=Spending(questions=10))
    before = state()
    shy = Shy(same_words)
    cost(study(shy), tmp_path / "run")
    assert not shy.asked
    assert state() == before
    cost(study(shy), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_another_study_is_refused_as_it_would_be(tmp_path: Path) -> None:
    study(Toy(same_words)).run(tmp_path / "run", spending=Spending(questions=2))
    with pytest.raises(StoreError, match="holds another study: seed"):
        cost(study(Toy(same_words), seed=3), tmp_path / "run")


def test_an_exam_counts_until_it_has_been_held(tmp_path: Path) -> None:
    observer = Simulated("", SimulatedOptions())
    plan = study(observer, exam=True, limit=1)
    before = cost(plan)
    assert 30 <= before.exam <= 40
    spending = Spending(questions=10)
    plan.run(tmp_path / "run", examine=functools.partial(exam.keep, spending=spending), spending=spending)
    assert before.exam - 10 <= cost(plan, tmp_path / "run").exam < before.exam - 5  # what failed is put again
    plan.run(tmp_path / "run", examine=exam.keep)
    assert cost(plan, tmp_path / "run").exam == 0


def test_pictures_are_as_long_as_they_would_travel() -> None:
    png, jpeg = (
        observers.make("openai:m", {"encoding": encoding, "label": encoding}) for encoding in ("png", "jpeg:80")
    )
    plan = study([png, jpeg, Toy(same_words)], limit=2)
    sizes = sent_bytes(plan.series, plan.observers)
    assert sizes[2] is None
    assert sizes[0] is not None
    assert sizes[1] is not None
    assert sizes[1] < 0.6 * sizes[0]
    picture = Picture.of(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    assert png.sent_bytes(picture) == pytest.approx(64 * 64 * 3 * 4 / 3, rel=0.05)  # noise does not compress; base64


def test_tokens_price_and_time_follow_from_the_questions() -> None:
    observer = observers.make("openai:m", {"max_tokens": 100, "concurrency": 4})
    plan = study(observer, procedure={"name": "constant", "every": 10})
    found = cost(plan, price=Price(0, 1e6), latency=2.0)
    n = found.questions.expected
    assert found.tokens_out is not None
    assert found.price is not None
    assert found.seconds is not None
    assert found.tokens_out.expected == 60 * n
    assert found.longest == 100 * n
    assert (found.price.expected, found.dearest) == (60 * n, 100 * n)
    assert found.seconds.expected == 2.0 * n / 4
    assert cost(plan).seconds is None
    several = costs(study([observer, Toy(same_words)]), None, Price(1, 1))
    assert several[-1].observer == "all"
    assert several[-1].questions.expected == sum(one.questions.expected for one in several[:-1])
    assert several[-1].price == several[0].price  # the other one sends nothing


def test_the_table_says_in_words_what_it_rests_on() -> None:
    observer = observers.make("openai:m", {})
    table = report.costs(costs(study(observer), None, Price(2.5, 10), 1.5))
    notes = " ".join(table.notes)
    for what in ("by simulation", "over such observers", "rule of thumb", "28x28", "max_tokens", "1.5 s an answer"):
        assert what in notes
    assert any("at most" in cell for row in table.rows for cell in row)
    fixed = report.costs(costs(study(Toy(same_words), procedure={"name": "constant"})))
    assert any("exactly 66" in cell for row in fixed.rows for cell in row)
    assert "toy: nothing is sent" in " ".join(fixed.notes)
    assert "--latency" in " ".join(fixed.notes)


@pytest.mark.parametrize(
    ("value", "said"), [(0, "0"), (1234, "1,200"), (47.2, "47"), (3.64, "3.6"), (0.97, "0.97"), (0.0123, "0.012")]
)
def test_an_estimate_has_two_digits(value: float, said: str) -> None:
    assert report._rounded(value) == said


def test_a_run_of_several_sizes_is_the_same_study(tmp_path: Path) -> None:
    photographs = tmp_path / "in"
    photographs.mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (96, 128, 3), dtype=np.uint8)
        (photographs / f"{number}.png").write_bytes(png(pixels))
    observer = Simulated("", SimulatedOptions())
    plan = study(observer, images=(str(photographs),), distortions=("noise",), max_side=(64, 128))
    plan.run(tmp_path / "run")
    found = cost(plan, tmp_path / "run")
    assert (found.series, found.finished, found.questions.expected) == (0, 4, 0)
    other = study(observer, images=(str(photographs),), distortions=("noise",), max_side=(32, 128))
    with pytest.raises(StoreError, match="max_side was"):
        cost(other, tmp_path / "run")


def dry_run(*more: object) -> Any:
    words = ("--images", "demo", "--limit", 2, "--distortion", "noise", "--dry-run")
    return command("measure", *words, *more)


def test_the_command(tmp_path: Path) -> None:
    done = dry_run("--observer", "openai:gpt-4o", "--price", "in=2.5,out=10")
    assert done.returncode == 0, done.stderr
    assert "What this study would cost" in done.stdout
    assert "at your rates" in done.stdout
    assert list(tmp_path.iterdir()) == []
    raw = dry_run("--observer", "openai:gpt-4o", "--json").stdout
    assert '"exam": 3' in raw
    assert '"basis"' in raw


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("measure", "--images", "demo", "--observer", "simulated"), "Missing option '--out'"),
        (("measure", "--images", "demo", "--observer", "simulated", "--out", "x", "--latency", 2), "for --dry-run"),
        (("measure", "--images", "demo", "--observer", "simulated", "--dry-run", "--latency", 0), "not in the range"),
    ],
)
def test_bad_input_is_one_line(words: tuple[object, ...], said: str) -> None:
    done = command(*words)
    assert done.returncode in (1, 2)
    assert said in done.stderr


def test_queries_of_a_series() -> None:
    """By hand: levels 3 and 5 against the original, 7 against level 5."""
    asked = {Probe(0, 3), Probe(0, 5), Probe(5, 7)}
    assert Asking().queries(asked, {0, 5}) == 3 + 1
    assert Asking(identical=False).queries(asked, {0, 5}) == 3
    assert Asking(alone=True, draws=5).queries(asked, {0, 5}) == 5 * (3 + 2)
    assert Asking(matched=True).queries(asked, {0, 5}) == 3 + 3


def test_a_pool_knows_whether_it_is_fixed() -> None:
    same, other = np.full((3, 2), 7.0), np.array([[7.0, 8.0]])
    assert Pool(same, same).fixed
    assert not Pool(same, other).fixed
