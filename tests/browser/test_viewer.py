"""The viewer in Chromium: every control, keys, links, the test to its end, hostile texts, axe-core.

Needs playwright, a Chromium (LIMEN_CHROMIUM, else /usr/bin/chromium) and axe-core (LIMEN_AXE, else node_modules of
the environment): `make test-browser`.
"""

import importlib
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from scipy.stats import binomtest

from limen.curve import Share
from tests.browser.conftest import AXE, DESK, PHONE, WINDOWS, Visit

pytestmark = pytest.mark.browser

ANSWERS = "#test-answers button[aria-disabled=false]"  # once each picture has been on the screen


def test_begins_at_the_first_jnd_with_both_pictures(visit: Any) -> None:
    one = visit()
    assert re.match(r"Level \d+ of 50: .* Answer: yes\. JND number 1\.", one.text("now"))
    for name in ("ref", "over"):
        assert one.page.evaluate(f"document.getElementById('look-{name}').naturalWidth") == 80
        assert one.page.is_visible(f"#look-{name}")
    assert one.page.locator(".look-lane").count() == 2
    assert "against level 0: yes" in one.text("said")


def test_every_control_does_its_work(visit: Any) -> None:
    one = visit()
    first = one.text("now")
    one.page.select_option("#look-d", "1")
    assert one.text("now") != first
    assert "contrast" in one.text("asked")
    one.page.select_option("#look-r", "2")
    one.page.select_option("#look-o", "1")
    assert one.page.locator(".look-lane.on").inner_text().startswith("demo")
    one.page.select_option("#look-r", "3")
    level = int(one.value("l"))
    one.page.click("#look-more")
    assert int(one.value("l")) == level + 1
    one.page.click("#look-less")
    one.page.click("#look-next")
    assert "JND number 2" in one.text("now")
    one.page.click("#look-last")
    assert "JND number 1" in one.text("now")
    one.page.select_option("#look-a", "0")
    assert "the reference" in one.text("cap-a")
    one.page.select_option("#look-d", "0")
    assert one.value("a") == ""  # another series: compared again with what it was compared with
    one.page.select_option("#look-a", "0")
    one.page.evaluate("location.hash = '#view/o=1&d=0&r=3&l=0&m=side'")
    one.settle()
    assert one.value("a") == ""
    for zoom, width in (("1", 80), ("4", 320), ("16", 1280)):
        one.page.select_option("#look-z", zoom)
        one.settle()
        assert one.page.evaluate("document.getElementById('look-over').getBoundingClientRect().width") == width
    one.page.locator(".look-ladder").first.click(position={"x": 30, "y": 40})
    assert one.page.locator(".look-lane.on").inner_text().startswith("simulated")
    one.page.fill("#look-l", "0")
    assert "the reference itself" in one.text("now")
    assert one.page.is_disabled("#look-less")


def test_keys(visit: Any) -> None:
    one = visit()
    one.page.focus("#look-frame-b")
    start = int(one.value("l"))
    one.page.keyboard.press("ArrowRight")
    assert int(one.value("l")) == start + 1
    one.page.keyboard.press("j")
    assert "JND number 2" in one.text("now")
    one.page.keyboard.press("K")
    one.page.keyboard.press("End")
    assert one.value("l") == "50"
    one.page.keyboard.press("k")
    assert "JND number" in one.text("now")
    for number, name in enumerate(("side", "flicker", "swipe", "difference", "single"), 1):
        one.page.keyboard.press(str(number))
        assert one.page.is_checked(f"input[value={name}]")
    one.page.keyboard.press("z")
    assert one.value("z") == "1"
    one.page.keyboard.press("2")
    one.page.keyboard.press(" ")
    assert one.text("run") == "Stop"
    one.page.focus("#look-l")
    level = int(one.value("l"))
    one.page.keyboard.press("ArrowLeft")
    assert int(one.value("l")) == level - 1  # the slider's own step, once
    one.page.focus("#look-d")
    one.page.keyboard.press("5")
    assert one.page.is_checked("input[value=flicker]")  # a key in a list belongs to the list


