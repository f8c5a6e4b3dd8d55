"""Procedures that learn: the same thresholds and questions at any concurrency, after failures, in a growing study."""

import asyncio
import dataclasses
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from limen import distortion, testing
from limen import question as questions
from limen.analysis import SeriesStatus, analyse
from limen.errors import InputError, ObserverError
from limen.image import png
from limen.ladder import Ladder
from limen.observers.simulated import Simulated, SimulatedOptions
from limen.parsing.yes_no import Flag, Verdict
from limen.procedure import Probe, make
from limen.report import tables
from limen.statistics import observer_model
from limen.store import Store
from limen.study import Progress, Spec, Study
from limen.study.schedule import Schedule, decode
from limen.testing import photograph, simulate
from tests.support.toy import Toy

# Every third level of the usual ladders: what is reckoned grows faster than they do.
LADDERS = {name: distortion.find(name).ladder.strengths[2::3] for name in ("noise", "contrast")}


@pytest.fixture
def many(tmp_path: Path) -> Path:
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(20):
        (folder / f"{i:02d}.png").write_bytes(png(photograph(str(i), 40, 40)))
    return folder


def run(
    out: Path, images: Path, observer: Any = None, procedure: str = "certify", settings: Any = (),
    distortions: tuple[str, ...] = ("noise", "contrast"), **entries: Any,
) -> Progress:  # fmt: skip
    observer = observer or Simulated("", SimulatedOptions(slope=2, false_alarms=0.05, lapses=0.05))
    spec = Spec(images=(str(images),), observers=("simulated",), distortions=distortions,
                ladders={name: LADDERS[name] for name in distortions}, procedure={"name": procedure, **dict(settings)},
                **entries)  # fmt: skip
    return dataclasses.replace(Study.plan(spec), observers=(observer,)).run(out)


def facts(out: Path) -> tuple[list[Any], list[Any], Any]:
    with Store.open(out) as store:
        outcomes = [(o.series.id, o.status, o.thresholds, o.estimates) for o in analyse(store).outcomes]
        asked = [(t.series, t.reference, t.level, t.draw, t.key) for t in store.trials()]
        priors = [store.priors(name, "direct") for name in sorted(store.manifest["observers"])]
        return outcomes, asked, priors


@pytest.mark.slow
@pytest.mark.parametrize("procedure", ["certify", "auto", "psi"])
def test_the_same_at_any_concurrency(tmp_path: Path, many: Path, procedure: str) -> None:
    for concurrency in (1, 7, 64):
        observer = Simulated("", SimulatedOptions(slope=2, false_alarms=0.05, lapses=0.05, concurrency=concurrency))
        run(tmp_path / str(concurrency), many, observer, procedure)
    one = facts(tmp_path / "1")
    assert one == facts(tmp_path / "7") == facts(tmp_path / "64")
    outcomes, _, (priors,) = one
    assert {status for _, status, _, _ in outcomes} == {SeriesStatus.COMPLETE}
    assert sorted(priors) == [("contrast", 1), ("noise", 1)]


@pytest.mark.parametrize(
    ("procedure", "limit", "far"),
    [("scan", 3, 3), ("skip", 3, 3), ("bisect", 3, 3), ("certify", 1, 1), ("psi", 9, 2), ("staircase", 3, 3),
     ("constant", 2, 2)],
)  # fmt: skip
def test_looking_ahead_changes_no_threshold_and_no_trial(
    tmp_path: Path, many: Path, procedure: str, limit: int, far: int
) -> None:
    asked = {}
    settings = {"trials": 6} if procedure == "psi" else {}
    for ahead in sorted({0, 1, far}):
        progress = run(tmp_path / str(ahead), many, None, procedure, settings, limit=limit, look_ahead=ahead)
        asked[ahead] = progress.asked
    calm, *others = (facts(tmp_path / str(ahead)) for ahead in asked)
    assert all(other == calm for other in others)
    with Store.open(tmp_path / str(far)) as store:
        found = analyse(store)
        assert found.unneeded == asked[far] - asked[0]
        kept = {row[0] for row in store.columns("answer")[1]}
        assert len(kept) == asked[far]  # what was paid for is kept, needed or not
    note = f"{found.unneeded:,} answers asked ahead and never needed"
    assert (note in " ".join(tables.course(found).notes)) == (found.unneeded > 0)
    if procedure != "constant":  # it knows all of its questions at once
        assert asked[0] < asked[1] <= asked[far]


