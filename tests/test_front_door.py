"""What `import limen` offers: functions and arrays of a person's own, measured, opened again, and looked at."""

import asyncio
import functools
import html
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas
import pytest
from PIL import Image as Pillow

import limen
from limen.image import Image
from limen.store import Store
from limen.testing import photograph

LADDER = {"noise": [1.0, 2.0, 4.0, 8.0, 16.0]}
A, B = photograph("a", 48, 64), photograph("b", 64, 48)


def looks(first: Image, second: Image) -> bool:
    """Notices four grey levels of mean difference."""
    return bool(np.abs(first.astype(int) - second).mean() > 4)


def darker(image: Image, strength: float) -> Image:
    """Take a share of the light away."""
    return np.clip(np.rint(image * (1 - strength / 100)), 0, 255).astype(np.uint8)


def run_of(observer: Any, **settings: Any) -> limen.Run:
    return limen.measure([A, B], observer, "noise", ladders=LADDER, **settings)


def test_a_function_and_arrays_are_measured() -> None:
    run = limen.measure({"one": A, "two": B}, looks, ["noise", darker], ladders=LADDER | {"darker": [1, 2, 4, 8, 16]})
    assert {(row.observer, row.distortion, row.n, row.levels) for row in run.jnds} == {
        ("looks", "noise", 2, 5), ("looks", "darker", 2, 5),
    }  # fmt: skip
    trials = run.trials()
    assert {trial.reference for trial in trials} == {"one", "two"}
    for trial in trials:
        assert trial.verdict in {"yes", "no", "same"}
        assert trial.fault == ""
        if trial.level == 0:
            assert (trial.verdict, trial.strength) in {("no", None), ("same", None)}
        else:
            assert trial.strength == (LADDER | {"darker": [1, 2, 4, 8, 16]})[trial.distortion][trial.level - 1]
    seen = {(trial.reference, trial.level): trial.verdict for trial in trials if trial.distortion == "darker"}
    for name, image in (("one", A), ("two", B)):
        for level, strength in enumerate((1, 2, 4, 8, 16), start=1):
            if (name, level) in seen:
                assert seen[name, level] == ("yes" if looks(image, darker(image, strength)) else "no")


def test_a_run_in_memory_goes_with_its_object_and_one_with_a_directory_stays(tmp_path: Path) -> None:
    run = run_of(looks)
    folder = run.paths[0]
    assert folder.exists()
    assert run.jnds
    del run
    assert not folder.exists()
    kept = run_of(looks, out=tmp_path / "run")
    assert limen.open(tmp_path / "run").jnds == kept.jnds
    assert limen.open(str(tmp_path / "run")).to_dicts() == kept.to_dicts()


def answers(folder: Path) -> int:
    with Store.open(folder) as store:
        return sum(count for (_, outcome), count in store.attempts().items() if outcome == "ok")


def test_the_same_call_asks_nothing_twice_and_an_edited_function_never_meets_old_answers(tmp_path: Path) -> None:
    first = run_of(looks, out=tmp_path / "run")
    asked = answers(tmp_path / "run")
    assert run_of(looks, out=tmp_path / "run").jnds == first.jnds
    assert answers(tmp_path / "run") == asked

    def make(criterion: float) -> Callable[[Image, Image], bool]:
        def looks(first: Image, second: Image) -> bool:
            return bool(np.abs(first.astype(int) - second).mean() > criterion)

        return looks

    run_of(make(4), out=tmp_path / "other")
    with pytest.raises(limen.StoreError, match="observer looks.version was"):
        run_of(make(5), out=tmp_path / "other")
    run_of(make(4), out=tmp_path / "other")
    run_of(make(5), out=tmp_path / "third", version="1")
    run_of(make(6), out=tmp_path / "third", version="1")  # its version says that nothing changed
    with pytest.raises(limen.StoreError, match="observer looks.version was"):
        run_of(make(6), out=tmp_path / "third", version="2")


