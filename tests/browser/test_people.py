"""The page of a participant in Chromium: whole sittings, exact pixels, measured times, and all that goes wrong."""

import io
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from tests.browser.conftest import AXE, CHROMIUM, FLAGS, PHONE
from tests.support.people_server import YES_NO, Desk, Study

pytestmark = pytest.mark.browser

DESK = {"viewport": {"width": 1280, "height": 900}}
FORMS: tuple[dict[str, Any], ...] = (
    YES_NO, {"kind": "places", "count": 2}, {"kind": "cell", "rows": 2, "columns": 3}, {"kind": "number"},
    {"kind": "text"},
)  # fmt: skip
STEPS = {"card": "card-done", "checker": "checker-done", "gamma": "gamma-skip", "ready": "begin"}
# Presses a key a given time after pictures have appeared, all inside the page: its clock is the page's own, so that
# nothing of what lies between a test and the browser is measured. When they appear is read off the document by an
# observer of its own; the frame's time stamp, from which the page counts, lies a little before.
PRESS = """([key, after]) => new Promise((done, fail) => {
  setTimeout(() => fail(new Error("no picture appeared")), 20000);
  const shown = () => document.querySelector('#stage img.shown');
  const watching = new MutationObserver(() => {
    if (!shown()) return;
    watching.disconnect();
    const began = performance.now();
    const wait = () => {
      if (performance.now() - began < after) return void setTimeout(wait, 0);
      const at = performance.now();
      document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
      done(at - began);
    };
    wait();
  });
  watching.observe(document.getElementById('stage'), { subtree: true, childList: true, attributes: true });
})"""
# Notes when each picture appears and goes, by the page's clock, and the longest frame: a busy computer leaves some out.
WATCH = """() => {
  window.seen = [];
  window.longest = 0;
  let last = performance.now();
  const tick = () => {
    window.longest = Math.max(window.longest, performance.now() - last);
    last = performance.now();
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
  let before = '';
  new MutationObserver(() => {
    const images = [...document.querySelectorAll('#stage img')];
    const now = images.map((one) => Number(one.classList.contains('shown'))).join('');
    if (now !== before) window.seen.push([performance.now(), now]);
    before = now;
  }).observe(document.getElementById('stage'), { subtree: true, childList: true, attributes: true });
}"""


class Screens:
    """Chromium on screens of these ratios of device pixels to CSS px, with its scroll bars, which take room.

    The ratio is the one of the screen itself: what Playwright emulates is laid out in whole CSS px, as on no device.
    """

    def __init__(self, playwright: Any) -> None:
        self.playwright = playwright
        self.started: dict[tuple[float, str], Any] = {}

    def context(self, ratio: float = 1, window: str = "", **settings: Any) -> Any:
        """Return a fresh profile; a window of this size, or a viewport that is emulated."""
        size = {"no_viewport": True} if window else {**DESK, **settings}
        if (ratio, window) not in self.started:
            flags = [*FLAGS, f"--force-device-scale-factor={ratio}", f"--window-size={window or '1280,900'}"]
            self.started[ratio, window] = self.playwright.chromium.launch(
                executable_path=CHROMIUM, headless=True, args=flags, ignore_default_args=["--hide-scrollbars"]
            )
        return self.started[ratio, window].new_context(**size)


@pytest.fixture(scope="module")
def screens(playwright: Any) -> Iterator[Screens]:
    made = Screens(playwright)
    yield made
    for one in made.started.values():
        one.close()


@pytest.fixture
def desk() -> Iterator[Callable[..., Desk]]:
    """Start a server of a study with these changes."""
    made: list[Desk] = []

    def start(**changes: Any) -> Desk:
        made.append(Desk(Study(**changes)))
        made[-1].start()
        return made[-1]

    yield start
    for one in made:
        one.kill()


