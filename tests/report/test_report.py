"""The report: complete, self-contained, honest about what it does not know, and safe with hostile text."""

import base64
import dataclasses
import html
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest

from limen import digest as digests
from limen.analysis import Outcome, SeriesStatus, analyse, paper
from limen.cli import run as command
from limen.errors import InputError, MissingExtraError, StoreError
from limen.image import decode, png
from limen.observer import Observer, Reply
from limen.question import Query
from limen.report import Report, correlations, examples, figures, headline, images, lanes, runs, tables
from limen.report.format import clean, ordinal
from limen.report.report import check_extra
from limen.store import SeriesRow, Store
from limen.study import Spec, Study
from limen.testing import photograph
from limen.threshold import Threshold
from limen.trial import Answer, Attempt

SAYINGS = (
    "<yes> <script>alert('it')</script> The two images differ.",
    '=cmd|" /C calc"!A0 <no> The two images look the same.',
    "<no> \u202egnp.erutcip\u202c There is\x00\x1b[31m no difference.\u200b",
    "<yes> " + "The two images differ. <img src=http://example.org/x onerror=alert(1)> " * 1400,
    "Yes, there is no noticeable difference between them.",
    "%%%% \u2066\u2069 @@@@",
    "",
)


class Hostile(Observer):
    """Says what a page must survive."""

    name = 'evil:<i>"model"</i>/\u202e&lt;' + "x" * 90
    concurrency = 4

    def fingerprint(self) -> dict[str, Any]:
        return {"kind": "evil", "model": "</code><script>alert(2)</script>"}

    async def answer(self, query: Query) -> Reply:
        said = SAYINGS[digests.seed(*(picture.digest for picture in query.pictures)) % len(SAYINGS)]
        return Reply(Answer(said, finish="stop", tokens_in=100, tokens_out=7), (Attempt("timeout"), Attempt("ok")))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Silent(Hostile):
    """Never answers about the photograph it is told to fail at."""

    name = "silent"

    async def answer(self, query: Query) -> Reply:
        return Reply(None, (Attempt("timeout", "no answer"),))


def photographs(folder: Path, *names: str, height: int = 48, width: int = 64) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(png(photograph(name, height, width)))
    return folder


def spec(images: Path, **changes: Any) -> Spec:
    simulated = {"name": "simulated", "threshold": 12.0, "slope": 0.02}
    given = {"distortions": ("blur", "jpeg"), "procedure": {"name": "skip", "orders": 3}, **changes}
    return Spec(images=(str(images),), **{"observers": (simulated,), **given})


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of five photographs, two distortions and a simulated observer."""
    folder = tmp_path_factory.mktemp("tiny")
    Study.plan(spec(photographs(folder / "in", *(f"{name}.png" for name in "abcde")))).run(folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose observer, answers and file names are markup, commands and control characters."""
    folder = tmp_path_factory.mktemp("hostile")
    images = photographs(folder / "in", '<b onclick="x()">&amp;.png', "=1+1\u202e.png", "'; --<svg>.png")
    plan = Study.plan(spec(images, distortions=("contrast", "mask"), procedure={"name": "skip", "orders": 1}))
    dataclasses.replace(plan, observers=(Hostile(),)).run(folder / "run")
    return folder / "run"


