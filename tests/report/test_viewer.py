"""The viewer: its data, its pictures and their budget, and a policy that lets nothing else run."""

import asyncio
import base64
import dataclasses
import gzip
import hashlib
import html
import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

import limen
from limen import distortion
from limen.analysis import Analysis, Outcome, SeriesStatus, analyse
from limen.analysis.merge import together
from limen.analysis.replay import items_of
from limen.cli import run as command
from limen.errors import InputError
from limen.image import Image, Picture, decode, digest, png
from limen.ladder import Ladder
from limen.observer import Observer, Reply
from limen.observers.demo import pixel_values
from limen.procedure import Probe
from limen.question import Order, Query
from limen.report import Report, viewer_data, viewer_pictures
from limen.report import html as layout
from limen.report import images as drawn_images
from limen.report.images import Gallery
from limen.scenes import scene
from limen.store import SeriesRow, Store
from limen.study import Spec, Study
from limen.testing import photograph
from limen.threshold import Threshold
from limen.trial import Answer, Attempt, pair
from tests.study import test_pairs

ENDLESS = "<yes> The two images differ. " * 40_000
SAYINGS = (
    "</script><script>alert(1)</script> <yes> They differ.",
    "<no> \u202eesrever\x00\x1b[31m They look the same.",
    ENDLESS,
)


class Scripted(Observer):
    """Answers in its texts, one after the other by level of nothing: by what it is shown; may fall silent."""

    concurrency = 4

    def __init__(self, name: str = '<img src=x onerror="alert(2)">', silent: bool = False) -> None:
        self.name, self.silent = name, silent

    def fingerprint(self) -> Mapping[str, Any]:
        return {"kind": "scripted", "pixels": "20x10, bicubic if larger or smaller"}

    async def answer(self, query: Query) -> Reply:
        number = int(query.key("")[:8], 16)
        if self.silent and number % 3 == 0:
            return Reply(None, (Attempt("timeout", "<b>"), Attempt("timeout", "")))
        return Reply(Answer(SAYINGS[number % 3], 0.25, 0.5, "stop", 100, 7, 1.23456, "me"), (Attempt("ok"),))

    async def __aenter__(self) -> "Scripted":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


def images(folder: Path, *names: str, height: int = 36, width: int = 48) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(png(photograph(name, height, width)))
    return folder