class Network:
    def __call__(self, first: Image, second: Image) -> bool:
        return looks(first, second)


def test_what_cannot_be_told_from_its_source_needs_a_version_where_answers_are_kept(tmp_path: Path) -> None:
    network = Network()

    def asks(first: Image, second: Image) -> bool:
        return network(first, second)

    assert run_of(asks).jnds[0].n == 2
    assert run_of(network, name="net").jnds[0].observer == "net"
    with pytest.raises(limen.InputError, match=r"depends on 'network', which is a Network.*version"):
        run_of(asks, out=tmp_path / "run")
    assert run_of(asks, out=tmp_path / "run", version="3").jnds[0].n == 2


@pytest.mark.parametrize(("returned", "said"), [
    (1.5, r"returned 1.5 \(float\)\. Return True or False"), (1, r"returned 1 \(int\)"),
    (None, r"returned nothing \(None\)"),
    (np.zeros((3, 4)), r"an array of float64 and shape \(3, 4\)"), ([True], r"returned \[True\] \(list\)"),
])  # fmt: skip
def test_what_cannot_be_read_is_refused_with_what_came(returned: object, said: str) -> None:
    with pytest.raises(limen.FatalObserverError, match=said):
        run_of(lambda first, second: returned, name="odd")


def test_numbers_need_to_be_told_what_they_are() -> None:
    def difference(first: Image, second: Image) -> float:
        return float(np.abs(first.astype(int) - second).mean())

    by_threshold = run_of(difference, threshold=4.0)
    assert [row.mean for row in by_threshold.jnds] == [row.mean for row in run_of(looks).jnds]
    assert "difference" in by_threshold.trials()[0].text
    sure = run_of(lambda first, second: np.float32(difference(first, second) > 4), returns="probability", name="sure")
    assert [row.mean for row in sure.jnds] == [row.mean for row in by_threshold.jnds]
    assert {trial.p_yes for trial in sure.trials() if trial.verdict == "yes"} == {1.0}
    with pytest.raises(limen.FatalObserverError, match="number from 0 to 1"):
        run_of(difference, returns="probability")
    with pytest.raises(limen.FatalObserverError, match="finite number"):
        run_of(lambda first, second: float("nan"), threshold=1.0)
    with pytest.raises(limen.InputError, match="not both"):
        run_of(difference, returns="probability", threshold=1.0)


def test_words_are_read_as_a_models_are_and_the_question_is_given_to_who_takes_it() -> None:
    heard = []

    def model(first: Image, second: Image, question: str) -> str:
        heard.append(question)
        return "<yes> The second is noisier." if looks(first, second) else "<no> They look the same."

    run = run_of(model, questions=["direct", "choice"])
    assert {row.question for row in run.jnds} == {"direct", "choice"}
    assert any('noticeable difference in "noise"' in text for text in heard)
    assert {trial.fault for trial in run.trials() if trial.question == "direct"} == {""}


def test_a_forced_choice_wants_words() -> None:
    with pytest.raises(limen.FatalObserverError, match="must answer this question in words"):
        run_of(looks, questions="forced-choice", procedure={"name": "psi", "guess": 0.5})


def test_an_exception_of_the_function_ends_the_run_and_stays_attached() -> None:
    def broken(first: Image, second: Image) -> bool:
        raise ZeroDivisionError("no light")

    with pytest.raises(limen.FatalObserverError, match="broken raised ZeroDivisionError: no light") as raised:
        run_of(broken)
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


def test_calls_come_one_at_a_time_unless_more_are_wanted() -> None:
    import threading

    threads = set()

    def watching(first: Image, second: Image) -> bool:
        threads.add(threading.get_ident())
        return looks(first, second)

    run_of(watching)
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    assert run_of(watching, concurrency=3).jnds[0].n == 2


