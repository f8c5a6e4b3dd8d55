"""Lanes: each level's latest answer, told where a pointer rests, for wide and for narrow pages."""

import re
from xml.etree import ElementTree

import pytest

from limen.analysis import Outcome, SeriesStatus
from limen.analysis.replay import Response
from limen.parsing.yes_no import Flag
from limen.procedure import Probe, Verdict
from limen.report import figures, lanes
from limen.store import SeriesRow
from limen.threshold import Threshold
from limen.trial import Trial

SVG = "{http://www.w3.org/2000/svg}"
STRENGTHS = tuple(0.2 * level for level in range(1, 13))


def response(reference: int, level: int, flag: Flag, asked: bool = True, draw: int = 0) -> Response:
    trial = Trial("o", "direct", "s", reference, level, draw, False, 0, "k")
    return Response(Probe(reference, level, draw), Verdict(flag), (trial,) if asked else ())


OUTCOME = Outcome(
    "o",
    "direct",
    SeriesRow("s", "blur", "blur", "a.png", "d", "d/0", 12),
    SeriesStatus.COMPLETE,
    (Threshold(1, 5, 1.0), Threshold(2, 6, 1.2, reference=5), Threshold(3, 11, 2.2, confirmed=False, reference=6)),
    (
        response(0, 1, Flag.NO, asked=False),
        response(0, 2, Flag.NO),
        response(0, 3, Flag.UNREADABLE),
        response(0, 5, Flag.YES),
        response(0, 6, Flag.YES),
        response(0, 2, Flag.YES, draw=1),
        response(5, 6, Flag.YES),
        response(6, 11, Flag.YES),
    ),
)


def drawn(width: int = figures.WIDE, label: str = "Answers") -> ElementTree.Element:
    unit = "px (sigma) at 640 px width"
    return ElementTree.fromstring(lanes.lane(OUTCOME, 0, STRENGTHS, unit, ("no", "yes"), width, label))


def told(lane: ElementTree.Element) -> list[str | None]:
    return [title.text for title in lane.iter(f"{SVG}title")]


def test_each_level_tells_what_was_answered() -> None:
    assert told(drawn()) == [
        "level 1 (0.2 px at 640 px wide): equal to its reference, not asked",
        "level 2 (0.4 px at 640 px wide): no",
        "level 3 (0.6 px at 640 px wide): an answer that could not be read",
        "level 5 (1 px at 640 px wide): yes, the 1st JND",
        "level 6 (1.2 px at 640 px wide), against level 5: yes, the 2nd JND",
        "level 11 (2.2 px at 640 px wide), against level 6: yes, the 3rd JND (unconfirmed)",
    ]
    assert told(drawn(figures.NARROW)) == told(drawn())


def test_each_level_tells_what_was_picked() -> None:
    lane = ElementTree.fromstring(lanes.lane(OUTCOME, 0, STRENGTHS, "px", ("wrong", "correct"), figures.WIDE, ""))
    assert [said for said in told(lane) if said and "px): " in said][1:] == [
        "level 2 (0.4 px): wrong", "level 3 (0.6 px): an answer that could not be read",
        "level 5 (1 px): correct, the 1st JND",
    ]  # fmt: skip
    words = {text.text: text for text in lane.iter(f"{SVG}text")}
    assert {"wrong", "correct"} <= words.keys()
    assert not {"yes", "no"} & words.keys()


def test_marks_lie_at_their_levels() -> None:
    step = (figures.WIDE - 46) / 12.5
    lane = drawn()
    dots = [float(dot.get("cx", "")) for dot in lane.iter(f"{SVG}circle")]
    assert dots == [pytest.approx(2 * step, abs=0.01)]
    lines = [path.get("d", "") for path in lane.iter(f"{SVG}path") if path.get("stroke-width") == "2"]
    assert [float(re.split("[M,]", line)[1]) for line in lines] == pytest.approx(
        [5 * step, 6 * step, 11 * step], abs=0.01
    )
    signs = {text.text: float(text.get("x", "")) for text in lane.iter(f"{SVG}text") if text.text in ("=", "×")}
    assert signs == pytest.approx({"=": step, "×": 3 * step}, abs=0.01)


def test_an_unconfirmed_jnd_is_open() -> None:
    fills = [path.get("fill") for path in drawn().iter(f"{SVG}path") if path.get("stroke-width") == "1.5"]
    colour = figures.on_page(figures.colour(0))
    assert fills == [colour, colour, figures.on_page(figures.PAPER)]


def test_an_order_that_would_touch_the_one_before_is_left_out() -> None:
    orders = {"1", "2", "3?"}

    def small(width: int) -> list[str | None]:
        return [
            text.text
            for text in drawn(width).iter(f"{SVG}text")
            if text.get("font-size") == "10" and text.text in orders
        ]

    assert small(figures.WIDE) == ["1", "2", "3?"]
    assert small(200) == ["1", "3?"]


@pytest.mark.parametrize(
    ("levels", "wide", "narrow"),
    [
        (1, [0, 1], [0, 1]),
        (4, [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]),
        (12, list(range(13)), [0, 2, 4, 6, 8, 10, 12]),
        (50, list(range(0, 51, 5)), list(range(0, 51, 10))),
        (100, list(range(0, 101, 10)), list(range(0, 101, 20))),
    ],
)
def test_the_axis_has_round_levels(levels: int, wide: list[int], narrow: list[int]) -> None:
    assert (list(lanes._ticks(levels, 10)), list(lanes._ticks(levels, 5))) == (wide, narrow)


def test_names_from_outside_are_escaped() -> None:
    label = '"><script>\x01\ud800'
    assert drawn(label=label).get("aria-label") == figures.legible(label)
    lane = lanes.lane(OUTCOME, 0, STRENGTHS, "<b>&", ("no", "yes"), figures.WIDE, label)
    assert "<b>" not in lane
    assert "<script>" not in lane


def test_a_jnd_without_an_answer_in_force_is_drawn() -> None:
    lane = ElementTree.fromstring(lanes.lane(
        Outcome("o", "direct", OUTCOME.series, SeriesStatus.COMPLETE, (Threshold(1, 4, 0.8),), ()),
        0, STRENGTHS, "px", ("no", "yes"), figures.WIDE, "",
    ))  # fmt: skip
    assert told(lane) == ["level 4 (0.8 px): the 1st JND"]