def spec(folder: Path, **changes: Any) -> Spec:
    observers = ({"name": "simulated", "threshold": 12.0, "slope": 0.02},)
    given = {"distortions": ("blur", "contrast"), "procedure": {"name": "skip", "orders": 2}, "observers": observers}
    return Spec(images=(str(folder),), **{**given, **changes})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("viewer")
    Study.plan(spec(images(folder / "in", "a.png", "b.png", "c.png"))).run(folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    plan = Study.plan(spec(images(folder / "in", "<script>x.png", "\u202e'\".png"), distortions=("contrast",)))
    dataclasses.replace(plan, observers=(Scripted(),)).run(folder / "run")
    return folder / "run"


def write(run: Path, out: Path, **how: Any) -> None:
    with Report.open([run]) as report:
        report.page(out, **how)


@contextmanager
def told(
    run: Path, budget: float = 12e6, folder: Path | None = None
) -> Iterator[tuple[dict[str, Any], Gallery, Store]]:
    kept = Gallery(budget, folder)
    with Store.open(run) as store:
        analysis = analyse(store)
        everything = together({"run": analysis})
        names = {(one.observer, one.question): f"{one.observer}, {one.question}" for one in everything.outcomes}
        found = viewer_data.data(viewer_data.on_page([(store, analysis)], everything), everything, names, kept)
        yield opened(json.loads(json.dumps(found, allow_nan=False))), kept, store


def opened(found: dict[str, Any]) -> dict[str, Any]:
    """Return data as the viewer has it once all distortions are open: one list of talks, and one of texts."""
    talks, texts = list[Any](), list[Any]()
    for part in found["talks"]:
        for talk in part["talks"]:
            talk["asked"] = None if talk["asked"] is None else talk["asked"] + len(texts)
            for trial in (trial for probe in talk["probes"] for trial in probe[5]):
                trial[1] = None if trial[1] is None else trial[1] + len(texts)
        talks += part["talks"]
        texts += part["texts"]
    return found | {"talks": sorted(talks, key=lambda talk: talk["s"]), "texts": texts}


def pixels(kept: Gallery, number: int) -> Image:
    """Return a picture as a browser shows it; of lossless WebP, every value."""
    return np.asarray(Pillow.open(io.BytesIO(base64.b64decode(kept.sources[number]))))


# --- the page ---


def test_the_test_is_told_what_identifies_study_series_and_pictures(run: Path) -> None:
    with told(run) as (found, kept, store):
        rows = {row.id: row for row in store.series()}
        assert found["digests"] == [digest(pixels(kept, number)) for number in range(len(kept.sources))]
        assert {one["row"]["id"] for one in found["series"]} == set(rows)
        for one in found["series"]:
            assert one["row"] == dataclasses.asdict(rows[one["row"]["id"]])
            assert found["digests"][one["pictures"]["0"]] == one["row"]["picture"]
        (study,) = found["studies"]
        assert study["procedure"] == store.manifest["procedure"]
        assert study["distortions"] == store.manifest["distortions"]
        assert study["seed"] == str(store.manifest["seed"])
        assert [lane["study"] for lane in found["lanes"]] == [0]
        assert [lane["says"] for lane in found["lanes"]] == [{"yes": "yes", "no": "no"}]


@pytest.mark.parametrize(("question", "order"), [("odd-one-out-3", "reference-first"), ("direct", "balanced")])
def test_where_the_pair_decides_the_order_the_test_is_told_it(tmp_path: Path, question: str, order: str) -> None:
    plan = Study.plan(spec(images(tmp_path / "in", "a.png", "b.png"), questions=(question,), order=Order(order)))
    plan.run(tmp_path / "run")
    with told(tmp_path / "run") as (found, _, store):
        asked = analyse(store).questions[question]
    places = set()
    for talk in found["talks"]:
        one = found["series"][talk["s"]]
        digests = {int(level): found["digests"][number] for level, number in one["pictures"].items()}
        for reference, level, draw, *_, place in talk["probes"]:
            both = (Picture(np.zeros((1, 1, 3), np.uint8), digests[side]) for side in (reference, level))
            name = pair(one["row"]["id"], reference, level)
            (query,) = asked.ask(one["row"]["word"], *both, name=name, shift=draw)
            assert query.pictures[place].digest == digests[level]
            places.add(place)
    assert len(places) == asked.pictures


def test_a_test_about_a_scaled_picture_has_nothing_to_save(tmp_path: Path) -> None:
    large = images(tmp_path / "in", "a.png", height=32, width=2100)
    Study.plan(spec(large, distortions=("contrast",), procedure={"name": "constant", "levels": [20]})).run(
        tmp_path / "run"
    )
    with told(tmp_path / "run") as (found, _, _):
        assert found["series"][0]["scaled"]
        assert "row" not in found["series"][0]


def scripts(content: str) -> list[tuple[str, str]]:
    return re.findall(r"<script([^>]*)>(.*?)</script>", content, re.DOTALL)


@pytest.mark.parametrize("which", ["run", "hostile"])
def test_policy_allows_the_pages_own_scripts_by_digest_and_no_others(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    write(request.getfixturevalue(which), tmp_path / "report.html")
    content = (tmp_path / "report.html").read_text(encoding="utf-8")
    (given,) = re.findall('Content-Security-Policy" content="([^"]*)"', content)
    policy = html.unescape(given)
    running = [text for attributes, text in scripts(content) if "type=" not in attributes]
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in running]
    assert len(digests) == 4
    assert f"script-src {' '.join(f'{chr(39)}sha256-{digest}{chr(39)}' for digest in digests)};" in policy
    assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy
    assert "unsafe-eval" not in policy
    assert policy.count("unsafe-inline") == 1  # of styles
    assert "<script" not in "".join(text for _, text in scripts(content))
    assert {attributes for attributes, _ in scripts(content)} == {
        "",
        ' type="application/json+gzip+base64" id="look-data"',
        ' type="application/json+gzip+base64" class="look-talks"',
        ' type="text/plain" class="look-pictures"',
    }
    assert len(re.findall("<script", content)) == len(scripts(content))
    assert "needs scripts, which are switched off" in content


def blocks(content: str, kind: str) -> list[str]:
    return [text for attributes, text in scripts(content) if f'"look-{kind}"' in attributes]


def unpacked(block: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(block)))