def test_a_running_loop_is_no_hindrance() -> None:
    async def cell() -> limen.Run:
        return run_of(looks)

    async def waits(first: Image, second: Image) -> bool:
        await asyncio.sleep(0)
        return looks(first, second)

    assert asyncio.run(cell()).jnds == run_of(looks).jnds
    assert run_of(waits, name="looks").jnds == run_of(looks).jnds


def test_pictures_come_as_files_arrays_or_pillows(tmp_path: Path) -> None:
    Pillow.fromarray(A).save(tmp_path / "a.png")
    one = limen.measure(tmp_path / "a.png", looks, "noise", ladders=LADDER)
    other = limen.measure(Pillow.fromarray(A), looks, "noise", ladders=LADDER)  # type: ignore[arg-type]
    third = limen.measure([A, str(tmp_path)], looks, "noise", ladders=LADDER)
    assert one.jnds == other.jnds == third.jnds
    assert third.refused == ("a.png: has the same pixels as array-1. One of them is enough.",)


@pytest.mark.parametrize(("images", "said"), [
    (np.zeros((64, 64, 3)), r"array-1: an image is a uint8 RGB array of shape \(H, W, 3\), not float64"),
    (np.zeros((8, 8, 3), np.uint8), "array-1: is 8x8 px"), ([], "No usable reference"), ("nowhere", "nowhere"),
])  # fmt: skip
def test_pictures_that_are_none_are_refused(images: Any, said: str) -> None:
    with pytest.raises(limen.InputError, match=said):
        limen.measure(images, looks, "noise", ladders=LADDER)


def test_settings_are_checked_by_name() -> None:
    with pytest.raises(limen.InputError, match="no setting 'colour'.*look_ahead"):
        run_of(looks, colour=3)
    with pytest.raises(limen.InputError, match="seed cannot be 'x'"):
        run_of(looks, seed="x")
    with pytest.raises(limen.UnknownNameError, match="Did you mean 'noise'"):
        limen.measure(A, looks, "nois")
    with pytest.raises(limen.InputError, match=r"'darker' is a function and needs strengths: ladders=\{'darker'"):
        limen.measure(A, looks, darker)
    with pytest.raises(limen.InputError, match="ladders.*blurr"):
        limen.measure(A, looks, "noise", ladders={"blurr": [1]})
    with pytest.raises(limen.InputError, match="finite number"):
        limen.measure(A, looks, "noise", ladders={"noise": [1, float("nan")]})
    with pytest.raises(limen.InputError, match="not derived from limen.Observer"):
        run_of(type("Mine", (), {"answer": None})())
    with pytest.raises(limen.InputError, match="cannot be called with two pictures"):
        run_of(lambda one: True)


def test_a_distortion_must_return_an_image_of_the_same_kind() -> None:
    run = limen.measure(A, looks, lambda image, strength: image * 0.5, ladders={"<lambda>": [1, 2]})
    assert not run.jnds or run.jnds[0].n == 0
    assert "returned float64 (48, 64, 3) at strength" in run.unfinished[0]


def test_jnds_and_procedures_are_chosen_by_name() -> None:
    chain = run_of(looks, jnds=2)
    assert {row.order for row in chain.jnds} == {1, 2}
    fitted = run_of("simulated", procedure={"name": "psi", "trials": 12})
    assert fitted.estimates[0].n == 2
    assert "median T50" in repr(fitted)


def test_it_shows_itself_on_a_screen_and_as_a_table(tmp_path: Path) -> None:
    run = run_of(looks, name="<b>looks</b>")
    lines = repr(run).splitlines()
    assert len(lines) < 30
    assert max(map(len, lines)) < 120
    assert "&lt;b&gt;looks" in run._repr_html_()
    assert "<b>" not in run._repr_html_()
    rows = run.to_dicts()
    assert rows[0]["median.level"] == run.jnds[0].median.level
    assert rows[0]["censored.n"] == 2
    assert json.loads(json.dumps(rows)) == rows
    assert len(run.to_dicts(run.trials())) == len(run.trials())