@pytest.mark.parametrize("name", ["side", "flicker", "swipe", "difference", "single"])
def test_a_link_brings_back_what_was_seen(visit: Any, name: str) -> None:
    one = visit()
    one.page.select_option("#look-d", "1")
    one.page.select_option("#look-r", "2")
    one.page.fill("#look-l", "9")
    one.page.select_option("#look-z", "2")
    one.mode(name)
    own = {"flicker": ("h", "4.5"), "swipe": ("w", "20"), "difference": ("g", "5")}.get(name)
    if own:
        one.page.fill(f"#look-{own[0]}", own[1])
    fragment = one.link()
    assert fragment.startswith("#view/")
    two = visit(fragment=fragment)
    for what in ("now", "asked", "cap-a", "cap-b", "said", "pixels"):
        assert two.page.text_content(f"#look-{what}") == one.page.text_content(f"#look-{what}")
    assert two.page.is_checked(f"input[value={name}]")
    if own:
        assert two.value(own[0]) == own[1]
    two.page.evaluate("location.hash = '#view/o=0&d=0&r=0&l=3&m=side'")
    two.settle()
    assert two.value("l") == "3"


@pytest.mark.parametrize(
    "fragment",
    ["#view/o=99&d=-1&r=1e9&l=99999&m=evil&z=7&h=900", "#view/", "#view/%E0%A4%A", "#test/s=<script>", "#look"],
)
def test_links_that_cannot_be_are_borne(visit: Any, fragment: str) -> None:
    one = visit(fragment=fragment)
    assert one.text("now").startswith("Level ")
    assert one.page.is_visible("#look-over")


def test_copied_link(visit: Any) -> None:
    one = visit()
    one.page.click("#look-link")
    one.page.wait_for_selector("#look-copied:not(:empty)")
    assert one.page.evaluate("location.hash").startswith("#view/o=0&d=0")


# --- pixels ---


def test_one_to_one_shows_the_very_pixels_that_were_sent(visit: Any) -> None:
    one = visit()
    one.mode("single")
    one.page.select_option("#look-z", "1")
    one.settle()
    assert np.array_equal(one.pixels("over"), one.sent("over"))
    one.page.select_option("#look-z", "4")
    one.settle()
    assert np.array_equal(one.pixels("over"), one.sent("over").repeat(4, 0).repeat(4, 1))


@pytest.mark.parametrize("power", [0, 3, 6])
def test_difference_is_the_difference_times_its_factor(visit: Any, power: int) -> None:
    one = visit()
    one.mode("difference")
    one.page.select_option("#look-z", "1")
    one.page.fill("#look-g", str(power))
    one.settle()
    wide = [one.sent(name).astype(int) for name in ("ref", "over")]
    wanted = np.clip(abs(wide[0] - wide[1]) * 2**power, 0, 255)
    assert wanted.max() > 0
    assert abs(one.pixels("stack").astype(int) - wanted).max() <= (1 if power else 0)


def test_swipe_shows_the_reference_left_and_the_stimulus_right(visit: Any) -> None:
    one = visit()
    one.mode("swipe")
    one.page.select_option("#look-z", "1")
    one.settle()
    shown, sent = one.pixels("stack"), [one.sent(name) for name in ("ref", "over")]
    assert np.array_equal(shown[:, :38], sent[0][:, :38])
    assert np.array_equal(shown[:, 43:], sent[1][:, 43:])
    box = one.page.locator("#look-stack").bounding_box()
    one.page.mouse.click(box["x"] + 20, box["y"] + 30)
    assert one.value("w") == "25"