class Tab:
    """A participant's tab: what it complained of, and short ways through it."""

    def __init__(self, context: Any, address: str) -> None:
        self.page = context.new_page()
        self.troubles: list[str] = []
        self.forgives = False  # that the server is not there
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("dialog", lambda dialog: self.troubles.append(dialog.message) or dialog.dismiss())
        self.page.on("request", self._request)
        self.base = "/".join(address.split("/")[:3])
        self.page.goto(address)

    def _console(self, message: Any) -> None:
        if "Failed to load resource" not in message.text or not self.forgives:
            self.troubles.append(f"{message.type}: {message.text}")

    def _request(self, request: Any) -> None:
        if not request.url.startswith((f"{self.base}/", "data:", f"blob:{self.base}/")):
            self.troubles.append(request.url)

    def until(self, what: str, seconds: float = 20.0) -> None:
        """Wait until an expression is true; the page's policy forbids playwright's way, which makes code of text."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(what):
            assert time.monotonic() < end, f"not true in {seconds:.0f} s: {what}; {self.where}"
            self.page.wait_for_timeout(10)

    @property
    def where(self) -> str:
        """The section that is shown."""
        return str(self.page.evaluate("document.querySelector('main > section:not([hidden])').id"))

    def at(self, *names: str, seconds: float = 20.0) -> str:
        """Wait until one of these sections is shown."""
        end = time.monotonic() + seconds
        while (now := self.where) not in names:
            assert time.monotonic() < end, f"{now}, not {names}: {self.page.inner_text('main')[:300]}"
            self.page.wait_for_timeout(10)
        return now

    def calibrate(self) -> None:
        """Measure the screen, or confirm it."""
        if self.at("card", "checker") == "card":
            self.page.click("#card-done")
        self.at("checker")
        self.page.click("#checker-done")
        if self.at("gamma", "ready", "rest", "done") == "gamma":
            self.page.click("#gamma-done")

    def begin(self) -> None:
        """Go up to the first question."""
        self.calibrate()
        self.at("ready")
        self.page.click("#begin")
        self.at("trial")

    def shown(self) -> None:
        """Wait until an answer is taken."""
        self.until("trial.open && !trial.steps")

    def answer(self, key: str = "y") -> None:
        self.shown()
        now = self.page.evaluate("trial.presented.id")
        self.page.keyboard.press(key)
        self.until(f"trial.presented.id !== '{now}' || document.getElementById('trial').hidden || trial.steps !== null")

    def text(self, name: str) -> str:
        return str(self.page.inner_text(f"#{name}"))

    def axe(self) -> list[Any]:
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [(fault["id"], [node["target"] for node in fault["nodes"]][:3]) for fault in found["violations"]]

    def screenshot(self) -> Any:
        return np.asarray(Pillow.open(io.BytesIO(self.page.screenshot(scale="device"))).convert("RGB"))


@pytest.fixture
def tab(screens: Screens) -> Iterator[Callable[..., Tab]]:
    """Open a tab; at the end none has complained, or asked anybody else."""
    made: list[Tab] = []
    contexts: list[Any] = []

    def go(address: str, beside: Tab | None = None, **settings: Any) -> Tab:
        context = beside.page.context if beside else screens.context(**settings)
        contexts.append(context)
        made.append(Tab(context, address))
        return made[-1]

    yield go
    for context in contexts:
        context.close()
    assert [one.troubles for one in made if one.troubles] == []


def find(screen: Any, picture: Any) -> list[tuple[int, int]]:
    """Return where on the screen a picture stands, pixel for pixel: left and top of each place."""
    height, width = picture.shape[:2]
    first = np.all(screen[: screen.shape[0] - height + 1, : screen.shape[1] - width + 1] == picture[0, 0], axis=2)
    return [
        (int(x), int(y))
        for y, x in np.argwhere(first)
        if np.array_equal(screen[y : y + height, x : x + width], picture)
    ]


# --- what is seen ---


WINDOWS: dict[str, dict[str, Any]] = {
    "1": {},
    "1 odd": {"window": "1011,863"},
    "2": {"ratio": 2, "window": "1280,900"},
    "2 odd": {"ratio": 2, "window": "1011,863"},
    "1.1 odd": {"ratio": 1.1, "window": "1011,863"},
    "1.5 odd": {"ratio": 1.5, "window": "1011,863"},
    "3 narrow": {"ratio": 3, "window": "502,901"},
}


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("presentation", ["side-by-side", "in-turns"])
def test_every_pixel_of_the_screen_is_the_pictures(
    desk: Callable[..., Desk], tab: Callable[..., Tab], presentation: str, window: str
) -> None:
    here = desk(presentation=presentation, width=121, height=93, blank_ms=30)
    one = tab(here.link(), **WINDOWS[window])
    one.page.evaluate("document.documentElement.style.overflowY = 'scroll'")  # a scroll bar of an odd width
    one.begin()
    pictures = here.shown(0)
    if presentation == "side-by-side":
        one.shown()
        screen = one.screenshot()
        places = [find(screen, picture) for picture in pictures]
        assert [len(place) for place in places] == [1, 1]
        (left, top), (right, low) = places[0][0], places[1][0]
        assert (low, right > left + 121) == (top, True)
        beside = screen[top : top + 93, left - 8 : left]
        assert np.all(beside == here.study.background), "the study's grey around them"
    else:
        met = []
        for place, picture in enumerate(pictures):
            one.until(f"document.querySelectorAll('#stage img')[{place}]?.classList.contains('shown')")
            assert one.page.evaluate("trial.open") == (place == 1), "no answer before both were visible"
            screen = one.screenshot()
            met += find(screen, picture)
            assert find(screen, pictures[1 - place]) == []
            one.page.keyboard.press(" ")
        assert len(met) == 2
        assert met[0] == met[1], "in the same place"


@pytest.mark.parametrize("zoom", [2, 3])
def test_a_pixel_is_a_square_of_the_screens(desk: Callable[..., Desk], tab: Callable[..., Tab], zoom: int) -> None:
    here = desk(zoom=zoom, width=61, height=33, background=40)
    one = tab(here.link(), ratio=2, window="1011,863")
    one.begin()
    one.shown()
    screen = one.screenshot()
    for picture in here.shown(0):
        assert len(find(screen, picture.repeat(zoom, axis=0).repeat(zoom, axis=1))) == 1


def test_pictures_are_covered_and_put_right_when_the_window_changes(
    desk: Callable[..., Desk], tab: Callable[..., Tab]
) -> None:
    here = desk(width=121, height=93)
    one = tab(here.link())
    one.begin()
    one.shown()
    first = one.page.evaluate("trial.run")
    one.page.set_viewport_size({"width": 1013, "height": 767})
    one.until(f"trial.run > {first}")
    one.shown()
    screen = one.screenshot()
    assert [len(find(screen, picture)) for picture in here.shown(0)] == [1, 1]
    began = time.time()
    one.answer()
    assert [gap["why"] for gap in here.of("gap")] == ["resized"]
    assert here.answers()[0]["shown_at"] > here.of("gap")[0]["ended"] - 1, "its clock is that of the last showing"
    assert here.answers()[0]["shown_at"] < began * 1000


def test_pictures_that_do_not_fit_are_never_made_smaller(desk: Callable[..., Desk], tab: Callable[..., Tab]) -> None:
    here = desk(width=400, height=300)
    one = tab(here.link(), viewport={"width": 700, "height": 600}, screen={"width": 1280, "height": 1000})
    one.calibrate()
    one.at("ready")
    assert "The pictures need 816 × 324 pixels of the screen" in one.text("ready-room")
    one.page.click("#begin")
    one.at("paused")
    assert "The pictures need 816 × 300 pixels of the screen" in one.text("paused-text")
    assert "Make the window larger" in one.text("paused-text")
    one.page.click("#go-on")
    one.at("paused")
    one.page.set_viewport_size({"width": 1000, "height": 700})
    one.until("document.getElementById('paused-text').textContent.includes('right now')")
    one.page.click("#go-on")
    one.shown()
    assert [len(find(one.screenshot(), picture)) for picture in here.shown(0)] == [1, 1]


def test_the_checker_is_drawn_on_pixels_of_the_screen(desk: Callable[..., Desk], tab: Callable[..., Tab]) -> None:
    one = tab(desk().link(), ratio=2, window="1011,863")
    one.at("card")
    one.page.click("#card-done")
    one.at("checker")
    rows = np.indices((64, 64)).sum(axis=0) % 2 * 255
    board = np.repeat(rows[:, :, None], 3, axis=2).astype(np.uint8)
    assert find(one.screenshot(), board)


# --- what is measured ---


@pytest.mark.parametrize("after", [220, 500])
def test_reaction_times_are_within_20_ms(desk: Callable[..., Desk], tab: Callable[..., Tab], after: int) -> None:
    here = desk(trials=4, blank_ms=1500)  # time enough to begin to watch
    one = tab(here.link())
    one.begin()
    one.answer()
    given = []
    for _ in range(2):
        given.append(one.page.evaluate(PRESS, ["n", after]))
        one.until(f"trial.presented.id === 'p01-{len(given) + 1}' && !trial.open")
    sent = [answer["reaction_time_ms"] for answer in here.answers()[1:]]
    assert [answer["value"] for answer in here.answers()] == ["yes", "no", "no"]
    assert all(abs(one - other) < 20 for one, other in zip(given, sent, strict=True)), (given, sent)


@pytest.mark.parametrize("presentation", ["side-by-side", "in-turns", "flicker"])
def test_pictures_are_visible_for_as_long_as_they_are_to_be(
    desk: Callable[..., Desk], tab: Callable[..., Tab], presentation: str
) -> None:
    here = desk(presentation=presentation, show_ms=300, blank_ms=200, flicker_hz=10, trials=3)
    one = tab(here.link())
    one.begin()
    one.shown()
    one.page.evaluate(WATCH)
    one.page.wait_for_timeout(800)
    one.answer()
    one.shown()
    one.page.wait_for_timeout(600)
    assert one.page.evaluate("document.querySelector('#stage img.shown')") is None, "they are covered before the answer"
    one.answer()
    answer = here.answers()[1]
    seen = [(at, now) for at, now in one.page.evaluate("window.seen") if now]
    spans = [
        (now, later - at) for (at, now), (later, _) in itertools.pairwise(seen) if "1" in now
    ]  # by the document itself
    frame = max(answer["frame_ms"], one.page.evaluate("window.longest"))
    if presentation == "side-by-side":
        assert [now for now, _ in spans[-1:]] == ["11"]
        assert abs(spans[-1][1] - 300) < frame + 4
        assert abs(answer["ms_shown"] - 300) <= frame
    elif presentation == "in-turns":
        assert [now for now, _ in spans[-2:]] == ["10", "01"]
        assert all(abs(long - 300) < frame + 4 for _, long in spans[-2:])
        blank = seen[[now for _, now in seen].index("01")][0] - seen[[now for _, now in seen].index("01") - 1][0]
        assert abs(blank - 200) < frame + 4
        assert abs(answer["ms_shown"] - 600) <= 2 * frame
    else:
        assert [now for now, _ in spans[-3:]] == ["10", "01", "10"]
        assert all(abs(long - 100) < frame + 4 for _, long in spans[-3:])
        assert abs(answer["ms_shown"] - 300) <= frame
    assert 0 < answer["frames"] * answer["frame_ms"] < answer["ms_shown"] + 2 * frame
    assert 4 < answer["frame_ms"] < 40


def test_no_answer_is_taken_before_all_pictures_were_visible(
    desk: Callable[..., Desk], tab: Callable[..., Tab]
) -> None:
    here = desk(presentation="in-turns", show_ms=400, blank_ms=200)
    one = tab(here.link())
    one.begin()
    one.until("document.querySelectorAll('#stage img')[0]?.classList.contains('shown')")
    one.page.keyboard.press("y")
    one.page.click("#answers button >> nth=0", force=True)
    assert one.page.get_attribute("#answers button >> nth=0", "aria-disabled") == "true"
    one.shown()
    assert here.answers() == []
    one.answer("n")
    assert [answer["value"] for answer in here.answers()] == ["no"]


def test_what_is_said_of_the_screen(desk: Callable[..., Desk], tab: Callable[..., Tab]) -> None:
    here = desk()
    one = tab(here.link(), device_scale_factor=2, screen={"width": 1300, "height": 950})
    one.at("card")
    one.page.fill("#size", "856")
    for key in ("+", "+", "-"):
        one.page.keyboard.press(key)
    assert one.page.evaluate("document.getElementById('outline').getBoundingClientRect().width") == 857 / 2
    box = one.page.locator("#handle").bounding_box()
    one.page.mouse.move(box["x"] + 10, box["y"] + 10)
    one.page.mouse.down()
    one.page.mouse.move(box["x"] + 31, box["y"] + 40)
    one.page.mouse.up()
    assert one.page.input_value("#size") == str(857 + 42)
    one.page.click("#ruler")
    one.page.fill("#size", "1000")
    assert "100.0 pixels" in one.text("card-told")
    assert "60 cm away" in one.text("card-distance")
    one.page.click("#card-done")
    one.page.click("#checker-done")
    one.at("gamma")
    one.page.fill("#grey", "186")
    one.page.click("#gamma-done")
    one.at("ready")
    said = here.of("screen")[0]["screen"]
    assert abs(said.pop("refresh_hz") - 60) < 30
    assert said == {
        "pixels_per_cm": 100, "distance_cm": 60, "ratio": 2, "width": 2600, "height": 1900, "gamma": 2.197, "depth": 24,
        "gamut": "srgb", "hdr": False, "checker": True, "touch": False,
    }  # fmt: skip


def test_gamma_may_be_skipped_and_stripes_are_not_waved_through(
    desk: Callable[..., Desk], tab: Callable[..., Tab]
) -> None:
    here = desk()
    one = tab(here.link())
    one.at("card")
    one.page.click("#card-done")
    one.at("checker")
    one.page.click("#checker-bad")
    one.at("checker")
    assert "press 0" in one.text("checker-help")
    assert here.of("screen") == []
    one.page.click("#checker-done")
    one.at("gamma")
    one.page.click("#gamma-skip")
    one.at("ready")
    assert here.of("screen")[0]["screen"]["gamma"] is None


# --- whole sittings ---


def keyboard(one: Tab, to: str) -> None:
    """Go to a control with the tabulator alone."""
    for _ in range(12):
        one.page.keyboard.press("Tab")
        if one.page.evaluate(f"document.activeElement.id === '{to}'"):
            return
    raise AssertionError(f"#{to} cannot be reached: {one.page.evaluate('document.activeElement.outerHTML')}")


def test_with_the_keyboard_alone(desk: Callable[..., Desk], tab: Callable[..., Tab]) -> None:
    here = desk(practice=1, trials=5, forms=FORMS, confidence=("guessed", "sure"), break_every=2)
    one = tab(here.invitation)
    one.at("invitation")
    keyboard(one, "agreed")
    one.page.keyboard.press("Space")
    keyboard(one, "alias")
    one.page.keyboard.type("p01")
    one.page.keyboard.press("Enter")
    one.page.wait_for_url(here.address("p01"))
    one.at("card")
    keyboard(one, "size")
    one.page.keyboard.press("ArrowRight")
    for section, button in {**STEPS, "gamma": "gamma-done"}.items():
        one.at(section)
        keyboard(one, button)
        one.page.keyboard.press("Enter")
    for keys in ("y", "2", "cell", "12.5", "a word", "n"):
        one.at("trial")
        one.shown()
        if keys == "cell":
            one.page.keyboard.press("Tab")
            for key in ("ArrowDown", "ArrowRight", " "):
                one.page.keyboard.press(key)
        elif len(keys) > 1:
            one.page.keyboard.type(keys)
            one.page.keyboard.press("Enter")
        else:
            one.page.keyboard.press(keys)
        one.until("document.getElementById('question').textContent === 'How sure are you?' && trial.steps !== null")
        one.page.keyboard.press("2")
        if keys == "y":
            one.until("document.getElementById('question').textContent.includes('Right')")
            one.page.keyboard.press("Space")
            one.at("practised")
            keyboard(one, "practised-over")
            one.page.keyboard.press("Enter")
        elif keys in ("cell", "a word"):
            one.at("break")
            keyboard(one, "break-over")
            one.page.keyboard.press("Enter")
    one.at("done")
    assert [answer["value"] for answer in here.answers()] == ["yes", "2", "2,2", "12.5", "a word", "no"]
    assert {answer["confidence"] for answer in here.answers()} == {1}
    assert "Thank you very much." in one.text("thanks")


def test_with_fingers_alone(desk: Callable[..., Desk], tab: Callable[..., Tab]) -> None:
    here = desk(practice=1, trials=3, forms=FORMS[:3], presentation="in-turns", confidence=("guessed", "sure"))
    one = tab(here.invitation, **PHONE)
    one.at("invitation")
    one.page.tap("#agreed")
    one.page.tap("#alias")
    one.page.keyboard.type("p01")
    one.page.tap("#join button")
    one.page.wait_for_url(here.address("p01"))
    for section, button in STEPS.items():
        one.at(section)
        one.page.tap(f"#{button}")
    for value in ("no", "1", "1,3", "yes"):
        one.at("trial")
        one.until("document.querySelector('#turn-next') && document.querySelector('#stage img.shown')")
        one.page.tap("#turn-next")
        one.shown()
        now = one.page.evaluate("document.querySelectorAll('#stage img')[1].classList.contains('shown')")
        assert now, "an answer is taken once the second is visible"
        one.page.tap(f"#answers [data-value='{value}']")
        one.until("document.getElementById('question').textContent === 'How sure are you?' && trial.steps !== null")
        one.page.tap("#answers [data-value='0']")
        if value == "no":
            one.until("document.getElementById('question').textContent.includes('Not right')")
            assert "These two do differ." in one.text("hint")
            one.page.tap("#answers [data-value=next]")
            one.at("practised")
            one.page.tap("#practised-over")
    one.at("done")
    assert [answer["value"] for answer in here.answers()] == ["no", "1", "1,3", "yes"]
    assert here.of("screen")[0]["screen"]["touch"] is True


def test_several_sittings(desk: Callable[..., Desk], tab: Callable[..., Tab]) -> None:
    here = desk(trials=5, stop_after=3)
    one = tab(here.link())
    one.begin()
    one.answer()
    one.page.click("#stop")
    one.at("stopping")
    one.page.click("#stop-no")
    one.answer()
    one.page.click("#stop")
    one.at("stopping")
    one.page.click("#stop-yes")
    one.at("rest")
    assert "2 of about 5 answered" in one.text("rest-far")
    assert "sitting 1 of at most 3" in one.text("rest-far")
    one.page.click("#rest-over")
    one.at("checker")
    assert one.page.is_visible("#checker-again")
    one.begin()
    one.answer()
    one.at("rest")
    one.forgives = True  # the server refuses its next beat, which Chromium writes down
    again = tab(here.link(), beside=one)
    again.begin()
    assert "3 of about 5" in again.text("count")
    again.answer()
    again.answer()
    again.at("done")
    assert len({answer["id"] for answer in here.answers()}) == 5


# --- what goes wrong ---


def test_a_page_that_is_loaded_again_goes_on(desk: Callable[..., Desk], tab: Callable[..., Tab]) -> None:
    here = desk(trials=4)
    one = tab(here.link())
    one.begin()
    one.answer()
    one.shown()
    one.page.reload()
    one.at("checker")
    assert not one.page.is_visible("#notice"), "it took over from nobody but itself"
    one.begin()
    for _ in range(3):
        one.answer()
    one.at("done")
    assert here.arrived == {f"p01-{number}": 1 for number in range(4)}


def test_a_page_that_is_loaded_again_between_answer_and_confidence(
    desk: Callable[..., Desk], tab: Callable[..., Tab]
) -> None:
    here = desk(trials=2, confidence=("guessed", "sure"))
    one = tab(here.link())
    one.begin()
    one.answer("n")
    one.until("trial.steps !== null")
    one.page.reload()
    one.begin()
    one.answer("y")
    one.page.keyboard.press("1")
    one.at("done")
    assert [(answer["value"], answer["confidence"]) for answer in here.answers()] == [("no", None), ("yes", 0)]


def test_a_server_that_is_killed_loses_no_answer_and_takes_none_twice(
    desk: Callable[..., Desk], tab: Callable[..., Tab]
) -> None:
    here = desk(trials=5)
    one = tab(here.link())
    one.forgives = True
    one.begin()
    one.answer()
    one.shown()
    here.kill()
    one.page.keyboard.press("n")
    one.page.wait_for_selector("#waiting:not([hidden])")
    assert one.text("waiting") == "Waiting for the server. Your answer is kept."
    here.start()
    one.until("document.getElementById('waiting').hidden")
    here.losing = 1  # it arrives, and the reply is lost
    one.answer()
    one.until("document.getElementById('waiting').hidden")
    one.shown()
    here.kill()
    one.page.keyboard.press("n")
    one.page.wait_for_selector("#waiting:not([hidden])")
    here.start()
    one.until("document.getElementById('waiting').hidden")
    one.answer()
    one.at("done")
    assert [answer["value"] for answer in here.answers()] == ["yes", "no", "yes", "no", "yes"]
    assert [answer["id"] for answer in here.answers()] == [f"p01-{number}" for number in range(5)]
    assert here.arrived["p01-2"] == 2, "once more, because the reply was lost"


def test_an_answer_outlives_a_reload_while_the_server_is_away(
    desk: Callable[..., Desk], tab: Callable[..., Tab]
) -> None:
    here = desk(trials=2)
    one = tab(here.link())
    one.forgives = True
    one.begin()
    one.shown()
    one.page.route("**/answer", lambda route: route.abort())
    one.page.keyboard.press("n")
    one.page.wait_for_selector("#waiting:not([hidden])")
    assert here.answers() == []
    one.page.unroute("**/answer")
    one.page.reload()
    one.begin()
    assert [answer["value"] for answer in here.answers()] == ["no"]
    one.answer()
    one.at("done")
    assert [answer["id"] for answer in here.answers()] == ["p01-0", "p01-1"]


@pytest.mark.parametrize(
    ("reply", "says"),
    [({"status": 500, "content_type": "text/plain", "body": "500"}, "The server met with a fault."),
     ({"status": 503, "content_type": "application/json", "body": '{"error": "closed", "text": "disk full"}'},
      "disk full")],
)  # fmt: skip
def test_a_fault_of_the_server_is_said_and_the_answer_outlives_it(
    desk: Callable[..., Desk], tab: Callable[..., Tab], reply: dict[str, Any], says: str
) -> None:
    here = desk(trials=2)
    one = tab(here.link())
    one.forgives = True
    one.begin()
    one.shown()
    one.page.route("**/answer", lambda route: route.fulfill(**reply))
    one.page.keyboard.press("n")
    one.at("problem")
    assert says in one.text("problem-text")
    one.page.reload()
    one.calibrate()
    one.at("ready")
    one.page.click("#begin")
    one.at("problem")  # as the fault is still there
    one.page.unroute("**/answer")
    one.page.reload()
    one.begin()
    one.answer()
    one.at("done")
    assert [(answer["id"], answer["value"]) for answer in here.answers()] == [("p01-0", "no"), ("p01-1", "yes")]


def test_the_later_tab_takes_over_and_both_say_so(desk: Callable[..., Desk], tab: Callable[..., Tab]) -> None:
    here = desk(trials=2)
    one = tab(here.link())
    one.forgives = True
    one.begin()
    one.shown()
    two = tab(here.link(), beside=one)
    two.at("checker")
    assert "goes on here; the other one has stopped" in two.text("notice")
    one.at("taken", seconds=12)
    assert "took over" in one.text("taken")
    two.begin()
    two.answer()
    one.page.bring_to_front()
    one.page.click("#take-back")
    one.at("checker")
    assert "goes on here" in one.text("notice")
    two.forgives = True
    one.begin()
    one.answer()
    one.at("done")
    assert [answer["id"] for answer in here.answers()] == ["p01-0", "p01-1"]


HIDE = """(hidden) => {
  Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}"""  # headless tabs are never hidden


def test_a_hidden_tab_is_a_gap_and_the_question_begins_again(
    desk: Callable[..., Desk], tab: Callable[..., Tab]
) -> None:
    here = desk(trials=2)
    one = tab(here.link())
    one.begin()
    one.shown()
    one.page.evaluate(HIDE, True)
    one.at("paused")
    assert one.page.evaluate("document.querySelector('#stage img.shown')") is None
    one.page.keyboard.press("y")
    one.page.wait_for_timeout(700)
    one.page.evaluate(HIDE, False)
    back = time.time() * 1000
    assert "begins again" in one.text("paused-text")
    one.page.click("#go-on")
    one.answer()
    [gap] = here.of("gap")
    assert gap["why"] == "hidden"
    assert 600 < gap["ended"] - gap["began"] < 5000
    assert any(beat["hidden"] for beat in here.of("beat"))
    assert here.answers()[0]["shown_at"] > back, "only the last showing's times are sent"
    assert here.answers()[0]["ms_shown"] < 5000
    assert len(here.answers()) == 1


def test_a_laptop_that_was_closed_is_a_gap(desk: Callable[..., Desk], tab: Callable[..., Tab]) -> None:
    here = desk(trials=2)
    one = tab(here.link())
    one.begin()
    one.shown()
    one.page.evaluate("{ const end = performance.now() + 3300; while (performance.now() < end); }")  # no frame comes
    one.at("paused")
    assert "asleep" in one.text("paused-text")
    one.page.click("#go-on")
    one.answer()
    [gap] = here.of("gap")
    assert gap["why"] == "asleep"
    assert 3000 < gap["ended"] - gap["began"] < 6000
    assert here.answers()[0]["reaction_time_ms"] < 3000


def test_another_zoom_is_said_and_never_shown(desk: Callable[..., Desk], tab: Callable[..., Tab]) -> None:
    here = desk(trials=1)
    one = tab(here.link())
    one.begin()
    one.shown()
    protocol = one.page.context.new_cdp_session(one.page)
    device = {"width": 1280, "height": 900, "mobile": False}
    protocol.send("Emulation.setDeviceMetricsOverride", {**device, "deviceScaleFactor": 1.1})
    one.at("paused")
    assert "hold Ctrl" in one.text("paused-text")
    assert one.page.is_visible("#check-again")
    one.page.click("#check-again")
    one.at("checker")
    assert "was measured" in one.text("checker-ratio")
    one.page.click("#checker-done")
    one.at("card")
    assert "another screen" in one.text("notice")
    protocol.send("Emulation.setDeviceMetricsOverride", {**device, "deviceScaleFactor": 1})
    one.page.click("#card-done")
    one.at("checker")
    one.page.click("#checker-done")
    one.at("gamma")
    one.page.click("#gamma-skip")
    one.at("trial")
    one.answer()
    one.at("done")
    one.troubles = [text for text in one.troubles if "409" not in text]


def test_hostile_texts_stay_text(desk: Callable[..., Desk], tab: Callable[..., Tab]) -> None:
    bad = "<img src=x onerror=alert(1)><script>alert(2)</script>\u202e&lt;b&gt;"
    here = desk(
        title=bad, consent=f"{bad}\n\n{bad}", instructions=bad, thanks=bad, text=bad, trials=1, confidence=(bad,),
        forms=({"kind": "buttons", "options": [{"value": bad, "label": bad, "key": "y"}]},),
    )  # fmt: skip
    one = tab(here.invitation)
    one.at("invitation")
    assert one.text("invitation-title") == bad
    assert one.page.locator("#consent p").all_inner_texts() == [bad, bad]
    one.page.check("#agreed")
    one.page.fill("#alias", bad)
    one.page.click("#join button")
    assert "cannot be an alias" in one.text("alias-wrong")
    one.page.fill("#alias", "p01")
    one.page.click("#join button")
    one.page.wait_for_url(here.address("p01"))
    one.calibrate()
    one.at("ready")
    assert one.text("instructions") == bad
    one.page.click("#begin")
    one.shown()
    assert one.text("question") == bad
    one.answer()
    assert bad in one.text("answers")
    one.page.keyboard.press("1")
    one.at("done")
    assert one.text("thanks") == bad
    assert here.answers()[0]["value"] == bad
    assert one.page.locator("main img, main script").count() == 0


def test_an_alias_that_is_taken_and_a_box_that_is_not_ticked(
    desk: Callable[..., Desk], tab: Callable[..., Tab]
) -> None:
    here = desk()
    here.link("p01")
    one = tab(here.invitation)
    one.forgives = True  # Chromium notes the refusal
    one.at("invitation")
    one.page.fill("#alias", "p01")
    one.page.click("#join button")
    assert "Tick this box" in one.text("agreed-wrong")
    assert here.of("join") == []
    one.page.check("#agreed")
    one.page.click("#join button")
    one.until("document.getElementById('alias-wrong').textContent.includes('is taken')")
    assert one.page.evaluate("document.activeElement.id") == "alias"
    one.page.fill("#alias", "p02")
    one.page.click("#join button")
    one.page.wait_for_url(here.address("p02"))
    one.at("card")
    assert one.page.url == here.link("p02")


def test_what_the_server_refuses_is_said(desk: Callable[..., Desk], tab: Callable[..., Tab]) -> None:
    here = desk()
    here.refuses["open"] = ("closed", "This study has ended.")
    one = tab(here.link())
    one.forgives = True
    one.at("problem")
    assert one.text("problem-text") == "This study has ended."


def test_an_answer_that_cannot_be_used_is_asked_for_again(desk: Callable[..., Desk], tab: Callable[..., Tab]) -> None:
    here = desk(trials=1, forms=({"kind": "number"},))
    here.refuses["answer"] = ("invalid", "Give a number from 1 to 10.")
    one = tab(here.link())
    one.forgives = True
    one.begin()
    one.shown()
    one.page.keyboard.type("many")
    one.page.keyboard.press("Enter")
    one.until("document.getElementById('hint').textContent.includes('Type a number')")
    one.page.fill("#typed", "99")
    one.page.keyboard.press("Enter")
    one.until("document.getElementById('hint').textContent === 'Give a number from 1 to 10.'")
    del here.refuses["answer"]
    one.page.keyboard.press("Space")
    one.shown()
    one.page.fill("#typed", "9")
    one.page.keyboard.press("Enter")
    one.at("done")
    assert [answer["value"] for answer in here.answers()] == ["9"]


def test_a_question_that_is_not_ready_is_waited_for(desk: Callable[..., Desk], tab: Callable[..., Tab]) -> None:
    here = desk(trials=1)
    here.waits = 3
    one = tab(here.link())
    one.begin()
    one.answer()
    one.at("done")
    assert len(here.of("next")) == 4


# --- for everybody ---


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1024, "dark"), (390, "light")])
def test_axe_finds_nothing_and_nothing_juts_out(
    desk: Callable[..., Desk], tab: Callable[..., Tab], width: int, scheme: str
) -> None:
    here = desk(
        practice=1, trials=6, forms=FORMS, confidence=("guessed", "sure"), break_every=1, stop_after=5,
        presentation="in-turns", text="Do they differ?\n" + "Look at all of it. " * 60,
    )  # fmt: skip
    settings: dict[str, Any] = PHONE if width == 390 else {"viewport": {"width": width, "height": 900}}
    one = tab(here.invitation, color_scheme=scheme, bypass_csp=True, **settings)
    met = set()

    def look(*names: str) -> None:
        met.add(one.at(*names))
        assert (one.where, one.axe()) == (one.where, [])
        assert one.page.evaluate("document.documentElement.scrollWidth") <= width
        assert one.page.evaluate("document.querySelectorAll('h1:not([hidden] *)').length") == 1

    look("invitation")
    one.page.click("#join button")
    look("invitation")
    one.page.check("#agreed")
    one.page.fill("#alias", "p01")
    one.page.click("#join button")
    one.page.wait_for_url(here.address("p01"))
    look("card")
    one.page.click("#ruler")
    look("card")
    one.page.click("#card-done")
    look("checker")
    one.page.click("#checker-bad")
    look("checker")
    one.page.click("#checker-done")
    look("gamma")
    one.page.click("#gamma-done")
    look("ready")
    one.page.click("#begin")
    one.at("trial")
    one.until("document.querySelector('#stage img.shown')")
    look("trial")
    one.page.click("#stop")
    look("stopping")
    one.page.click("#stop-no")
    for number, value in enumerate(("yes", "1", "1,2", "3", "word", "no")):
        one.until("document.querySelector('#turn-next') && document.querySelector('#stage img.shown')")
        one.page.click("#turn-next")
        one.shown()
        look("trial")
        if number == 1:
            one.page.evaluate(HIDE, True)
            one.page.evaluate(HIDE, False)
            look("paused")
            one.page.click("#go-on")
            one.until("document.querySelector('#stage img.shown')")
            one.page.click("#turn-next")
            one.shown()
        if number in (3, 4):
            one.page.fill("#typed", value)
            one.page.click("#answers [type=submit]")
        else:
            one.page.click(f"#answers [data-value='{value}']")
        one.until("trial.steps !== null")
        look("trial")
        one.page.click("#answers [data-value='0']")
        if number == 0:
            one.until("document.getElementById('question').textContent.includes('Right')")
            look("trial")
            one.page.click("#answers [data-value=next]")
            look("practised")
            one.page.click("#practised-over")
        elif number < 5:
            look("break")
            one.page.click("#break-over")
    look("rest")
    one.page.click("#rest-over")
    look("checker")
    one.forgives = True
    two = tab(here.link(), beside=one)
    one.until("over", seconds=12)
    look("taken")
    two.calibrate()
    two.at("ready")
    two.page.click("#begin")
    two.at("break")
    two.page.click("#break-over")
    two.until("document.querySelector('#stage img.shown')")
    two.page.click("#turn-next")
    two.answer("1")
    two.page.keyboard.press("1")
    two.at("done")
    assert two.axe() == []
    sections = set(one.page.evaluate("[...document.querySelectorAll('main > section')].map((one) => one.id)"))
    assert sections - met == {"loading", "problem", "done"}


@pytest.mark.parametrize(("hz", "warned"), [(2.0, False), (3.0, False), (4.0, True)])
def test_flicker_is_said_beforehand(
    desk: Callable[..., Desk], tab: Callable[..., Tab], hz: float, warned: bool
) -> None:
    one = tab(desk(presentation="flicker", flicker_hz=hz).link())
    one.calibrate()
    one.at("ready")
    assert "The pictures flicker" in one.text("flickers")
    assert ("seizure" in one.text("flickers")) == warned
