"""The report's own test in Chromium: a whole series by clicks, saved, and imported as an ordinary run."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from limen.analysis import analyse
from limen.question import Question
from limen.store import Store
from limen.study import Study
from limen.trial import Trial, pair
from tests.browser.conftest import AXE, WINDOWS, Visit, until
from tests.report.test_viewer import images, spec, write
from tests.support.command import limen

pytestmark = pytest.mark.browser

SAME = {"name": "same", "text": "Are these two images identical? Reply with yes or no.", "notices": ["no"]}
EITHER = {"name": "either", "text": "Do these two images differ? Reply with yes or no.", "order": "balanced"}
READY = "#test-answers button[aria-disabled=false]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a keen observer under four questions, its page, and one of fixed levels."""
    made = tmp_path_factory.mktemp("readers")
    photos = images(made / "in", "a.png", "b.png", height=48, width=64)
    keen = ({"name": "simulated", "threshold": 8.0, "slope": 0.1},)
    asked = ("direct", SAME, EITHER, "odd-one-out-3")
    bisect = {"name": "bisect", "orders": 2}
    Study.plan(spec(photos, observers=keen, questions=asked, procedure=bisect)).run(made / "model")
    write(made / "model", made / "report.html")
    fixed = {"name": "constant", "levels": [3, 8, 20], "draws": 2}
    Study.plan(spec(photos, observers=keen, procedure=fixed, distortions=("blur",))).run(made / "fixed")
    write(made / "fixed", made / "fixed.html")
    return made


@pytest.fixture
def go(browser: Any, folder: Path) -> Iterator[Any]:
    made: list[Visit] = []

    def visit(name: str = "report.html", fragment: str = "", **settings: Any) -> Visit:
        made.append(Visit(browser, folder / name, fragment, **settings))
        return made[-1]

    yield visit
    for one in made:
        one.close()


def begin(one: Visit, lane: str = "", many: str = "all", of: str = "one", seed: int = 7) -> int:
    """Begin a test of whole series; return how many questions were said beforehand."""
    if lane:
        one.page.select_option("#look-o", label=lane)
    one.page.fill("#test-seed", str(seed))
    one.page.select_option("#test-kind", "whole")
    one.page.select_option("#test-many", label=many)
    if of == "all":
        one.page.select_option("#test-of", of)
    until(one.page, "!document.getElementById('test-plan').textContent.includes('opened')")
    told = one.page.inner_text("#test-plan")
    count = re.match(r"([\d,]+) questions?, \d+ of them about identical pairs", told)
    assert count is not None, told
    one.page.click("#test-start")
    return int(count[1].replace(",", ""))


def do(one: Visit, threshold: int, most: int = 10_000) -> int:
    """Answer by clicks as somebody who notices from so many levels on; return how many questions came."""
    count = 0
    while one.page.is_visible("#test-run") and count < most:
        one.page.wait_for_selector(READY)
        now = one.page.evaluate("({...test.pairs[test.said.length], picks: test.lane.picks})")
        seen = now["level"] - now["reference"] >= threshold
        place = now["place"] if seen else 0
        one.page.click(f"{READY} >> nth={place if now['picks'] else int(not seen)}")
        count += 1
    return count


def save(one: Visit, alias: str, into: Path) -> Path:
    """Save the answers under an alias; return the file."""
    one.page.fill("#test-alias", alias)
    with one.page.expect_download() as started:
        one.page.click("text=Save the answers")
    file = into / str(started.value.suggested_filename)
    started.value.save_as(file)
    return file


def trials(run: Path, observer: str, question: str) -> list[Trial]:
    with Store.open(run) as store:
        return [trial for trial in store.trials(observer, question) if trial.key]


def which(found: list[Trial]) -> set[tuple[str, int, int, int]]:
    return {(one.series, one.reference, one.level, one.draw) for one in found}


@pytest.mark.parametrize("question", ["direct", "same", "either", "odd-one-out-3"])
def test_whole_series_by_clicks_are_trials_of_the_models_series(
    go: Any, folder: Path, tmp_path: Path, question: str
) -> None:
    one = go()
    said = begin(one, f"simulated, {question}", of="all")
    assert do(one, threshold=12) == said
    file = save(one, "ann", tmp_path)
    assert file.name == "limen-test-ann.json"
    done = limen("import", f"test={tmp_path}/limen-test-*.json", "--out", tmp_path / "readers")
    assert done.returncode == 0, done.stderr
    assert f"person:ann: {said} answers of whole series, 4 series" in done.stdout
    ours, theirs = trials(tmp_path / "readers", "person:ann", question), trials(folder / "model", "simulated", question)
    assert which(ours) == which(theirs)
    assert {(one.series, one.reference, one.level, one.wording) for one in ours} == {
        (one.series, one.reference, one.level, one.wording) for one in theirs
    }
    with Store.open(tmp_path / "readers") as store:
        analysis = analyse(store)
        shown = {one.key: one for one in store.presentations()}
        assert store.manifest["procedure"] == {"name": "recorded"}
    known: Question = analysis.questions[question]
    right = 0
    for outcome in analysis.outcomes:
        assert outcome.status.value == "complete"
        for response in outcome.responses:
            probe = response.probe
            noticed = probe.level - probe.reference >= 12
            name = pair(outcome.series.id, probe.reference, probe.level)
            lucky = known.forced and known.place(name, probe.draw) == 1 and not noticed
            assert response.verdict.yes == (noticed or lucky)
            assert shown[response.key[0]].reaction_time_ms > 0
            right += 1
    assert right == said