def test_data_of_a_page_can_be_read_again(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "BLOCK", 20_000)
    write(run, tmp_path / "report.html")
    content = (tmp_path / "report.html").read_text()
    with told(run) as (found, kept, _):
        (head,) = map(unpacked, blocks(content, "data"))
        again = opened(head | {"talks": [unpacked(block) for block in blocks(content, "talks")]})
        assert again == {**found, "beside": False, "lanes": again["lanes"]}
        pictures = [block.split("\n") for block in blocks(content, "pictures")]
        assert [source for block in pictures for source in block] == kept.sources
        sizes = [sum(map(len, block)) for block in pictures]
        assert all(size - len(block[-1]) < 20_000 <= size for size, block in zip(sizes[:-1], pictures, strict=False))
        assert len(sizes) > 4


def test_what_is_seen_first_comes_before_the_rest(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "BLOCK", 20_000)
    write(run, tmp_path / "report.html")
    kinds = [" ".join(re.findall('look-([a-z]+)', attributes)) or "script"
             for attributes, _ in scripts((tmp_path / "report.html").read_text())]  # fmt: skip
    assert kinds[:8] == ["data", "talks", *["script"] * 4, "pictures", "talks"]
    assert set(kinds[8:]) == {"pictures"}
    with told(run) as (found, _, _store):
        first = next(series for series in found["series"] if series["d"] == 0)
        assert sorted(first["pictures"].values())[:2] == [0, 1], "the viewer's first pair"


def test_what_was_said_is_kept_by_distortion(run: Path) -> None:
    with Store.open(run) as store:
        analysis = analyse(store)
        names = {(one.observer, one.question): one.observer for one in analysis.outcomes}
        found = viewer_data.data(viewer_data.on_page([(store, analysis)], analysis), analysis, names, Gallery(0))
    assert len(found["talks"]) == len(found["distortions"]) == 2
    for d, part in enumerate(found["talks"]):
        assert {found["series"][talk["s"]]["d"] for talk in part["talks"]} == {d}
        used = {trial[1] for talk in part["talks"] for probe in talk["probes"] for trial in probe[5]}
        assert used == set(range(len(part["texts"]))), "each has the texts it counts on, and no others"


@pytest.mark.parametrize("name", layout.SCRIPTS)
def test_scripts_make_no_markup_from_text_and_ask_nobody(name: str) -> None:
    text = (Path(layout.__file__).parent / "page" / name).read_text()
    sinks = "innerHTML outerHTML insertAdjacent document.write eval( Function( srcdoc <script"
    senders = "fetch( XMLHttpRequest WebSocket EventSource sendBeacon import( localStorage document.cookie"
    for word in f"{sinks} {senders}".split():
        assert word not in text, word


# --- what the viewer is told ---


def test_every_answer_is_there_with_its_verdict(run: Path) -> None:
    with told(run) as (found, _, store):
        outcomes = {(o.series.distortion, o.series.name): o for o in analyse(store).outcomes}
        assert len(found["talks"]) == len(outcomes) == 6
        for talk in found["talks"]:
            series = found["series"][talk["s"]]
            place = found["distortions"][series["d"]]["name"], found["references"][series["r"]]
            outcome = outcomes[place]
            assert talk["status"] == outcome.status.value
            assert [jnd[:2] for jnd in talk["jnds"]] == [[t.order, t.level] for t in outcome.thresholds]
            for probe, response in zip(talk["probes"], outcome.responses, strict=True):
                assert Probe(*probe[:3]) == response.probe
                assert probe[3] == (response.verdict.flag.value if response.asked else "same")
                said = [found["texts"][trial[1]][0] for trial in probe[5]]
                assert said == [trial.answer.text for trial in response.trials if trial.answer]