def test_it_shows_what_the_command_line_shows() -> None:
    """Intervals, the unit at the median and false alarms stand beside a level; a run of fixed levels has its curve."""
    run = limen.measure("demo", "simulated", "blur", limit=6, jnds=2)
    for shown in (repr(run), run._repr_html_()):
        for part in ("mean [95 %]", "px at 640 px wide", "false alarms", "0 of 12*", "JNDs after the 1st: to_frame()"):
            assert part in shown
    assert "quartiles" not in repr(run).splitlines()[1]  # left out first, where the line is long
    assert "<th>quartiles</th>" in run._repr_html_()
    fixed = run_of(looks, procedure={"name": "constant", "levels": [1, 5]})
    assert repr(fixed).startswith("Yes against level of looks\n")


def test_figures_are_shown_and_saved(tmp_path: Path) -> None:
    figures = run_of(looks).figures()
    first = figures["first-jnds"]
    assert first._repr_svg_().startswith("<svg")
    assert first.label.startswith("1st JND levels")
    heads = {".svg": b"<svg", ".png": b"\x89PNG", ".pdf": b"%PDF"}
    for suffix, head in heads.items():
        assert first.save(tmp_path / f"new/first{suffix}").read_bytes().startswith(head)
    with pytest.raises(limen.InputError, match=r"not saved as '\.jpg'.*\.svg, \.png, \.pdf"):
        first.save(tmp_path / "first.jpg")
    with pytest.raises(limen.InputError, match=r"cannot be written.*Give another place"):
        first.save(tmp_path / "new" / "first.svg" / "below.svg")


def test_curves_come_as_rows_to_draw_from() -> None:
    run = limen.measure("demo", "simulated", "blur", limit=4)
    rows = run.psychometric()
    asked = [trial for trial in run.trials() if trial.level and trial.reference_level == 0]
    assert sum(row["said"]["n"] for row in rows if row["level"]) == len(asked)
    assert sum(row["said"]["k"] for row in rows if row["level"]) == sum(trial.verdict == "yes" for trial in asked)
    assert all(0 <= row["fitted_low"] <= row["fitted"] <= row["fitted_high"] <= 1 for row in rows)
    assert {"said.k", "said.n", "fitted"} <= set(run.to_frame(rows).columns)


def test_the_sentence_to_quote_is_that_of_the_report(tmp_path: Path) -> None:
    run = run_of(looks, out=tmp_path / "run")
    (sentence,) = run.sentences
    (row,) = run.trust
    assert row.trust.value in sentence
    assert {rule.rule for rule in row.rules} >= {"false alarms", "unreadable answers"}
    assert sentence.startswith("Median 1st JND of looks [95 %]: noise")
    assert html.escape(sentence) in run.report(tmp_path / "report.html").read_text()


def test_rows_become_a_frame_of_the_library_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(looks)
    assert run.to_frame().equals(pandas.DataFrame(run.to_dicts()))
    assert list(run.to_frame(run.trials())["verdict"]) == [trial.verdict for trial in run.trials()]
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "polars", SimpleNamespace(DataFrame=tuple))
    assert run.to_frame() == tuple(run.to_dicts())
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(limen.InputError, match=r"pandas or polars.*to_dicts\(\) needs neither"):
        run.to_frame()


def test_several_runs_are_read_as_one(tmp_path: Path) -> None:
    run_of(looks, out=tmp_path / "a")
    run_of(looks, out=tmp_path / "b", name="other")
    assert {row.observer for row in limen.open(tmp_path / "a", tmp_path / "b").jnds} == {"looks", "other"}
    with pytest.raises(limen.StoreError):
        limen.open(tmp_path / "nowhere")
    with pytest.raises(limen.InputError, match="needs a run directory"):
        limen.open()