@pytest.mark.parametrize("reduced", [False, True])
def test_flicker_is_slow_and_starts_when_asked(visit: Any, reduced: bool) -> None:
    one = visit(reduced_motion="reduce" if reduced else "no-preference")
    one.mode("flicker")
    out = "document.getElementById('look-over').classList.contains('out')"
    one.page.wait_for_timeout(900)
    assert not one.page.evaluate(out)
    assert "photosensitive" in one.page.inner_text("#look-drawn")
    assert "reduced" in one.text("cap-b") if reduced else "press Start" in one.text("cap-b")
    one.page.fill("#look-h", "5")
    one.page.click("#look-run")
    one.page.wait_for_selector("#look-over.out", state="attached")
    one.page.evaluate(
        "window.turns = 0; new MutationObserver(() => turns++).observe("
        "document.getElementById('look-over'), {attributes: true, attributeFilter: ['class']})"
    )
    one.page.wait_for_timeout(2000)
    assert 5 <= one.page.evaluate("turns") <= 11
    one.page.click("#look-run")
    turns = one.page.evaluate("turns")
    one.page.wait_for_timeout(600)
    assert one.page.evaluate("turns") <= turns + 1
    assert not one.page.evaluate(out)


def test_as_seen_by_a_model_that_says_how(visit: Any) -> None:
    one = visit()
    one.page.select_option("#look-o", "1")
    assert one.page.is_visible("#look-p")
    one.page.select_option("#look-p", "seen")
    one.settle()
    assert one.sent("over").shape == (64, 64, 3)
    assert "64x64, bicubic" in one.text("pixels")
    one.page.select_option("#look-o", "0")
    one.settle()
    assert not one.page.is_visible("#look-p")  # a simulated observer looks at no pixels
    assert one.sent("over").shape == (64, 80, 3)


def test_pictures_from_a_folder_beside(visit: Any) -> None:
    one = visit("beside.html")
    assert one.page.get_attribute("#look-over", "src").startswith("beside_stimuli/")
    assert one.page.evaluate("document.getElementById('look-over').naturalWidth") == 80
    one.page.click("#look-next")
    one.settle()
    assert one.page.evaluate("document.getElementById('look-over').naturalWidth") == 80


def test_page_without_stimuli_says_so_and_has_the_answers(visit: Any) -> None:
    one = visit("bare.html")
    assert not one.page.is_visible("#look-drawn")
    assert "--embed" in one.text("why")
    assert "yes" in one.text("said")
    one.page.click("#test-start")
    assert "No pair of blur" in one.page.inner_text("#test-note")


# --- searching ---


def hits(one: Visit) -> int:
    return int(one.page.inner_text("#find-count").split(" of ")[0].replace(",", ""))


@pytest.mark.parametrize("window", WINDOWS)
def test_search_finds_words_in_all_answers_and_goes_to_their_pair(visit: Any, window: str) -> None:
    one = visit(**WINDOWS[window])
    one.page.fill("#find-text", "  NO   noticeable")
    one.page.keyboard.press("Enter")
    said = one.page.evaluate("book.talks.flatMap(t => t.probes.flatMap(p => p[5].map(x => book.texts[x[1]][0])))")
    every = sum("no noticeable" in text.lower() for text in said)
    assert hits(one) == every > 100
    items = one.page.locator("#find-list li")
    assert items.count() == 50
    assert set(one.page.eval_on_selector_all("#find-list mark", "all => all.map(m => m.textContent)")) == {
        "no noticeable"
    }
    one.page.click("#find-more")
    assert items.count() == min(100, every)
    assert one.link() == "#find/q=NO+++noticeable"
    row = items.nth(60)
    text = row.locator("button").inner_text()
    row.locator("button").click()
    one.settle()
    found = re.search(r"level (\d+) (?:against level (\d+)|with itself)", text)
    assert found is not None
    assert one.value("l") == found[1]
    assert one.value("a") == (found[2] or found[1])
    assert one.page.locator("#look-said .look-talk.on").inner_text().lower().startswith(found[0])
    assert one.page.evaluate("document.documentElement.scrollWidth") <= WINDOWS[window]["viewport"]["width"]
    one.page.click("#find-clear")
    assert items.count() == 0
    assert "can be searched" in one.page.inner_text("#find-count")