def test_wordings_are_those_that_were_asked(run: Path) -> None:
    with told(run) as (found, _, _store):
        (lane,) = found["lanes"]
        words = [kind["word"] for kind in found["distortions"]]
        assert [f'"{word}"' in wording for word, wording in zip(words, lane["wordings"], strict=True)] == [True, True]
        assert (lane["testable"], lane["alone"], lane["yes"], lane["picks"], lane["shows"]) == (
            True,
            False,
            True,
            False,
            2,
        )


def test_what_a_person_can_be_asked_follows_from_the_question(tmp_path: Path) -> None:
    same = {"name": "same", "text": "Are these two images identical? Reply with yes or no.", "notices": ["no"]}
    plan = Study.plan(spec(images(tmp_path / "in", "a.png"), distortions=("blur",), questions=("odd-one-out-3", same)))
    plan.run(tmp_path / "run")
    with told(tmp_path / "run") as (found, _, _store):
        lanes = {lane["name"].split(", ")[1]: lane for lane in found["lanes"]}
        assert [lanes["odd-one-out-3"][key] for key in ("testable", "picks", "shows")] == [True, True, 3]
        assert [lanes["same"][key] for key in ("testable", "yes", "picks", "shows")] == [True, False, False, 2]


def test_items_show_their_question_both_sides_and_which_words_were_changed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    limen.measure(
        "demo-items", "solver", "text-characters", questions="answer-changes", limit=2, exam=False, out=run,
        procedure={"name": "constant", "levels": [20]},
    )  # fmt: skip
    with told(run) as (found, _, store):
        (lane,) = found["lanes"]
        assert (lane["alone"], lane["testable"]) == (True, False)
        asked = {found["texts"][talk["asked"]][0] for talk in found["talks"]}
        assert asked == {item.text for item in items_of(store).values()}
        for talk in found["talks"]:
            first = found["texts"][talk["asked"]][0]
            (probe,) = [one for one in talk["probes"] if one[:2] == [0, 20]]
            sides = [(trial[0], trial[9], trial[10]) for trial in probe[5]]
            assert [(again, side) for again, side, _ in sides[:2]] == [(0, 0), (0, 1)]
            assert sides[0][2] == []
            words = sides[1][2]
            assert any(mark for _, mark in words)
            assert "".join(text for text, _ in words).splitlines()[-1] == first.splitlines()[-1], "options stay"


def test_two_observers_and_two_questions_are_four_lanes(tmp_path: Path) -> None:
    plan = Study.plan(
        spec(images(tmp_path / "in", "a.png"), distortions=("blur",), questions=("direct", "choice-implicit"))
    )
    dataclasses.replace(plan, observers=(Scripted("x"), Scripted("y"))).run(tmp_path / "run")
    with told(tmp_path / "run") as (found, _, _store):
        assert [lane["name"] for lane in found["lanes"]] == [
            "x, choice-implicit", "y, choice-implicit", "x, direct", "y, direct",
        ]  # fmt: skip
        assert sorted(talk["o"] for talk in found["talks"]) == [0, 1, 2, 3]
        assert {talk["s"] for talk in found["talks"]} == {0}
        assert found["lanes"][0]["wordings"] != found["lanes"][2]["wordings"]


def test_texts_are_kept_once_written_out_and_cut(hostile: Path) -> None:
    with told(hostile) as (found, _, _store):
        assert len(found["texts"]) == 3
        by_length = sorted(found["texts"], key=lambda text: len(text[0]))
        assert by_length[0][0] in {"<no> [U+202E]esrever[U+0000][U+001B][31m They look the same.", SAYINGS[0]}
        assert by_length[2] == [ENDLESS[: viewer_data.LONGEST], len(ENDLESS)]
        assert found["references"] == ["'\".png", "<script>x.png"] or found["references"] == [
            "<script>x.png",
            "'\".png",
        ]
        first = next(probe[5][0] for talk in found["talks"] for probe in talk["probes"] if probe[5])
        assert [first[0], *first[2:4], *first[5:8]] == [0, 0.25, 0.5, 100, 7, 1.23]
        assert [found["words"][first[i]] for i in (4, 8)] == found["words"] == ["stop", "me"]