def test_a_report_is_drawn(tmp_path: Path) -> None:
    page = run_of(looks).report(tmp_path / "page.html")
    assert "array-1" in page.read_text()


LAZY = """
import sys, limen
heavy = {"numpy", "aiohttp", "msgspec", "rich", "scipy", "torch"} & set(sys.modules)
assert not heavy, heavy
assert set(limen.__all__) <= set(dir(limen))
"""


def test_the_front_door_is_light_and_holds_what_it_names() -> None:
    subprocess.run([sys.executable, "-c", LAZY], check=True)
    for name in limen.__all__:
        assert getattr(limen, name) is not None, name
    with pytest.raises(AttributeError):
        limen.nothing  # noqa: B018
    assert len(limen.__all__) <= 28


# --- plug-ins by path ---

OBSERVER = """
import numpy as np
from limen.observer import observer

@observer("rms")
def rms(first, second):
    \"\"\"Notices a difference of 5 grey levels rms.\"\"\"
    return bool(np.sqrt(np.mean((first - second.astype(float)) ** 2)) > 5)
"""


def test_an_observer_in_a_file_is_ten_lines_and_is_measured(tmp_path: Path) -> None:
    assert len(OBSERVER.strip().splitlines()) <= 10
    (tmp_path / "mine.py").write_text(OBSERVER.replace('"rms"', '"rms-of-test"'))
    run = run_of("rms-of-test", plugins=tmp_path / "mine.py")
    assert run.jnds[0].n == 2
    limen.plugin(tmp_path / "mine.py")  # a second time it is there already
    assert "rms-of-test" in limen.names("observer")


@pytest.mark.parametrize(("text", "said"), [
    ("x = (", "is not valid Python"), ("x = 1", "registers nothing"),
    ("\n1 / 0", "line 2: ZeroDivisionError: division by zero"),
    ("from limen.observer import observer\n@observer('simulated')\ndef f(a, b): return True",
     "line 2: Two observers are named 'simulated', and the other is limen's own: name yours otherwise"),
])  # fmt: skip
def test_a_plug_in_that_is_none_is_told_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "broken.py"
    file.write_text(text)
    before = limen.names("observer")
    with pytest.raises(limen.InputError, match=said) as raised:
        limen.plugin(file)
    assert str(file) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert limen.names("observer") == before
    with pytest.raises(limen.InputError, match="cannot be read"):
        limen.plugin(tmp_path / "missing.py")


def test_functools_partial_is_known_by_what_it_binds() -> None:
    from limen.function_digest import of_function

    def looks(criterion: float, first: Image, second: Image) -> bool:
        return bool(np.abs(first.astype(int) - second).mean() > criterion)

    assert of_function(functools.partial(looks, 3.0)) == of_function(functools.partial(looks, 3.0))
    assert of_function(functools.partial(looks, 3.0)) != of_function(functools.partial(looks, 4.0))


SOURCES = [
    ("def f(a, b): return a > T", "T = 1", "T = 2"),
    ("def f(a, b): return g(a)", "def g(a): return 1", "def g(a): return 2"),
    ("def f(a, b): return [x > T for x in a]", "T = np.zeros(3)", "T = np.ones(3)"),
    ("def f(a, b=T): return b", "T = (1, {'x': 2})", "T = (1, {'x': 3})"),
    ("f = lambda a, b: (lambda: T)()", "T = 'x'", "T = 'y'"),
]


@pytest.mark.parametrize(("source", "one", "other"), SOURCES)
def test_a_function_is_known_by_all_that_it_takes_from_around_it(source: str, one: str, other: str) -> None:
    from limen.function_digest import of_function

    def known(before: str) -> str:
        space: dict[str, Any] = {"np": np}
        exec(f"{before}\n{source}", space)  # noqa: S102
        return of_function(space["f"])

    assert known(one) == known(one)
    assert known(one) != known(other)
