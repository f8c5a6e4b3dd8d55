"""The page's own controls in Chromium: first screen, sorting, downloads, folds, at three widths."""

import csv
import io
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image as Pillow

from limen.study import Study
from tests.browser.conftest import AXE, Visit
from tests.report.test_viewer import images, spec, write

pytestmark = pytest.mark.browser

WIDTHS = ((1440, 900), (1024, 768), (390, 844))


def at(size: tuple[int, int]) -> dict[str, Any]:
    return {"viewport": {"width": size[0], "height": size[1]}}


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of nine observers and distortions of two parts."""
    folder = tmp_path_factory.mktemp("crowd")
    photos = images(folder / "in", "a.png", "b.png", "c.png", "d.png", "e.png", "f.png", height=48, width=64)
    observers = tuple({"name": f"simulated:of-{i}", "threshold": 3.0 + i, "slope": 0.1} for i in range(9))
    study = spec(photos, observers=observers, distortions=("noise", "mask"), procedure={"name": "skip", "orders": 2})
    Study.plan(study).run(folder / "run")
    write(folder / "run", folder / "report.html")
    return folder / "report.html"


@pytest.mark.parametrize("size", WIDTHS)
def test_the_first_screen_holds_the_answer(visit: Any, size: tuple[int, int]) -> None:
    page = visit(**at(size)).page
    places = {
        name: page.locator(name).first.bounding_box()
        for name in (".verdict", ".numbers li:last-child", "#pair", "#quote", "nav")
    }
    tops = {name: box["y"] for name, box in places.items()}
    assert tops[".verdict"] < tops[".numbers li:last-child"] < tops["#quote"] < tops["nav"]
    if size[0] >= 1024:
        assert tops["#pair"] < tops["#quote"] < size[1], "numbers, pair and the sentence on one screen"
    else:
        assert tops[".numbers li:last-child"] < tops["#pair"] < tops["#quote"], "below each other on a phone"
        assert tops[".numbers li:last-child"] < size[1]
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


@pytest.mark.parametrize("size", WIDTHS)
def test_median_n_and_false_alarms_are_seen_without_a_scroll(visit: Any, size: tuple[int, int]) -> None:
    page = visit(**at(size)).page
    table = page.locator("table:has(caption:text-is('1st just noticeable difference'))")
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    for name in ("n", "median", "false alarms"):
        box = table.locator("thead th", has_text=re.compile(f"^{name}")).first.bounding_box()
        assert box["x"] + box["width"] <= size[0]


@pytest.mark.parametrize("size", WIDTHS)
def test_the_pair_flickers_on_demand(visit: Any, size: tuple[int, int]) -> None:
    page = visit(**at(size)).page
    boxes = "[...document.querySelectorAll('#pair .two > div')].map(e => e.getBoundingClientRect().x)"
    left, right = page.evaluate(boxes)
    assert left < right
    page.click("#pair >> text=Flicker")
    left, right = page.evaluate(boxes)
    assert left == right
    page.wait_for_selector("#pair .out", state="attached")
    page.wait_for_selector("#pair .two > div:last-child:not(.out)")
    page.click("#pair >> text=Side by side")
    assert page.locator("#pair .out").count() == 0


def test_the_sentence_is_copied(visit: Any) -> None:
    shown = visit(permissions=["clipboard-read", "clipboard-write"])
    sentence = re.sub(r"\s*Copy$", "", shown.page.inner_text("#quote").strip())
    shown.page.click("#quote >> text=Copy")
    shown.page.wait_for_selector("#quote >> text=Copied")
    assert shown.page.evaluate("navigator.clipboard.readText()") == sentence
    assert "Median 1st JND" in sentence


@pytest.mark.parametrize("size", WIDTHS)
def test_tables_sort_by_number_and_back(browser: Any, crowd: Path, size: tuple[int, int]) -> None:
    shown = Visit(browser, crowd, **at(size))
    rows = "[...document.querySelectorAll('.board tbody tr')]"
    column = f"{rows}.map(row => parseFloat(row.cells[2].textContent.replace(/[<>=]/g, '')))"
    head = shown.page.locator(".board thead th").nth(2)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    rising = shown.page.evaluate(column)
    assert rising == sorted(rising)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert shown.page.evaluate(column) == sorted(rising, reverse=True)
    assert rising[0] != rising[-1]
    shown.close()


@pytest.mark.parametrize("size", WIDTHS)
def test_columns_of_a_part_and_a_cue_for_those_to_the_right(browser: Any, crowd: Path, size: tuple[int, int]) -> None:
    shown = Visit(browser, crowd, **at(size))
    visible = "[...document.querySelector('.board').tHead.rows[0].cells].filter(c => !c.hidden).map(c => c.textContent)"
    assert shown.page.evaluate(visible) == ["observer", "verdict", "mask", "noise"]
    shown.page.click("button:text-is('injection')")
    assert shown.page.evaluate(visible) == ["observer", "verdict", "mask"]
    shown.page.click("button:text-is('all')")
    assert shown.page.evaluate(visible) == ["observer", "verdict", "mask", "noise"]
    wider = "(e => e.scrollWidth - e.clientWidth > 4)(document.querySelector('.board').closest('.scroll'))"
    more = "document.querySelector('.board').closest('.framed').classList.contains('more')"
    assert shown.page.evaluate(more) == shown.page.evaluate(wider)
    shown.close()


@pytest.mark.parametrize("size", WIDTHS)
def test_a_table_is_taken_away_as_csv(browser: Any, crowd: Path, size: tuple[int, int]) -> None:
    shown = Visit(browser, crowd, **at(size))
    tools = shown.page.locator(".framed:has(.board) + .tools")
    with shown.page.expect_download() as download:
        tools.locator("button:text-is('CSV')").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))
    assert len(rows) == 9
    assert {"observer", "verdict", "noise", "noise low", "noise high"} <= rows[0].keys()
    for row in rows:
        low, middle, high = (float(row[name].lstrip("<>=")) for name in ("noise low", "noise", "noise high"))
        assert low <= middle <= high
    assert download.value.suggested_filename.endswith(".csv")
    shown.close()


@pytest.mark.parametrize("size", WIDTHS)
def test_a_figure_is_taken_away_as_svg_and_png(visit: Any, size: tuple[int, int]) -> None:
    page = visit(color_scheme="dark", **at(size)).page
    figure = page.locator("section[aria-labelledby=first] figure").first
    with page.expect_download() as download:
        figure.locator("button:text-is('SVG')").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg")
    assert "var(" not in text
    assert "currentColor" not in text
    with page.expect_download() as download:
        figure.locator("button:text-is('PNG')").click()
    with Pillow.open(download.value.path()) as picture:
        assert picture.width == pytest.approx(2 * float(root.get("width", 0)), abs=2)
        assert picture.convert("RGB").getpixel((1, 1)) == (255, 255, 255), "print colours, whatever the page's"


def test_marks_say_their_values(visit: Any) -> None:
    said = visit().page.evaluate("[...document.querySelectorAll('figure svg path > title')].map(t => t.textContent)")
    assert any(re.search(r": mean \d+\.\d, n = 4", text) for text in said)


def test_what_is_folded_opens_for_a_link_and_for_paper(browser: Any, crowd: Path) -> None:
    shown = Visit(browser, crowd)
    folded = "[...document.querySelectorAll('details')].filter(d => !d.open).length"
    assert shown.page.evaluate(folded) > 5
    table = "[...document.querySelectorAll('details:not([open]) table')].find(e => !e.id)"
    shown.page.evaluate(f"{table}.id = 'inside'")
    shown.page.evaluate("location.hash = '#inside'")
    shown.settle()
    assert shown.page.evaluate("document.getElementById('inside').closest('details').open")
    shown.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert shown.page.evaluate(folded) == 0
    shown.close()


def test_many_observers_are_named_without_what_they_share(browser: Any, crowd: Path) -> None:
    shown = Visit(browser, crowd)
    names = shown.page.evaluate("[...document.querySelectorAll('.board tbody th:first-child')].map(e => e.textContent)")
    assert names == [f"{i} of-{i - 1}" for i in range(1, 10)]
    assert "9 observers" in shown.page.inner_text("h1")
    assert "simulated:" in shown.page.inner_text(".lead")
    shown.page.add_style_tag(content="main > section { content-visibility: visible !important; }")  # all laid out
    assert shown.page.evaluate("document.documentElement.scrollHeight") < 15_000
    shown.close()


@pytest.mark.parametrize("size", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_with_many_observers(
    browser: Any, crowd: Path, size: tuple[int, int], scheme: str
) -> None:
    shown = Visit(browser, crowd, color_scheme=scheme, bypass_csp=True, **at(size))
    shown.page.evaluate("for (const folded of document.querySelectorAll('details')) folded.open = true")
    shown.page.add_script_tag(content=AXE.read_text(encoding="utf-8"))
    found = shown.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
    assert not serious, [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in serious]
    shown.close()


def test_no_heading_is_left_alone_at_the_foot_of_a_printed_page(visit: Any) -> None:
    page = visit().page
    page.emulate_media(media="print")
    style = "[...document.querySelectorAll('h2, h3, h4, summary, caption')].map(e => getComputedStyle(e).breakAfter)"
    assert set(page.evaluate(style)) == {"avoid"}