def test_texts_beyond_the_pages_room_are_left_to_the_run(hostile: Path) -> None:
    with Store.open(hostile) as store:
        analysis = analyse(store)
    gathered = viewer_data._Content((), analysis, [], Gallery(0), room=len("one"))
    gathered.parts = [viewer_data._Talks(), viewer_data._Talks()]
    told_of = [gathered._text(text, part) for text in ("one", "two", "one") for part in gathered.parts]
    assert told_of == [0, None, None, None, 0, None], "a text that two distortions have takes its room twice"


def test_visible() -> None:
    assert viewer_data.visible("a\r\nb\tc\u200b\ufeff") == "a\nb\tc[U+200B][U+FEFF]"
    assert viewer_data.visible("héllo 世界 👁 می‌خواهم") == "héllo 世界 👁 می‌خواهم"
    assert viewer_data.visible("\ud800") == "[U+D800]"


def test_open_questions_of_a_series_and_how_they_failed(tmp_path: Path) -> None:
    plan = Study.plan(spec(images(tmp_path / "in", "a.png", "b.png"), distortions=("contrast",)))
    dataclasses.replace(plan, observers=(Scripted("quiet", silent=True),)).run(tmp_path / "run")
    with told(tmp_path / "run") as (found, _, store):
        statuses = [outcome.status for outcome in analyse(store).outcomes]
        assert SeriesStatus.UNFINISHED in statuses
        for talk in found["talks"]:
            assert bool(talk["waiting"]) == (talk["status"] == "unfinished")
            for reference, level, _, failures in talk["waiting"]:
                assert [reference, level] not in [probe[:2] for probe in talk["probes"] if not probe[5][0][0]] or level
                assert failures.startswith("timeout (")


# --- pictures ---

HOLDS = "would hold all, --stimuli-beside puts all into a folder."


def test_pictures_are_those_that_were_sent(run: Path) -> None:
    with told(run) as (found, kept, store):
        rows = {(row.distortion, row.name): row for row in store.series()}
        levels = 0
        for series in found["series"]:
            row = rows[found["distortions"][series["d"]]["name"], found["references"][series["r"]]]
            draw = drawn_images.renderer(store, row)
            for level, number in series["pictures"].items():
                assert np.array_equal(pixels(kept, number), draw(int(level)))
                levels += 1
            assert series["size"] == [48, 36]
        assert levels > 60
        originals = {tuple(series["pictures"]["0"] for series in found["series"] if series["r"] == r) for r in range(3)}
        assert all(len(set(one)) == 1 for one in originals)  # one picture, whatever is done to it later
        asked = {probe[1] for talk in found["talks"] if talk["s"] == 0 for probe in talk["probes"]}
        assert asked <= {int(level) for level in found["series"][0]["pictures"]}


@pytest.mark.parametrize("budget", [0, 12_000, 60_000, 130_000])
def test_pictures_keep_to_the_budget_and_every_series_has_its_first_jnd_before_any_has_more(
    run: Path, budget: int
) -> None:
    with told(run, budget) as (found, kept, _):
        assert sum(len(source) + 1 for source in kept.sources) <= budget
        shown = [sorted(map(int, series.get("pictures", {}))) for series in found["series"]]
        jnds = [talk["jnds"] for talk in found["talks"]]
        assert all(len(levels) != 1 for levels in shown), "a reference alone shows nothing"
        assert all({0, jnd[0][1]} <= set(levels) for levels, jnd in zip(shown, jnds, strict=True) if levels)
        assert {12_000: 1, 60_000: 6, 130_000: 6}.get(budget, 0) == sum(map(bool, shown))
        if budget == 130_000:
            assert all(len(levels) > 3 for levels in shown), "the levels beside the JND"
            assert max(map(len, shown)) - min(map(len, shown)) <= 4, "one turn after the other"
        with told(run, budget) as (_, again, _store):
            assert again.sources == kept.sources