def test_looking_ahead_is_sooner_done(tmp_path: Path, many: Path) -> None:
    """Rounds of waiting of one series at a time: what is asked while other answers are awaited is of their round.

    An answer comes once nothing was asked for a while, however long the stimuli of what is asked with it take to make.
    """

    class Slow(Simulated):
        rounds = 0
        under_way = 0
        asked_last = 0.0

        async def answer(self, query: Any) -> Any:
            self.asked_last = time.monotonic()
            self.rounds += not self.under_way
            self.under_way += 1
            while time.monotonic() - self.asked_last < 0.25:
                await asyncio.sleep(0.02)
            self.under_way -= 1
            return await super().answer(query)

    found = []
    for ahead in (0, 2):
        rounds = 0
        for image in sorted(many.iterdir())[:4]:
            observer = Slow("", SimulatedOptions(slope=2, concurrency=32))
            run(tmp_path / f"{ahead}-{image.stem}", image, observer, "skip", distortions=("noise",), look_ahead=ahead,
                identical_pairs=False)  # fmt: skip
            rounds += observer.rounds
        found.append(rounds)
    assert found[1] < 0.7 * found[0]


def test_a_failure_of_what_was_asked_ahead_fails_nothing(tmp_path: Path, many: Path) -> None:
    options = SimulatedOptions(slope=2, false_alarms=0.05, lapses=0.05)
    inner = Simulated("", options)
    seen: set[str] = set()

    class Flaky(Simulated):
        async def answer(self, query: Any) -> Any:
            first = query.key("") not in seen
            seen.add(query.key(""))
            if first and len(seen) % 3 == 0:
                raise ObserverError("rate-limited", "429")
            return await inner.answer(query)

    while run(tmp_path / "run", many, Flaky("", options), "skip", limit=5, look_ahead=2).unfinished:
        continue
    run(tmp_path / "calm", many, procedure="skip", limit=5)
    assert facts(tmp_path / "run")[:2] == facts(tmp_path / "calm")[:2]


@pytest.mark.slow
def test_a_growing_study_keeps_what_it_found(tmp_path: Path, many: Path) -> None:
    run(tmp_path / "run", many, limit=10)
    small, asked, (priors,) = facts(tmp_path / "run")
    progress = run(tmp_path / "run", many, limit=20)
    grown, more, (later,) = facts(tmp_path / "run")
    assert {one[0]: one for one in small}.items() <= {one[0]: one for one in grown}.items()
    assert set(asked) <= set(more)
    assert priors.items() <= later.items()
    assert ("noise", 2) in later
    assert progress.replayed >= len(asked)
    assert len(grown) == 40


@pytest.mark.slow
def test_failures_and_reruns_end_where_a_calm_run_does(tmp_path: Path, many: Path) -> None:
    inner = Simulated("", SimulatedOptions(slope=2, false_alarms=0.05, lapses=0.05))

    class Flaky(Simulated):
        calls = 0

        async def answer(self, query: Any) -> Any:
            Flaky.calls += 1
            if Flaky.calls % 50 == 0:
                raise RuntimeError("the process dies here")
            return await inner.answer(query)

    for _ in range(40):
        try:
            run(tmp_path / "run", many, Flaky("", SimulatedOptions(slope=2, false_alarms=0.05, lapses=0.05)))
            break
        except RuntimeError:
            continue
    assert Flaky.calls > 150
    run(tmp_path / "calm", many)
    assert facts(tmp_path / "run") == facts(tmp_path / "calm")


def test_later_waves_wait_for_open_series_and_end_where_a_calm_run_does(tmp_path: Path, many: Path) -> None:
    calls = 0

    def failing(query: Any) -> str | None:
        nonlocal calls
        calls += 1
        return None if calls in (5, 9) else "<yes> They differ."

    progress = run(tmp_path / "run", many, Toy(failing))
    kinds = [left.kind for left in progress.unfinished]
    assert 1 <= kinds.count("rate-limited") <= 2
    assert kinds.count("waiting") in {12, 24}
    again = run(tmp_path / "run", many, Toy(lambda query: "<yes> They differ."))
    assert not again.unfinished
    run(tmp_path / "calm", many, Toy(lambda query: "<yes> They differ."))
    assert facts(tmp_path / "run") == facts(tmp_path / "calm")