def test_ready_searches_find_faults_false_alarms_open_questions_and_doubt(visit: Any) -> None:
    one = visit("hostile.html")
    offered = one.page.eval_on_selector_all("#find-kinds button", "all => all.map(b => b.dataset.kind)")
    for kind in offered:
        one.page.click(f"#find-kinds [data-kind={kind}]")
        count = int(re.sub(r"\D", "", one.page.inner_text(f"[data-kind={kind}]").rpartition("(")[2]))
        assert hits(one) == count > 0
        assert one.link() == f"#find/k={kind}"
        one.page.click(f"#find-kinds [data-kind={kind}]")
        assert one.page.locator("#find-list li").count() == 0
    assert "alarm" in offered
    assert "none: " in one.page.inner_text("#find-kinds")
    one.page.click("[data-kind=alarm]")
    assert all("with itself: yes" in text for text in one.page.locator("#find-list button").all_inner_texts())
    two = visit("open.html")
    two.page.click("[data-kind=unfinished]")
    assert "failed: timeout" in two.page.locator("#find-list button").first.inner_text()
    three = visit()
    three.page.click("[data-kind=unsure]")
    doubts = [float(text.split()[1]) for text in three.page.locator("#find-list .look-tag").all_inner_texts()]
    assert doubts
    assert doubts == sorted(doubts, key=lambda p: abs(p - 0.5))
    assert all(abs(p - 0.5) <= 0.1 for p in doubts)


def test_a_search_has_a_link_and_hostile_words_find_themselves(visit: Any) -> None:
    one = visit("hostile.html", fragment="#find/q=%3C%2Fscript%3E%3Cscript%3Ealert(1)&k=nonsense")
    assert hits(one) > 0
    assert one.page.locator("#find-list mark").first.inner_text() == "</script><script>alert(1)"
    assert one.page.input_value("#find-text") == "</script><script>alert(1)"
    for words in ("(", "[a-", "\\", "a{9", "*", "."):
        one.page.evaluate("words => search.look(words, '')", words)
    assert one.page.locator("#find-list script").count() == 0


def test_a_search_in_sixty_thousand_answers_is_quick(visit: Any) -> None:
    one = visit()
    took = one.page.evaluate(
        """() => {
      const words = (i) => `Answer ${i}. ${"The pictures look alike in every part of it. ".repeat(5)}`;
      book.texts = Array.from({ length: 60000 }, (_, i) => [words(i)]);
      const trial = (i) => [0, i, 0.5, null, "stop", 1, 1, 1, "m"];
      const probes = Array.from({ length: 60000 }, (_, i) => [0, 1 + (i % 50), 0, "no", "", [trial(i)]]);
      book.talks = [{ ...book.talks[0], probes, waiting: [] }];
      search.answers = null;
      const start = performance.now();
      search.ready();
      const built = performance.now();
      search.look("Answer 59999", "");
      const rare = performance.now();
      search.look("pictures", "unsure");
      return [built - start, rare - built, performance.now() - rare, search.hits.length];
    }"""
    )
    print(f"gathered {took[0]:.0f} ms, rare words {took[1]:.0f} ms, common words {took[2]:.0f} ms")
    assert took[3] == 60000
    assert max(took[:3]) < 1500  # a third of a second alone; other work may be going on


def test_ladders_tell_what_is_under_the_pointer(visit: Any) -> None:
    one = visit()
    strip = one.page.locator(".look-lane.on .look-ladder")
    level = int(one.value("l"))
    width = strip.bounding_box()["width"]
    strip.hover(position={"x": 8 + (width - 16) * level / 50, "y": 40})
    tip = one.page.inner_text(".look-tip")
    assert tip.startswith(f"level {level}: ")
    assert " · yes" in tip
    assert "JND 1" in tip
    assert "against level 0" in tip
    strip.hover(position={"x": 8, "y": 40})
    assert one.page.inner_text(".look-tip").startswith("level 0, the reference")
    one.page.mouse.move(5, 5)
    assert one.page.locator(".look-tip").count() == 0


# --- the same test ---