def test_what_is_left_out_is_counted_and_the_room_it_would_take_is_worked_out(run: Path) -> None:
    with told(run) as (found, whole, _):
        asked = sum(len(series["pictures"]) for series in found["series"])
        assert found["held"] == {"text": f"Pictures: all 6 series, all {asked} levels asked about.", "left_out": ""}
        needed = sum(len(source) + 1 for source in whole.sources)
    with told(run, needed / 2) as (found, _, store):
        levels = sum(len(series["pictures"]) for series in found["series"])
        start = f"Pictures: 6 of 6 series, {levels} of {asked} levels asked about; the page has no room for the others."
        assert found["held"]["text"] == found["held"]["left_out"] == f"{start} About --embed 1 (MB) {HOLDS}"
        everything = together({"run": analyse(store)})
        runs = viewer_data.on_page([(store, analyse(store))], everything)
        content = viewer_data._Content(runs, everything, [], Gallery(needed / 2))
        content.fill()
        assert content.held.room == pytest.approx(needed, rel=0.2)
        assert "About --embed 17 (MB) would" in str(dataclasses.replace(content.held, room=16.2e6))
    with told(run, 10) as (found, _, _store):
        assert found["held"]["left_out"].startswith("Pictures: 0 of 6 series")
    with told(run, 0) as (found, _, _store):
        assert found["held"] == {"text": "No pictures: this page was made with --embed 0.", "left_out": ""}