def test_a_learning_run_is_exported_whole(tmp_path: Path, many: Path) -> None:
    from pyarrow import parquet

    from limen.exports.parquet import to_parquet

    run(tmp_path / "run", many)
    files = {file.stem: parquet.read_table(file) for file in to_parquet(tmp_path / "run", tmp_path / "tables")}
    assert files["wave"].num_rows == 40
    assert files["prior"].num_rows == 2
    assert all(decode(content) for content in files["prior"]["content"].to_pylist())


@pytest.mark.slow
def test_looking_offline_changes_nothing(tmp_path: Path, many: Path) -> None:
    run(tmp_path / "run", many, limit=3)
    spec = Spec(images=(str(many),), observers=("simulated",), distortions=("noise", "contrast"), ladders=LADDERS,
                procedure={"name": "certify"})  # fmt: skip
    observer = Simulated("", SimulatedOptions(slope=2, false_alarms=0.05, lapses=0.05))
    study = dataclasses.replace(Study.plan(spec), observers=(observer,))
    assert study.run(tmp_path / "run", offline=True).unfinished
    run(tmp_path / "run", many)
    run(tmp_path / "other", many, limit=3)
    run(tmp_path / "other", many)
    mine = [outcome for outcome in facts(tmp_path / "run")[0] if outcome[1] is SeriesStatus.COMPLETE]
    assert mine == facts(tmp_path / "other")[0]


def test_a_learning_run_goes_on_with_other_pictures(tmp_path: Path, many: Path) -> None:
    """A resumed study may lack every series of an early wave."""
    run(tmp_path / "run", many, limit=20)
    with Store.open(tmp_path / "run") as store:
        late = {s for s, number in store.waves("simulated", "direct").items() if number == 1}
        names = [row.name for row in store.series() if row.id in late and row.distortion == "noise"][:4]
    for concurrency in (1, 4):
        observer = Simulated("", SimulatedOptions(slope=2, false_alarms=0.05, lapses=0.05, concurrency=concurrency))
        spec = Spec(images=tuple(str(many / name) for name in names), observers=("simulated",), distortions=("noise",),
                    ladders={"noise": LADDERS["noise"]}, procedure={"name": "certify"})  # fmt: skip
        progress = dataclasses.replace(Study.plan(spec), observers=(observer,)).run(tmp_path / "run")
        assert (progress.done, progress.asked, progress.unfinished) == (4, 0, [])