def through(one: Visit, keys: str) -> int:
    """Answer to the end; return how many pairs there were."""
    count = 0
    while one.page.is_visible("#test-run") and count < 99:
        one.page.wait_for_selector(ANSWERS)
        one.page.keyboard.press(keys[count % len(keys)])
        count += 1
    return count


def shown(one: Visit) -> list[str]:
    """Return the pictures of the pair on the screen."""
    return [str(source) for source in one.page.eval_on_selector_all("#test-stage img", "all => all.map(i => i.src)")]


def within(one: Visit, settings: dict[str, Any]) -> None:
    """Check that all a person needs for a pair lies inside the window, and nothing has to be scrolled to."""
    wide, high = settings["viewport"]["width"], settings["viewport"]["height"]
    needed = one.page.locator(
        "#test-count, #test-bar, #test-question, #test-stop, #test-stage figure:not([hidden]) img, "
        "#test-answers button, #test-way"
    )
    for place in range(needed.count()):
        box = needed.nth(place).bounding_box()
        assert min(box["x"], box["y"]) >= 0
        assert box["x"] + box["width"] <= wide + 0.5
        assert box["y"] + box["height"] <= high + 0.5
    stage, pictures = one.page.locator("#test-stage"), one.page.locator("#test-stage figure:not([hidden]) img")
    room = stage.bounding_box()
    for place in range(pictures.count()):  # nothing is cut off
        box = pictures.nth(place).bounding_box()
        assert box["y"] >= room["y"] - 1
        assert box["y"] + box["height"] <= room["y"] + room["height"] + 1
    assert one.page.evaluate(
        "[...document.querySelectorAll('#test-run button')].filter(b => b.offsetParent)"
        ".every(b => b.offsetHeight >= 44 && b.offsetWidth >= 44)"
    )
    assert not one.page.eval_on_selector("#test-run", "run => run.scrollHeight > run.clientHeight")


def test_the_same_test_to_its_end_by_keyboard(visit: Any, tmp_path: Path) -> None:
    one = visit()
    one.page.fill("#test-seed", "42")
    one.page.focus("#test-start")
    one.page.keyboard.press("Enter")
    assert "noticeable difference" in one.page.inner_text("#test-question")
    assert one.page.inner_text("#test-count") == "Pair 1 of 30"
    assert through(one, "yny") == 30
    result = one.page.inner_text("#test-end")
    assert "not a calibrated observer" in result
    with one.page.expect_download() as started:
        one.page.click("text=Save the answers")
    started.value.save_as(tmp_path / "answers.json")
    saved = json.loads((tmp_path / "answers.json").read_text())["content"]
    assert [answer["value"] for answer in saved["answers"]] == ["yes", "no", "yes"] * 10
    trials = one.page.evaluate("test.said")
    assert [trial["you"] for trial in trials] == ["yes", "no", "yes"] * 10
    same = [trial for trial in trials if trial["level"] == trial["reference"]]
    differ = [trial for trial in trials if trial["level"] > trial["reference"]]
    assert (len(same), len(differ)) == (6, 24)
    for group in (same, differ):
        for who in ("you", "model"):
            share = Share(sum(trial[who] == "yes" for trial in group), len(group))
            assert share.interval is not None
            low, high = (int(bound * 100 + 0.5) for bound in (share.interval.low, share.interval.high))
            assert f"{share.k} of {share.n} [{low} to {high} %]" in result
    assert f"The same answer on {sum(t['you'] == t['model'] for t in trials)} of 30" in result
    assert len({trial["model"] for trial in differ}) == 2