def test_the_command_says_on_stderr_what_the_page_has_no_room_for(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told_of(*how: str) -> str:
        assert command(["report", str(run), "--out", str(tmp_path / "page.html"), *how]) == 0
        said = capsys.readouterr()
        assert said.out == f"{tmp_path / 'page.html'}\n"
        return said.err

    (line,) = told_of("--embed", "0.05").splitlines()
    assert re.fullmatch(rf"Pictures: \d of 6 series, \d+ of \d+ levels .* About --embed 1 \(MB\) {HOLDS}", line)
    assert told_of() == told_of("--embed", "0") == told_of("--stimuli-beside") == ""


def test_pictures_in_a_folder_beside(run: Path, tmp_path: Path) -> None:
    write(run, tmp_path / "report.html", embed=0, beside=True)
    content = (tmp_path / "report.html").read_text()
    named = [name for block in blocks(content, "pictures") for name in block.split("\n")]
    files = sorted(f"report_stimuli/{file.name}" for file in (tmp_path / "report_stimuli").iterdir())
    assert sorted(named) == files
    assert len(files) > 40
    assert "img-src data: &#39;self&#39; file:;" in content
    with told(run) as (_, kept, _store):
        assert {decode((tmp_path / name).read_bytes()).tobytes() for name in named} == {
            pixels(kept, number).tobytes() for number in range(len(kept.sources))
        }


def test_page_without_stimuli_is_small_and_has_its_answers(run: Path, tmp_path: Path) -> None:
    write(run, tmp_path / "with.html")
    write(run, tmp_path / "without.html", embed=0)
    assert blocks((tmp_path / "without.html").read_text(), "pictures") == []
    assert (tmp_path / "without.html").stat().st_size < (tmp_path / "with.html").stat().st_size - 100_000


def test_folder_that_cannot_be_made(run: Path, tmp_path: Path) -> None:
    (tmp_path / "report_stimuli").write_text("")
    with pytest.raises(InputError, match="Give another --out"):
        write(run, tmp_path / "report.html", beside=True)


def test_large_pictures_are_scaled_and_say_so(tmp_path: Path) -> None:
    folder = images(tmp_path / "in", "wide.png", height=40, width=2560)
    Study.plan(spec(folder, distortions=("contrast",))).run(tmp_path / "run")
    with told(tmp_path / "run") as (found, kept, _):
        (series,) = found["series"]
        assert series["scaled"]
        assert series["size"] == [2560, 40]
        assert pixels(kept, series["pictures"]["0"]).shape == (32, drawn_images.LARGEST, 3)
    assert drawn_images.scaled(photograph("a", 30, 40)).shape == (30, 40, 3)


def test_series_that_cannot_be_drawn_say_why(tmp_path: Path) -> None:
    Study.plan(spec(images(tmp_path / "in", "a.png"), keep_megabytes=0.0)).run(tmp_path / "run")
    with told(tmp_path / "run") as (found, kept, _):
        assert {series["why"] for series in found["series"]} == {
            "The reference was not kept in the run, so its stimuli cannot be drawn again."
        }
        assert kept.sources == []
        assert all(talk["probes"] for talk in found["talks"])


def test_both_pictures_of_a_pair_are_there_where_the_run_has_kept_them(tmp_path: Path, photos: Path) -> None:
    pairs = test_pairs.series(2)
    test_pairs.measured(tmp_path / "run", lambda _: test_pairs.YES, pairs, photos, keep_megabytes=0.0)
    with told(tmp_path / "run") as (found, kept, _):
        assert {series["why"][:54] for series in found["series"]} == {
            "The two pictures of this pair were not kept in the run"
        }
        assert kept.sources == []
    first = pairs[0].reference
    with Store.create(tmp_path / "run", {}) as store:
        asyncio.run(store.keep(first.digest, png(np.concatenate(first.load()))))
    with told(tmp_path / "run") as (found, kept, _):
        shown = {found["references"][series["r"]]: series for series in found["series"]}
        assert sorted(shown["pair 0"]["pictures"]) == ["0", "1"]
        for level, picture in enumerate(first.load()):
            assert np.array_equal(pixels(kept, shown["pair 0"]["pictures"][str(level)]), picture)
        assert "why" in shown["pair 1"]


def test_views_are_drawn_by_their_scene(tmp_path: Path) -> None:
    view = scene.find("room").views("angle", count=1)[0]
    kind = distortion.find("angle")
    about = {"version": kind.version, "ladder": kind.ladder.digest, "word": kind.word, "unit": kind.ladder.unit,
             "strengths": list(kind.ladder.strengths)}  # fmt: skip
    rows = [SeriesRow(name, "angle", kind.word, view.name, name, f"{name}/0", len(kind.ladder), "scene")
            for name in (view.digest, "another")]  # fmt: skip
    with Store.create(tmp_path / "run", {"distortions": {"angle": about}}) as store:
        kept = Gallery(12e6)
        analysis: Any = Analysis(store.manifest, (), (), (), ())  # type: ignore[arg-type]
        drawing = viewer_pictures.Drawing(analysis, [], kept, {row.id: [store] for row in rows}, {})
        for row in rows:
            drawing.told[row.id] = {}
            drawing._add(row, [0, 3], ())
        drawn, other = (drawing.told[row.id] for row in rows)
    assert drawn["size"] == [640, 480]
    assert np.array_equal(pixels(kept, drawn["pictures"][3]), view.at(3.0))
    assert "in another way" in other["why"]


def test_as_seen_is_what_the_observers_processor_does() -> None:
    sees = viewer_pictures.as_seen({"pixels": "64x64, bicubic if larger or smaller"})
    assert sees is not None
    large = photograph("a", 100, 140)
    assert np.array_equal(pixel_values(sees(large)), pixel_values(large))
    assert sees(photograph("a", 64, 64)) is not None
    assert np.array_equal(sees(photograph("a", 64, 64)), photograph("a", 64, 64))
    for said in ("", "64x64", "as they come", "0x0, bicubic if larger or smaller"):
        assert viewer_pictures.as_seen({"pixels": said}) is None


def test_pictures_as_seen_are_in_the_page(hostile: Path) -> None:
    with told(hostile) as (found, kept, _):
        for series in found["series"]:
            assert series["seen"]["0"].keys() == series["pictures"].keys()
            sent, seen = pixels(kept, series["pictures"]["0"]), pixels(kept, series["seen"]["0"]["0"])
            assert np.array_equal(seen, np.asarray(Pillow.fromarray(sent).resize((20, 10), Pillow.Resampling.BICUBIC)))


# --- which first ---


def outcome(distortion: str, name: str, *levels: int) -> Outcome:
    row = SeriesRow(f"{distortion} {name}", distortion, distortion, name, f"picture {name}", name, 50)
    found = tuple(Threshold(i + 1, level, 0.0) for i, level in enumerate(levels))
    return Outcome("o", "direct", row, SeriesStatus.COMPLETE, found, ())


def test_series_take_turns_by_distortion_and_begin_with_the_examples() -> None:
    found = [outcome("blur", name, level) for name, level in zip("abc", (1, 10, 12), strict=True)]
    found += [outcome("jpeg", name, level) for name, level in zip("ab", (5, 6), strict=True)]
    assert viewer_pictures.drawing_order(found, lambda _: True) == ["blur b", "jpeg a", "blur a", "jpeg b", "blur c"]
    assert viewer_pictures.drawing_order([], lambda _: True) == []


def test_levels_are_drawn_from_the_first_jnd_outwards(run: Path) -> None:
    with Store.open(run) as store:
        for one in analyse(store).outcomes:
            first, beside, *others = viewer_pictures.wanted([one])
            asked = {response.probe.level for response in one.responses} | {0}
            jnd = one.thresholds[0].level
            assert first == [0, jnd]
            below, above = max(level for level in asked if level < jnd), min(level for level in asked if level > jnd)
            assert set(beside) == {below, above} - {0}
            if len(one.thresholds) > 1:
                assert {one.thresholds[1].level} - {above} <= set(others[0])
            levels = [*first, *beside, *(level for each in others for level in each)]
            assert sorted(levels) == sorted(asked)


def test_without_a_jnd_the_last_level_asked_about_is_drawn_first(tmp_path: Path) -> None:
    plan = Study.plan(
        spec(
            images(tmp_path / "in", "a.png"),
            distortions=("blur",),
            procedure={"name": "constant", "levels": [3, 9, 20]},
        )
    )
    plan.run(tmp_path / "run")
    with Store.open(tmp_path / "run") as store:
        (one,) = analyse(store).outcomes
        assert viewer_pictures.wanted([one])[0] == [0, 20]


def test_every_observers_first_jnd_comes_before_what_lies_beside_it() -> None:
    keen, blunt = outcome("blur", "a", 4, 9), outcome("blur", "a", 12)
    assert viewer_pictures.wanted([keen, blunt])[:2] == [[0, 4], [12]]


def test_references_that_are_in_the_page_already_come_first() -> None:
    found = [outcome("blur", name, level) for name, level in zip("abc", (1, 1, 10), strict=True)]
    found += [outcome("jpeg", name, level) for name, level in zip("bcd", (90, 90, 5), strict=True)]
    order = viewer_pictures.drawing_order(found, lambda _: True)
    shown = {one.split()[1] for one in order[:2]}
    rest = [one.split()[1] for one in order[2:]]
    assert all(name in shown for name in rest[: sum(name in shown for name in rest)])


def test_a_ladder_of_the_studys_own_is_drawn_with_its_strengths(tmp_path: Path) -> None:
    spec = Spec(
        images=(str(images(tmp_path / "in", "a.png")),), observers=("simulated",), distortions=("blur",),
        ladders={"blur": (1.0, 2.0, 4.0, 8.0)}, procedure={"name": "scan", "orders": 0},
    )  # fmt: skip
    Study.plan(spec).run(tmp_path / "run")
    with told(tmp_path / "run") as (content, gallery, store):
        (row,) = store.series()
        published = distortion.find("blur")
        own = dataclasses.replace(published, ladder=Ladder((1.0, 2.0, 4.0, 8.0), published.ladder.unit))
        wanted = own.render(photograph("a.png", 36, 48), row.key)
        draw = drawn_images.renderer(store, row)
        assert all(np.array_equal(draw(level), wanted(level)) for level in range(5))
        (outcome,) = analyse(store).outcomes
        (series,) = content["series"]
        assert len(series["pictures"]) == 5
        for level, number in series["pictures"].items():
            assert np.array_equal(pixels(gallery, number), wanted(int(level)))
    assert content["distortions"][0]["strengths"] == [f"{px} px at 640 px wide" for px in (1, 2, 4, 8)]
    with Report.open([tmp_path / "run"]) as report:
        report.page(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "in another way" not in page
    for threshold in outcome.thresholds:
        assert f"{threshold.strength:.3g} px" in page
