"""A study that may ask or spend so much: it stops there, loses nothing, and goes on."""

import asyncio
import functools
from pathlib import Path
from typing import Any

import pytest

import limen
from limen import distortion as distortions
from limen.analysis import SeriesStatus, analyse
from limen.analysis.trust import trust
from limen.errors import InputError
from limen.observer import Reply
from limen.observers.simulated import Simulated, SimulatedOptions
from limen.preflight import exam
from limen.question import Query
from limen.report import headline, tables
from limen.spending import Spending
from limen.store import Store
from limen.study import LIMIT, Progress, Spec, Study
from tests.support.command import limen as command
from tests.support.toy import Toy


class Counted(Simulated):
    """Counts every question as it comes, and how often it was entered."""

    def __init__(self, model: str = "", seed: int = 0) -> None:
        super().__init__(model, SimulatedOptions(concurrency=64, seed=seed))
        self.keys: list[str] = []
        self.entered = 0

    async def answer(self, query: Query) -> Reply:
        self.keys.append(query.key(""))
        await asyncio.sleep(0.002)
        return await super().answer(query)

    async def __aenter__(self) -> "Counted":
        self.entered += 1
        return self


def study(observers: Any, **settings: Any) -> Study:
    given = {"limit": 4, "distortions": ("blur", "noise"), "exam": False, "floor": False} | settings
    spec = Spec(images=("demo",), observers=("simulated",), **given)
    kinds = [distortions.find(name) for name in given["distortions"]]
    return Study.of(spec, observers, kinds)


def outcomes(out: Path) -> dict[tuple[str, str, str, str], tuple[SeriesStatus, Any]]:
    with Store.open(out) as store:
        return {
            (one.observer, one.question, one.series.distortion, one.series.name): (one.status, one.thresholds)
            for one in analyse(store).outcomes
        }


@pytest.mark.parametrize("settings", [{}, {"look_ahead": 2}, {"procedure": {"name": "certify"}}])
def test_exactly_as_many_are_asked_and_the_rest_later(tmp_path: Path, settings: dict[str, Any]) -> None:
    whole = Counted()
    assert not study([whole], **settings).run(tmp_path / "whole").unfinished
    asked: list[str] = []
    for _ in range(100):
        observer = Counted()
        progress = study([observer], **settings).run(tmp_path / "parts", spending=Spending(questions=9))
        asked += observer.keys
        assert len(observer.keys) <= 9
        if not progress.unfinished:
            break
        assert len(observer.keys) == progress.asked == progress.spending.asked == 9
        assert {one.kind for one in progress.unfinished} == {LIMIT}
    assert len(asked) == len(set(asked))  # nothing is asked twice
    assert outcomes(tmp_path / "parts") == outcomes(tmp_path / "whole")
    if not settings.get("look_ahead"):
        assert sorted(asked) == sorted(whole.keys)


def test_a_limit_that_suffices_leaves_nothing_open(tmp_path: Path) -> None:
    whole = Counted()
    study([whole]).run(tmp_path / "whole")
    progress = study([Counted()]).run(tmp_path / "exact", spending=Spending(questions=len(whole.keys)))
    assert not progress.unfinished


def test_questions_of_the_exam_count_and_it_goes_on(tmp_path: Path) -> None:
    asked = []
    for _ in range(2):
        observer, spending = Counted(), Spending(questions=20)
        progress = study([observer]).run(
            tmp_path / "run", examine=functools.partial(exam.keep, spending=spending), spending=spending
        )
        assert len(observer.keys) == 20
        asked += observer.keys
        assert len(progress.unfinished) == 8
    with Store.open(tmp_path / "run") as store:
        assert store.manifest["exams"]["simulated"]["fit"]