def page(*runs: Path, out: Path) -> str:
    with Report.open(runs) as report:
        report.page(out)
    return out.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tiny_page(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return page(tiny, out=tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="module")
def hostile_page(hostile: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return page(hostile, out=tmp_path_factory.mktemp("page") / "report.html")


class Outline(HTMLParser):
    """Checks that tags close in order, and gathers what a person with a keyboard or a screen reader relies on."""

    VOID = frozenset({"meta", "br", "img", "link", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def outline(content: str) -> Outline:
    found = Outline()
    found.feed(content)
    found.close()
    assert found.open == []
    return found


@pytest.fixture(params=["tiny_page", "hostile_page"])
def any_page(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


# --- one file, nothing loaded, nothing run ---


def test_page_loads_nothing_and_runs_only_its_viewer(any_page: str) -> None:
    found = outline(any_page)
    policy = next(tag["content"] for tag in found.all("meta") if tag.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-")
    tags = {name for name, _ in found.tags}
    assert not tags & {"link", "iframe", "object", "embed", "form", "base", "image", "use", "foreignobject"}
    for name, attributes in found.tags:
        assert not [key for key in attributes if key.startswith("on")], name
        for key in ("src", "href", "xlink:href"):
            value = attributes.get(key)
            assert value is None or value.startswith(("data:image/png;base64,", "data:image/jpeg;base64,", "#"))
    types = [tag.get("type", "runs") for tag in found.all("script")]
    assert types[:2] == ["application/json+gzip+base64"] * 2  # the run, and what was said under its first distortion
    assert types[2:6] == ["runs"] * 4
    assert set(types[6:]) <= {"application/json+gzip+base64", "text/plain"}  # pictures, and what else was said
    assert any_page.lower().count("<script") == len(types)
    assert "@import" not in any_page
    assert "url(" not in any_page


def test_page_can_be_read_without_seeing_it(any_page: str) -> None:
    found = outline(any_page)
    levels = [int(name[1]) for name, _ in found.tags if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all(picture["alt"] for picture in found.all("img") if "src" in picture)  # the viewer's have none yet
    assert all(picture["aria-label"] and picture["role"] == "img" for picture in found.all("svg"))
    assert all(cell["scope"] for cell in found.all("th"))
    assert found.all("html")[0]["lang"] == "en"
    anchors = {tag["href"][1:] for tag in found.all("a") if tag["href"]}
    assert anchors <= {attributes.get("id") for _, attributes in found.tags}


def test_figures_are_well_formed_and_take_the_pages_colours(any_page: str) -> None:
    drawn = re.findall(r"<svg.*?</svg>", any_page, re.DOTALL)
    assert drawn
    for figure in drawn:
        root = ElementTree.fromstring(figure)
        assert not [part for part in root.iter() if part.get("id")]
        shades = {part.get(key) for part in root.iter() for key in ("fill", "stroke")} - {None, "none", "transparent"}
        assert all(shade == "currentColor" or str(shade).startswith("var(--") for shade in shades), shades


@pytest.mark.usefixtures("drawn_anew")
def test_same_runs_give_the_same_bytes(tiny: Path, tiny_page: str, tmp_path: Path) -> None:
    assert page(tiny, tiny, out=tmp_path / "deep" / "er" / "report.html") == tiny_page
    assert [file.name for file in (tmp_path / "deep" / "er").iterdir()] == ["report.html"]
    with Store.open(tiny) as store:
        assert re.findall(r"20\d\d-\d\d-\d\dT[\d:+]+", tiny_page) == [store.manifest["created"]]
    assert str(tiny.parent) not in tiny_page


# --- what it shows ---


def shown_cells(run: Path) -> Iterator[str]:
    with Store.open(run) as store:
        analysis = analyse(store)
    for make in (
        tables.first_jnds,
        tables.nth_jnds,
        tables.faults,
        tables.identical_pairs,
        tables.course,
        tables.attempts,
    ):
        for row in make(analysis).rows:
            yield from row


def test_every_number_of_the_tables_is_in_the_page(tiny: Path, tiny_page: str) -> None:
    cells = list(shown_cells(tiny))
    assert len(cells) > 60
    for cell in cells:
        assert f">{html.escape(cell)}<" in tiny_page, cell


@pytest.mark.parametrize("fingerprint", [{"kind": "demo"}, {"kind": "local", "fixture": True}, {"kind": "simulated"}])
def test_fixtures_are_called_so(tiny: Path, fingerprint: dict[str, Any]) -> None:
    with Store.open(tiny) as store:
        analysis = analyse(store)
    analysis = dataclasses.replace(
        analysis,
        manifest=msgspec.structs.replace(analysis.manifest, observers={"toy": fingerprint, "real": {"kind": "openai"}}),
    )
    assert list(runs.fixtures(analysis)) == ["toy"]


def test_contents_come_in_their_order(tiny: Path, tiny_page: str) -> None:
    with Report.open([tiny]) as report:
        sentence = html.escape(report.sentences[0])
        number = headline.numbers(report.all, report.names.asked)[0].value
    places = [
        tiny_page.index(text)
        for text in (
            "<h1>", "This is a fixture", "With care", f"<b>{number}</b>", 'id="pair"', sentence, 'id="first"',
            'id="stimuli"', 'id="nth"', 'id="answers"', "<h3>False alarms", 'id="trust"', 'id="cost"', 'id="paper"',
            'id="how"', 'id="method"',
        )
    ]  # fmt: skip
    assert places == sorted(places)
    assert "say nothing about LMMs" in html.unescape(tiny_page).replace("\n", " ")


def test_stimuli_are_redrawn_with_their_pixels(tiny: Path, tiny_page: str) -> None:
    sources = re.findall(r'src="data:image/png;base64,([^"]+)" width="192" height="144" class="hard"', tiny_page)
    assert sources
    with Store.open(tiny) as store:
        kept = [decode(store.picture(row.picture) or b"") for row in store.series()]
    first = decode(base64.b64decode(sources[0]))
    assert any(np.array_equal(first, picture) for picture in kept)


def test_references_not_kept_are_said_so(tmp_path: Path) -> None:
    images = photographs(tmp_path / "in", "a.png", "b.png")
    Study.plan(spec(images, distortions=("blur",), keep_megabytes=0.0)).run(tmp_path / "run")
    content = page(tmp_path / "run", out=tmp_path / "report.html")
    assert "The reference was not kept in the run" in content
    assert not [picture for picture in outline(content).all("img") if "src" in picture]


def test_pictures_keep_to_their_budget(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "MOST", 50_000)
    content = page(tiny, out=tmp_path / "report.html")
    assert "Pictures left out" in content
    first = content[: content.index("<main>")].count("<img src")
    assert 1 <= len([picture for picture in outline(content).all("img") if "src" in picture]) - first < 8


def test_stimuli_of_another_version_are_not_redrawn(tiny: Path) -> None:
    with Store.open(tiny) as store:
        row = store.series()[0]
        store.manifest["distortions"][row.distortion]["version"] += 1
        with pytest.raises(InputError, match="in another way"):
            images.renderer(store, row)


def test_published_rows_stand_apart(tiny_page: str) -> None:
    same, other = tiny_page.index("Same unit as here"), tiny_page.index("Other stimuli: not comparable level by level")
    assert same < tiny_page.index(">99.34<") < other < tiny_page.index(">38.65<")
    assert "arXiv:2507.00490" in tiny_page
    assert "Fixtures are not set beside them" in tiny_page
    assert "measured here" not in tiny_page
    assert ">44.93<" not in tiny_page  # brightness, which the run does not have


def test_published_rows_are_those_of_the_paper() -> None:
    rows = paper.rows("first_jnd")
    assert len(rows) == 21
    assert rows[0]["model"] == "Human"
    assert rows[0]["jpeg"] == "52.68"
    same, other = correlations.quoted(["banding", "blur", "jpeg"], {"jpeg": [("mine", "40.00")]})
    assert same.columns == ("observer", "jpeg")
    assert same.rows[0] == ("mine (measured here)", "40.00")
    assert other.columns == ("observer", "blur")  # the paper's banding is another quantity
    assert correlations.quoted(["banding"], {}) == []


def test_two_runs_stand_side_by_side(tiny: Path, hostile: Path, tmp_path: Path) -> None:
    images = photographs(tmp_path / "in", "a.png", "b.png")
    Study.plan(spec(images, distortions=("blur",), seed=1)).run(tmp_path / "run")
    content = page(tiny, tmp_path / "run", hostile, out=tmp_path / "report.html")
    outline(content)
    for name in ("simulated (run)", "simulated (run #2)", "side by side", "Fixtures are among the observers"):
        assert name in content
    assert "seed: run 0; run #2 1; run #3 0" in content
    assert "references: run 5, run #2 2, run #3 3; 0 in common" in content
    assert "measured here" not in content  # the one observer that is no fixture was not asked about jpeg


def test_unfinished_series_are_counted_not_guessed(tmp_path: Path) -> None:
    plan = Study.plan(spec(photographs(tmp_path / "in", "a.png", "b.png"), distortions=("blur",)))
    dataclasses.replace(plan, observers=(Silent(),)).run(tmp_path / "run")
    content = page(tmp_path / "run", out=tmp_path / "report.html")
    assert "2 series not finished (answers are missing: run the study again), left out." in content
    assert ">timeout<" in content
    outline(content)


def test_procedure_without_jnds_shows_its_curve(tmp_path: Path) -> None:
    images = photographs(tmp_path / "in", "a.png", "b.png")
    blind = {"name": "simulated", "threshold": 200.0, "slope": 1.0}
    Study.plan(spec(images, distortions=("blur",), observers=(blind,), procedure={"name": "scan"})).run(
        tmp_path / "run"
    )
    file = tmp_path / "run" / "manifest.json"  # a scan that hears no yes has asked about every level
    file.write_text(json.dumps(json.loads(file.read_text()) | {"procedure": {"name": "constant", "every": 5}}))
    content = page(tmp_path / "run", out=tmp_path / "report.html")
    assert "looks for no JND" in content
    assert "2 of 2" not in content  # nothing was looked for, so nothing is censored
    outline(content)


# --- hostile text ---


def test_hostile_text_is_cleaned_escaped_and_cut(hostile_page: str) -> None:
    assert not re.search("[\u0000-\u0008\u000b-\u001f\u007f\u200b\u202a-\u202e\u2066-\u2069]", hostile_page)
    names = ("&lt;b onclick=&#34;x()&#34;&gt;&amp;amp;.png", "=1+1.png", "&#39;; --&lt;svg&gt;.png")
    assert sum(f"<h4>{name}</h4>" in hostile_page for name in names) >= 2
    assert all(name in hostile_page for name in re.findall('alt="([^"]*), the reference"', hostile_page))
    assert "evil:&lt;i&gt;&#34;model&#34;&lt;/i&gt;/" in hostile_page
    assert "&lt;/code&gt;&lt;script&gt;alert(2)&lt;/script&gt;" in hostile_page
    assert "antilogy: <q>Yes, there is no noticeable difference" in hostile_page
    assert len(hostile_page) < 1_500_000
    assert max(map(len, re.findall(r"<q>(.*?)</q>", hostile_page))) < 600


def test_faults_are_drawn_and_counted(hostile: Path, hostile_page: str) -> None:
    assert "Faults of the answers of evil:" in hostile_page
    with Store.open(hostile) as store:
        rows = [row for make in (tables.faults, tables.course) for row in make(analyse(store)).rows]
    for cell in itertools.chain(*rows):
        assert f">{cell}<" in hostile_page, cell


def test_clean() -> None:
    assert clean("a\n\tb\u2028c") == "a b c"
    assert clean("\u202eab\x00\ue000\U000e0041") == "ab"
    assert clean("x" * 10, 4) == "xxx…"
    assert clean("héllo 世界 👁") == "héllo 世界 👁"


def test_names_that_are_cut_alike_stay_apart(tiny: Path) -> None:
    with Store.open(tiny) as store:
        analysis = analyse(store)
    long = ["a" * 60, "a" * 61]
    manifest = msgspec.structs.replace(analysis.manifest, observers={name: {"kind": "x"} for name in long})
    both = tuple(dataclasses.replace(o, observer=name) for name in long for o in analysis.outcomes)
    found = runs.ShortNames(dataclasses.replace(analysis, manifest=manifest, outcomes=both))
    assert len(set(found.asked.values())) == 2


# --- numbers for machines ---


def test_json_has_every_count_and_interval(tiny: Path) -> None:
    with Report.open([tiny]) as report:
        found = report.data()
    text = json.dumps(found, allow_nan=False)
    assert "NaN" not in text
    (run,) = found["runs"]
    assert found["sentences"][0].startswith("Median 1st JND of simulated [95 %]: blur 9.5 px")
    for row in run["jnds"]:
        assert row["n"] == 5
        assert {"low", "high", "confidence"} == set(row["interval"] or {"low": 0, "high": 0, "confidence": 0})
    for row in run["answers"]:
        for share in ("false_alarms_clean", "false_alarms_distorted", "antilogy", "unreadable", "inversions"):
            assert set(row[share]) == {"k", "n", "value", "interval"}
    assert len(run["series"]) == 10


# --- what goes wrong ---


def test_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "vl_convert" else object())
    with pytest.raises(MissingExtraError, match=r"vl_convert.*-e .\.\[report\]"):
        check_extra()


def test_page_that_cannot_be_written(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert command(["report", str(tiny), "--out", str(tmp_path / "file" / "report.html")]) == 1
    assert "cannot be written" in capsys.readouterr().err
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="Give another --out"):
        page(tiny, out=tmp_path / "folder")
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a run directory"):
        page(tmp_path, out=tmp_path / "report.html")
    with pytest.raises(InputError, match="at least one run"):
        page(out=tmp_path / "report.html")


# --- the small parts ---


def outcome(*thresholds: Threshold, name: str = "a", observer: str = "o") -> Outcome:
    row = SeriesRow(name, "blur", "blur", name, f"picture {name}", name, 50)
    return Outcome(observer, "direct", row, SeriesStatus.COMPLETE, thresholds, ())


def test_typical_is_near_the_median_and_prefers_pictures_not_shown() -> None:
    found = [
        outcome(Threshold(1, level, 0.0), name=name) for name, level in zip("abcde", (1, 9, 10, 11, 50), strict=True)
    ]
    used = Counter[str]()
    assert examples.typical(found, lambda digest: True, used, 1) == ["c"]
    assert examples.typical(found, lambda digest: True, used, 1) == ["b"]
    assert examples.typical(found, lambda digest: digest == "picture a", Counter(), 1) == ["a"]
    assert examples.typical([], lambda digest: True, used, 2) == []


def test_stimuli_show_the_first_a_middle_and_the_last() -> None:
    def draw(level: int) -> Any:
        return photograph("a", 32, 32)

    many = outcome(*(Threshold(n, 5 * n, 5.0 * n, confirmed=n < 9) for n in range(1, 10)))
    shown = examples.stimuli(draw, many, "px (sigma)")
    assert [item.level for item in shown] == [0, 5, 10, 25, 45]
    assert shown[-1].caption == "9th JND: level 45?"
    assert shown[1].strength == "5 px"
    none = examples.stimuli(draw, outcome(Threshold(1, 50, 50.0, censored=True, confirmed=False)), "px (sigma)")
    assert [item.caption for item in none] == ["reference", "level 50: no JND"]


def test_large_pictures_are_scaled_down() -> None:
    small = images.thumbnail(photograph("a", 300, 600))
    assert (small.width, small.height, small.hard) == (200, 100, False)
    assert small.source.startswith("data:image/jpeg;base64,")
    assert images.thumbnail(photograph("a", 32, 32)).width == 192


def test_ordinals() -> None:
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 21, 102, 111)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "21st", "102nd", "111th",
    ]  # fmt: skip


def test_lane_shows_each_level_against_the_reference_in_force(tiny: Path) -> None:
    with Store.open(tiny) as store:
        for found in analyse(store).outcomes:
            shown = lanes.in_force(found)
            levels = [response.probe.level for response in shown]
            assert levels == sorted(set(levels))
            jnds = {threshold.level: threshold.reference for threshold in found.thresholds if not threshold.censored}
            yes = {response.probe.level: response.probe.reference for response in shown if response.verdict.yes}
            assert jnds.items() <= yes.items()


GOLDEN = """\
distortion | n | median | false alarms | quartiles | mean [95 %] | none up to L | at the median | questions
blur | 5 | 19 | 0 of 15* | 19 - 21 | 19.8 [18.6, 21.2] | 0 of 5 | 9.5 px at 640 px wide | 131
jpeg | 5 | 9 | 0 of 15* | 5 - 17 | 11.0 [5.0, 19.0] | 0 of 5 | quality 92 | 153
"""


def test_table_as_text(tiny: Path, tiny_page: str) -> None:
    with Store.open(tiny) as store:
        table = tables.first_jnds(analyse(store))
    assert "\n".join(" | ".join(row) for row in (table.columns, *table.rows)) + "\n" == GOLDEN
    drawn = tiny_page[tiny_page.index(f"<caption>{table.title}") :].split("</table>")[0]
    rows = [re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", row) for row in drawn.split("</tr>")]
    assert "\n".join(" | ".join(row) for row in rows if row) + "\n" == GOLDEN


def test_pairs_that_two_distortions_share_are_pooled_once(tmp_path: Path) -> None:
    images = photographs(tmp_path / "in", "a.png", "b.png", "c.png")
    Study.plan(spec(images, questions=("direct-implicit", "direct"))).run(tmp_path / "run")
    with Store.open(tmp_path / "run") as store:
        analysis = analyse(store)
    rows = {row[:2]: row for row in tables.identical_pairs(analysis).rows}
    assert rows["blur", "direct-implicit"][2] == rows["jpeg", "direct-implicit"][2] == "0 of 3: too few to tell"
    assert rows["all", "direct-implicit"][2] == "0 of 3: too few to tell"  # one question, asked under two names
    assert rows["all", "direct"][2] == "0 of 6: too few to tell"
    cost = {row[:2]: row for row in tables.course(analysis).rows}
    asked = [int(cost[name, "direct-implicit"][9]) for name in ("blur", "jpeg", "all")]
    assert asked[2] == asked[0] + asked[1] - 3
    assert cost["all", "direct"][2:8] == ("6", "6", "0", "0", "0", "0")
    with Report.open([tmp_path / "run"]) as report:
        board = headline.board(report.all, report.names.asked, report.worth)
    assert board.columns == ("observer", "verdict", "blur", "jpeg")
    assert [row[0] for row in board.rows] == ["simulated, direct-implicit", "simulated, direct"]
    drawn = page(tmp_path / "run", out=tmp_path / "report.html")
    outline(drawn)
    assert "<b>2 with care</b>" in drawn  # a word that is put together keeps its spaces


HARMFUL = ("a\x01b", "\x00", "\x1b[31m", "\ud800", "\ufffe", "\uffff", "\u202ename", "<b>&\"'", "]]>", "x" * 50_000)


def test_the_chart_library_never_sees_what_it_would_end_the_process_at() -> None:
    values = [{"who": name, "at": place} for place, name in enumerate(HARMFUL)]
    axes = {"x": {"field": "at", "type": "quantitative"}, "y": {"field": "who", "type": "nominal"}}
    spec = {"title": "".join(HARMFUL[:6]), "data": {"values": values}, "mark": "point", "encoding": axes}
    drawn = figures.svg(spec, "label \x01\ud800")
    ElementTree.fromstring(drawn)
    assert "[U+0001]" in drawn
    assert "[U+D800]" in drawn
    assert figures.as_png(spec, 1).startswith(b"\x89PNG")
    assert len(drawn) < 50_000


def test_a_figure_of_very_many_rows_is_a_png_of_bounded_size() -> None:
    axes = {"y": {"field": "n", "type": "quantitative"}}
    found = figures.as_png({"data": {"values": [{"n": 1}]}, "height": 40_000, "mark": "point", "encoding": axes}, 3)
    assert int.from_bytes(found[20:24], "big") <= figures.LARGEST  # the height in the header


def test_every_mark_of_a_mean_is_an_area_and_its_looks_are_its_own() -> None:
    look = figures.identity([str(i) for i in range(42)], columns=2)
    pairs = list(zip(look["color"]["scale"]["range"], look["shape"]["scale"]["range"], strict=True))
    assert len(set(pairs)) == len(pairs)
    for shape in figures.SHAPES:
        mark = {"type": "point", "filled": True, "shape": shape, "size": 75}
        drawn = figures.svg({"data": {"values": [{}]}, "mark": mark}, shape)
        paths = re.findall(r'<path [^>]*d="([^"]+)"[^>]*fill="(?!none)', drawn)
        assert any("Z" in path or "A" in path for path in paths), shape


def test_no_caption_calls_a_colour_dark_that_is_bright_on_a_dark_page() -> None:
    from limen.report import feature_sections

    for module in (figures, feature_sections):
        titles = re.findall(r'"([^"\n]*\((?:dark|light|black|white)\)[^"\n]*)"', Path(module.__file__).read_text())
        assert not titles