def test_a_seed_brings_the_same_pairs_again_and_is_in_the_link(visit: Any) -> None:
    runs = []
    for fragment in ("", "", "again"):
        one = visit(fragment=f"#test/o=0&d=0&s={7 if fragment else 4294967295}")
        one.page.click("#test-start")
        assert one.link() == f"#test/o=0&d=0&s={7 if fragment else 4294967295}"
        seen = []
        while one.page.is_visible("#test-run"):
            seen.append(tuple(shown(one)))
            one.page.click(f"{ANSWERS} >> nth=0")
        runs.append(seen)
    assert runs[0] == runs[1] != runs[2]
    assert len(set(runs[0])) == len(runs[0]) == 30


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("name", ["report", "middle", "large", "asked"])
def test_everything_of_a_pair_is_on_one_screen(visit: Any, window: str, name: str) -> None:
    settings = WINDOWS[window]
    one = visit(f"{name}.html", **settings)
    one.page.click("#test-start")
    one.page.wait_for_selector("#test-stage img[style*=width]")
    one.settle()
    within(one, settings)
    one.page.click("#test-way")
    one.settle()
    within(one, settings)
    assert one.page.evaluate("document.getAnimations().length") == 0


@pytest.mark.parametrize("window", WINDOWS)
def test_pictures_of_the_test_are_whole_pixels_where_they_fit(visit: Any, window: str) -> None:
    one = visit(**WINDOWS[window])
    one.page.click("#test-start")
    one.page.wait_for_selector("#test-stage img[style*=width]")
    one.settle()
    picture = one.page.locator("#test-stage img").first
    box, dots = picture.bounding_box(), WINDOWS[window].get("device_scale_factor", 1)
    screen = np.asarray(Pillow.open(io.BytesIO(one.page.screenshot())).convert("RGB"))
    data = importlib.import_module("base64").b64decode(shown(one)[0].split(",")[1])
    sent = np.asarray(Pillow.open(io.BytesIO(data)).convert("RGB"))
    zoom = round(box["width"] * dots) // sent.shape[1]
    assert zoom >= 3
    drawn = sent.repeat(zoom, 0).repeat(zoom, 1)
    left, top = (round(box[side] * dots) for side in ("x", "y"))
    assert any(
        np.array_equal(screen[y : y + drawn.shape[0], left : left + drawn.shape[1]], drawn) for y in (top - 1, top)
    )
    assert one.page.inner_text("#test-scale") == ""


def test_pictures_too_large_for_the_screen_come_one_at_a_time_and_say_where_they_are_scaled(visit: Any) -> None:
    one = visit("middle.html", **WINDOWS["1024x768"])
    one.page.click("#test-start")
    one.page.wait_for_selector("#test-turn:visible")
    assert one.page.inner_text("#test-scale") == "Look at each picture, then answer."
    assert one.page.locator("#test-stage figure:not([hidden]) img").bounding_box()["width"] == 600
    one.page.keyboard.press("y")
    assert one.page.inner_text("#test-count").startswith("Pair 1 of")  # the second has not been looked at
    one.page.keyboard.press(" ")
    assert one.page.inner_text("#test-stage figure:not([hidden])") == "second"
    one.page.click("#test-turn")
    assert one.page.inner_text("#test-stage figure:not([hidden])") == "first"
    one.page.keyboard.press("y")
    assert one.page.inner_text("#test-count").startswith("Pair 2 of")
    one.page.click("#test-way")
    assert re.match(r"Scaled down to \d+\s% to fit this screen.* One at a time", one.page.inner_text("#test-scale"))
    one.page.keyboard.press("Escape")
    assert "1 of 1 pairs were shown one picture at a time" in one.page.inner_text("#test-end")
    two = visit("large.html", **WINDOWS["1024x768"])
    two.page.click("#test-start")
    two.page.wait_for_selector("#test-turn:visible")
    assert "Scaled down to" in two.page.inner_text("#test-scale")