def test_what_was_never_asked_teaches_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "grey"
    folder.mkdir()
    for i in range(12):
        pixels = photograph(str(i), 40, 40)
        if i % 2:
            pixels = np.repeat(pixels.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
        (folder / f"{i}.png").write_bytes(png(pixels))
    spec = Spec(images=(str(folder),), observers=("simulated",), distortions=("saturation",),
                procedure={"name": "psi"})  # fmt: skip
    Study.plan(spec).run(tmp_path / "run")
    with Store.open(tmp_path / "run") as store:
        waves, rows = store.waves("simulated", "direct"), store.series()
        colour = {row.id for row in rows if int(row.name.removesuffix(".png")) % 2 == 0}
        prior = decode(store.priors("simulated", "direct")["saturation", 1])
    assert prior is not None
    assert prior.series == len([s for s in colour if waves[s] == 0]) > 0


def test_second_draws_of_a_greedy_observer_are_other_questions(tmp_path: Path, many: Path) -> None:
    observer = Toy(lambda query: "<yes> They differ.")
    spec = Spec(images=(str(many),), observers=("simulated",), distortions=("noise",), limit=1,
                procedure={"name": "psi", "draws": 2, "trials": 40, "sd": 0}, identical_pairs=False)  # fmt: skip
    dataclasses.replace(Study.plan(spec), observers=(observer,)).run(tmp_path / "run")
    assert max(observer.asked.values()) == 1
    _, asked, _ = facts(tmp_path / "run")
    assert {draw for _, _, _, draw, _ in asked} == {0, 1}
    assert len({key for *_, key in asked}) == len(asked)
    spec = Spec(images=(str(many),), observers=("simulated",), distortions=("noise",), limit=1,
                procedure={"name": "psi", "draws": 9, "trials": 90, "sd": 0})  # fmt: skip
    progress = dataclasses.replace(Study.plan(spec), observers=(Toy(lambda query: "<yes> They differ."),)).run(
        tmp_path / "much"
    )
    assert progress.unfinished[0].kind == "input"
    assert "is greedy" in progress.unfinished[0].detail
    with pytest.raises(InputError):
        make("psi", {"draws": -1})


def test_draws_of_an_observer_that_samples_are_samples(tmp_path: Path, many: Path) -> None:
    observer = Toy(lambda query: "<yes> They differ.")
    observer.sampled = True  # type: ignore[attr-defined]
    spec = Spec(images=(str(many),), observers=("simulated",), distortions=("noise",), limit=1,
                procedure={"name": "psi", "draws": 9, "trials": 30, "sd": 0}, identical_pairs=False)  # fmt: skip
    dataclasses.replace(Study.plan(spec), observers=(observer,)).run(tmp_path / "run")
    assert len(set(observer.texts)) == 1
    assert max(observer.asked.values()) == 1  # each draw has its own key


def test_what_is_learnt_does_not_depend_on_order() -> None:
    series = [testing.simulate("scan", [k >= jnd for k in range(1, 51)]).asked for jnd in (12, 15, 20, 21, 30)]
    learner, ladder = make("certify", {}), Ladder(tuple(float(k) for k in range(1, 51)), "level")
    forwards, backwards = learner.learn(ladder, series), learner.learn(ladder, series[::-1])  # type: ignore[attr-defined]
    assert forwards == backwards
    assert forwards.series == 5
    assert learner.learn(ladder, []) is None  # type: ignore[attr-defined]


def test_a_prior_saves_questions_and_certify_falls_back_on_noise() -> None:
    ladder = Ladder(tuple(float(k) for k in range(1, 51)), "level")
    learner = make("certify", {})
    calm = [testing.simulate("scan", [k >= jnd for k in range(1, 51)]).asked for jnd in range(15, 31)]
    prior = learner.learn(ladder, calm)  # type: ignore[attr-defined]
    answers = [k >= 22 for k in range(1, 51)]
    without, with_ = simulate("certify", answers), simulate("certify", answers, prior=prior)
    assert without.levels == with_.levels == (22,)
    assert with_.questions < without.questions
    assert with_.thresholds[0].certainty >= 0.95

    def verdict(yes: bool) -> Verdict:
        return Verdict(Flag.YES if yes else Flag.NO)

    noisy = [{Probe(0, k): verdict((k * 7 + i) % 3 == 0) for k in range(1, 40)} for i in range(12)]
    wild = learner.learn(ladder, noisy)  # type: ignore[attr-defined]
    assert wild.false_alarms >= 0.2
    assert simulate("certify", answers, prior=wild).asked == simulate("skip", answers).asked


def test_the_scan_outcome_is_exact_on_small_ladders() -> None:
    """The dynamic programme against every set of answers, for several gaps and windows."""
    import itertools

    from limen.procedure import pattern

    rng = np.random.default_rng(0)
    for gap, confirm, levels in (
        (1, 2, 5),
        (1, 0, 4),
        (2, 2, 6),
        (3, 1, 6),
        (1, 3, 5),
        (2, 1, 3),
        (1, 2, 2),
    ):
        offsets = tuple(k - 1 for k in pattern(1, gap, confirm, 99))
        p = rng.random(levels)
        expected = np.zeros(levels + 1)
        for answers in itertools.product([False, True], repeat=levels):
            jnd = simulate("scan", answers, gap=gap, confirm=confirm).levels[0]
            expected[levels if jnd is None else int(jnd) - 1] += np.prod(np.where(answers, p, 1 - p))
        found = observer_model.scan_outcome(np.ones((1, 1)), p[None, None], offsets)[0]
        assert np.allclose(found, expected)


def test_waves_do_not_depend_on_the_order_of_the_series() -> None:
    """They are dealt by digest, so that a folder read in another order teaches the same."""

    class FakeSeries:
        distortion = SimpleNamespace(name="noise")

        def __init__(self, id: str) -> None:
            self.id = id

        def __len__(self) -> int:
            return 50

    def dealt(names: list[str]) -> list[Any]:
        rows: list[Any] = []
        store: Any = SimpleNamespace(waves=lambda *_: {}, add_waves=rows.extend)
        series: list[Any] = [FakeSeries(name) for name in names]
        Schedule(store, "o", make("certify", {}), [questions.find("direct")], series)
        return rows

    names = [f"{i:02d}" for i in range(20)]
    rows = dealt(names)
    assert dealt(names[::-1]) == rows
    assert [row[2] for row in rows if row[4] == 0] == names[:8]