def test_no_table_calls_what_lacks_answers_censored_or_nothing(tmp_path: Path) -> None:
    first, second = Counted(), Counted("other", seed=1)
    plan = study([first, second], questions=("direct", "direct-implicit"), limit=2)
    progress: Progress = plan.run(tmp_path / "run", spending=Spending(questions=12))
    assert second.entered == 0  # a model that will not be asked is not loaded
    assert len([one for one in progress.unfinished if one.observer == "simulated:other"]) == 8
    assert progress.done == progress.total
    with Store.open(tmp_path / "run") as store:
        analysis = analyse(store)
    lanes = {(one.question, one.series.distortion) for one in analysis.outcomes}
    assert len(lanes) == 4  # a question that was not begun with is there too
    assert all(row.censored.k == 0 for row in analysis.jnds if not row.n)
    table = tables.first_jnds(analysis)
    assert sum("not finished" in row for row in table.rows) == sum(not row.n for row in analysis.jnds) > 0
    open_ = sum(one.status is SeriesStatus.UNFINISHED for one in analysis.outcomes)
    assert f"{open_} of 8 series are not finished" in headline.sentence(analysis, trust(analysis, {}))
    assert not plan.run(tmp_path / "run").unfinished
    with Store.open(tmp_path / "run") as store:
        finished = analyse(store)
    assert "not finished" not in headline.sentence(finished, trust(finished, {}))


def test_series_that_have_their_answers_are_finished_without_asking(tmp_path: Path) -> None:
    """The second observer has all its answers in the run: a limit on the first one takes nothing from it."""
    study([Counted("b")]).run(tmp_path / "run")
    idle = Counted("b")
    progress = study([Counted("a", seed=1), idle]).run(tmp_path / "run", spending=Spending(questions=5))
    assert {one.observer for one in progress.unfinished} == {"simulated:a"}
    assert idle.keys == []
    assert idle.entered == 0


def test_the_cost_is_kept(tmp_path: Path) -> None:
    toy = Toy(lambda query: "<no> They look the same.", concurrency=64)  # says 7 and 2 tokens
    toy.max_tokens = 20
    one, most = (7 + 2 * 5) / 1e6, 500 / 1e6
    spending = Spending(cost=most, price={"in": 1, "out": 5})
    progress = study([toy]).run(tmp_path / "run", spending=spending)
    assert {one.kind for one in progress.unfinished} == {LIMIT}
    assert spending.spent == pytest.approx(one * sum(toy.asked.values()))
    assert most - (200 + 20 * 5) / 1e6 < spending.spent <= most  # what one more might have cost is left


def test_what_does_not_say_its_usage_is_told_once(tmp_path: Path) -> None:
    progress = study([Counted()]).run(tmp_path / "run", spending=Spending(price="in=1,out=1"))
    assert sum("how many tokens" in line for line in progress.notices) == 1
    assert not any("how many tokens" in line for line in study([Counted()]).run(tmp_path / "b").notices)


def test_from_python(tmp_path: Path) -> None:
    observer = Counted()
    run = limen.measure("demo", observer, "blur", limit=3, max_questions=6, out=tmp_path / "run")
    assert len(observer.keys) == 6
    assert len(run.unfinished) == 3
    assert "limit of 6 questions" in run.unfinished[0]
    assert "not finished" in repr(run)
    with pytest.raises(InputError, match="max_cost needs a price"):
        limen.measure("demo", observer, "blur", max_cost=3)


def measure(out: Path, *more: object) -> Any:
    words = ("--images", "demo", "--limit", 2, "--distortion", "blur", "--observer", "simulated", "--no-exam")
    return command("measure", *words, "--out", out, *more)


def test_the_command_says_what_stopped_it_and_goes_on(tmp_path: Path) -> None:
    done = measure(tmp_path / "run", "--max-questions", 5, "--price", "in=2,out=10")
    assert done.returncode == 2
    last = " ".join(done.stderr.split())
    assert "stopped: the limit of 5 questions is reached (5 questions, at most " in last
    assert "at your rates). 2 series are not finished: the same command goes on, with a larger limit further" in last
    assert "unfinished:" not in last
    assert "not finished" in done.stdout
    done = measure(tmp_path / "run", "--max-questions", 500, "--price", "in=2,out=10")
    assert done.returncode == 0
    assert "cost: " in done.stderr
    assert "5 answers replayed" in done.stderr
    assert "at your rates" not in measure(tmp_path / "run").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--max-questions", 0), "0 is not in the range"), (("--max-questions", "x"), "'x' is not a valid integer"),
        (("--max-cost", 1), "max_cost needs a price"), (("--max-cost", "nan", "--price", "in=1,out=1"), "not a number"),
        (("--price", "in=1"), "the rate 'out' is missing"), (("--price", "in=1,out=-1"), "the rate 'out' is -1"),
    ],
)  # fmt: skip
def test_bad_limits_are_one_line(tmp_path: Path, words: tuple[object, ...], said: str) -> None:
    done = measure(tmp_path / "run", *words)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert not (tmp_path / "run").exists()