def test_readers_stand_beside_the_model(go: Any, folder: Path, tmp_path: Path) -> None:
    for alias, threshold in (("ann", 6), ("bob", 14)):
        one = go("fixed.html")
        said = begin(one)
        assert said == 14  # three levels and an identical pair of two photographs, each level drawn twice
        assert do(one, threshold) == said
        save(one, alias, tmp_path)
    assert limen("import", f"test={tmp_path}", "--out", tmp_path / "readers").returncode == 0
    with Store.open(tmp_path / "readers") as store:
        assert store.manifest["procedure"] == {"name": "constant", "levels": [3, 8, 20], "every": 5, "draws": 2}
    out = tmp_path / "report.html"
    done = limen("report", tmp_path / "readers", folder / "fixed", "--out", out)
    assert done.returncode == 0, done.stderr
    assert {"person:ann", "person:bob", "simulated"} <= set(re.findall(r"person:\w+|simulated", out.read_text()))
    fits = limen("fit", tmp_path / "readers", folder / "fixed", "--json")
    rows = {row["observer"]: row for row in json.loads(fits.stdout)["fits"]}
    assert rows["person:ann"]["t50"]["level"] < rows["person:bob"]["t50"]["level"]


def test_a_stopped_series_is_kept_as_far_as_it_went(go: Any, tmp_path: Path) -> None:
    one = go()
    said = begin(one, "simulated, direct", many="1")
    do(one, threshold=12, most=5)
    one.page.keyboard.press("Escape")
    assert f"you stopped before {said - 5} of {said} pairs" in one.page.inner_text("#test-end")
    save(one, "early", tmp_path)
    done = limen("import", f"test={tmp_path}", "--out", tmp_path / "readers")
    assert f"person:early: 5 answers of whole series, 1 series, {said - 5} not put." in done.stdout


def test_the_short_test_is_read_too(go: Any, tmp_path: Path) -> None:
    one = go()
    one.page.fill("#test-seed", "5")
    one.page.click("#test-start")
    count = do(one, threshold=12)
    save(one, "short", tmp_path)
    done = limen("import", f"test={tmp_path / 'limen-test-short.json'}", "--out", tmp_path / "readers")
    assert f"person:short: {count} answers of the short test" in done.stdout, done.stderr


def test_an_alias_that_cannot_be_one_is_not_saved(go: Any) -> None:
    one = go()
    begin(one, "simulated, direct", many="1")
    do(one, threshold=12, most=1)
    one.page.keyboard.press("Escape")
    assert re.fullmatch(r"reader-[0-9a-z]{1,6}", one.page.input_value("#test-alias"))
    for bad in ("", "Ann Smith", "<b>", "-x", "é"):
        one.page.fill("#test-alias", bad)
        one.page.click("text=Save the answers")
        assert "An alias has 1 to 32 letters" in one.page.inner_text("#test-saved")
        assert one.page.get_attribute("#test-alias", "aria-invalid") == "true"


def test_a_seed_and_a_link_bring_the_same_series_in_the_same_order(go: Any) -> None:
    orders = []
    for fragment in ("", "link"):
        one = go(fragment=orders[0][1] if fragment else "")
        if not fragment:
            begin(one, "simulated, direct", many="2", of="all", seed=9)
        else:
            assert one.page.input_value("#test-kind") == "whole"
            one.page.click("#test-start")
        orders.append((one.page.evaluate("test.pairs.map(p => [p.s, p.reference, p.level])"), one.link()))
        one.page.keyboard.press("Escape")
    assert orders[0] == orders[1]
    found = [pair[0] for pair in orders[0][0]]
    assert len(set(found)) == 2
    assert found != sorted(found)  # interleaved


def test_the_pages_digests_are_those_of_the_standard(go: Any) -> None:
    one = go()
    texts = [
        "",
        "abc",
        "é\U0001f600",
        *("x" * length for length in (55, 56, 63, 64, 65, 119, 120, 1000)),
        "ab\n" * 9000,
    ]
    for text in texts:
        assert one.page.evaluate("text => sha256(text)", text) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("window", WINDOWS)
def test_a_test_of_whole_series_fits_and_is_accessible(go: Any, window: str) -> None:
    one = go(**WINDOWS[window])
    begin(one, "simulated, direct", many="1")
    one.page.wait_for_selector(READY)
    assert not one.page.eval_on_selector("#test-run", "run => run.scrollHeight > run.clientHeight")
    do(one, threshold=12, most=2)
    one.page.keyboard.press("Escape")
    one.page.evaluate(AXE.read_text())
    found = one.page.evaluate("axe.run('#look-test')")
    assert [(bad["id"], [node["html"] for node in bad["nodes"]]) for bad in found["violations"]] == []
    assert one.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