def test_the_focus_stays_in_the_test_and_escape_leaves_it(visit: Any) -> None:
    one = visit()
    one.page.focus("#test-start")
    one.page.keyboard.press("Enter")
    one.page.wait_for_selector(ANSWERS)
    for _ in range(12):
        one.page.keyboard.press("Tab")
        assert one.page.evaluate(
            "!document.activeElement.closest('main') || !!document.activeElement.closest('#test-run')"
        )
    one.page.keyboard.press("ArrowLeft")
    one.page.wait_for_selector(ANSWERS)
    one.page.keyboard.press("ArrowRight")
    one.page.wait_for_selector(ANSWERS)
    assert one.page.evaluate("test.said.map(trial => trial.you)") == ["yes", "no"]
    one.page.keyboard.press("Escape")
    assert not one.page.is_visible("#test-run")
    assert "2 pairs" in one.page.inner_text("#test-end")
    one.page.click("#test-start")
    one.page.click("#test-stop")
    assert one.page.evaluate("document.activeElement.id") == "test-start"


def test_a_forced_choice_is_a_test_too(visit: Any) -> None:
    one = visit("asked.html")
    one.page.select_option("#look-o", label="simulated, odd-one-out-3")
    one.page.fill("#test-seed", "3")
    one.page.click("#test-start")
    places = set()
    while one.page.is_visible("#test-run"):
        one.page.wait_for_selector(ANSWERS)
        pictures = shown(one)
        assert len(pictures) == 3
        (odd,) = [i for i, source in enumerate(pictures) if pictures.count(source) == 1]
        places.add(odd)
        one.page.keyboard.press(str(odd + 1))
    assert places == {0, 1, 2}
    assert all(trial == "yes" for trial in one.page.evaluate("test.said.map(trial => trial.you)"))
    result = one.page.inner_text("#test-end")
    assert "right picture picked" in result
    assert "Guessing is right once in 3" in result


def test_a_question_whose_yes_is_no_difference_is_put_the_other_way_round(visit: Any) -> None:
    one = visit("asked.html")
    one.page.select_option("#look-o", label="simulated, same")
    one.page.click("#test-start")
    assert one.page.inner_text("#test-question").startswith("Do the two pictures differ? (The model was asked: “Are")


def test_a_question_about_each_picture_alone_has_no_such_test(visit: Any) -> None:
    one = visit("items.html")
    one.page.click("#test-start")
    assert "each picture alone" in one.page.inner_text("#test-note")
    assert not one.page.is_visible("#test-run")


def test_who_notices_more_is_told_by_the_sign_test(visit: Any) -> None:
    one = visit()
    told = one.page.evaluate(
        "[[5, 5], [0, 6], [12, 1], [0, 0]].map(([you, model]) => keener([...Array(you).fill({you: 'yes', model: 'no'}),"
        " ...Array(model).fill({you: 'no', model: 'yes'})]))"
    )
    for text, (you, model) in zip(told[:3], [(5, 5), (0, 6), (12, 1)], strict=True):
        p = binomtest(you, you + model).pvalue
        assert f"You alone noticed {you}, the model alone {model}" in text
        assert (f"p = {p:.3f}" if p < 0.05 else f"p = {p:.2f}") in text
        assert ("too few to tell" in text) == (p >= 0.05)
    assert told[3] == ""


def test_a_test_can_be_stopped_and_its_pairs_looked_at(visit: Any) -> None:
    one = visit()
    one.page.click("#test-start")
    for key in "yn":
        one.page.wait_for_selector(ANSWERS)
        one.page.keyboard.press(key)
    one.page.keyboard.press("Escape")
    assert "2 pairs" in one.page.inner_text("#test-end")
    one.page.click("text=Every pair")
    cells = one.page.locator("#test-end details tbody tr").first.inner_text().split("\t")
    one.page.locator("#test-end details button").first.click()
    assert one.value("l") == cells[1]
    assert one.page.input_value("#look-a") == cells[2]


# --- what may go wrong ---


def test_hostile_texts_run_nothing_and_break_no_layout(visit: Any) -> None:
    for settings in (DESK, PHONE):
        one = visit("hostile.html", **settings)
        width = settings["viewport"]["width"]  # type: ignore[index]
        seen = set()
        for distortion in ("0", "1"):
            one.page.select_option("#look-d", distortion)
            for reference in one.page.eval_on_selector_all("#look-r option", "all => all.map(one => one.value)"):
                one.page.select_option("#look-r", reference)
                one.page.fill("#look-l", "0")
                for _ in range(12):
                    one.page.click("#look-more")
                    seen.update(
                        re.findall(r"<script>alert\(1\)|\[U\+202E\]esrever|characters, 100,000", one.text("said"))
                    )
                    more = one.page.locator("#look-said button[aria-expanded=false]")
                    if more.count():
                        assert len(one.page.locator(".look-text[role=region]").first.inner_text()) < 410
                        more.first.click()
                        assert one.page.locator(".look-text").first.bounding_box()["height"] < 400
                    assert one.page.evaluate("document.documentElement.scrollWidth") <= width
        assert seen == {"<script>alert(1)", "[U+202E]esrever", "characters, 100,000"}
        assert "onerror" in one.page.locator(".look-lane").first.inner_text()
        assert one.page.locator("#look script, #look iframe, #look img[src=x]").count() == 0


def test_scripts_that_are_not_the_pages_own_do_not_run(visit: Any) -> None:
    one = visit()
    blocked = one.page.evaluate(
        "() => { try { document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=window.ran=1>'); }"
        " catch (error) { return error.name; } }"
    )
    assert blocked == "TypeError"  # Trusted Types
    one.page.evaluate(
        "() => { const handle = document.createElement('p'); try { handle.setAttribute('onclick', 'window.ran = 1'); }"
        " catch {} document.body.append(handle); handle.click(); }"
    )
    assert one.page.evaluate("window.ran") is None
    assert one.troubles  # the browser says what it has blocked
    one.troubles.clear()


def test_series_left_open_show_what_failed(visit: Any) -> None:
    one = visit("open.html")
    levels = one.page.evaluate(
        "book.talks.flatMap(t => t.waiting.map(w => [t.o, book.series[t.s].d, book.series[t.s].r, w[1]]))"
    )
    assert "Answer: failed" in one.text("now")
    o, d, r, level = levels[0]
    two = visit("open.html", f"#view/o={o}&d={d}&r={r}&l={level}&m=side")
    assert "Answer: failed" in two.text("now")
    assert "timeout" in two.text("said")
    assert two.page.locator(".look-cell.failed").count() > 1
    assert "unfinished" in two.page.inner_text(".look-lane.on")


def test_without_scripts_the_section_says_so_and_the_page_is_there(visit: Any) -> None:
    one = visit(java_script_enabled=False)
    assert one.page.is_visible("text=needs scripts, which are switched off here")
    assert not one.page.is_visible("#look-body")
    assert "Median 1st JND" in one.page.inner_text("#quote")
    assert one.page.locator(".numbers li").count() > 1


def test_the_viewer_is_not_printed(visit: Any) -> None:
    one = visit()
    assert one.page.is_visible("#look")
    one.page.emulate_media(media="print")
    assert not one.page.is_visible("#look")
    assert one.page.is_visible("#how")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("name", ["report.html", "hostile.html", "bare.html"])
def test_axe_finds_no_serious_fault(visit: Any, scheme: str, device: dict[str, Any], name: str) -> None:
    one = visit(name, color_scheme=scheme, bypass_csp=True, **device)
    states = (
        [lambda: None, lambda: one.mode("flicker"), lambda: one.mode("difference")]
        if name != "bare.html"
        else [lambda: None]
    )
    if name == "report.html":
        states += [
            lambda: one.page.click("#test-start"),
            lambda: through(one, "yn"),
            lambda: one.page.click("text=Every pair"),
            lambda: one.page.evaluate("search.look('noticeable', '')"),
            lambda: one.page.click("#find-more"),
        ]
    one.page.evaluate(AXE.read_text(encoding="utf-8"))
    for state in states:
        state()
        found = one.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        faults = [
            (fault["id"], [node["target"] for node in fault["nodes"]][:3])
            for fault in found["violations"]
            if fault["impact"] in {"serious", "critical"}
        ]
        assert faults == []
    assert one.page.evaluate("document.documentElement.scrollWidth") <= device["viewport"]["width"]
