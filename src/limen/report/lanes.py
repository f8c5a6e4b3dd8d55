"""The lane of one series: its answers level by level, drawn as SVG without a chart library.

A page holds one or two lanes for each distortion and observer, most of its figures: drawn here they take microseconds
each, and every level tells what was answered where a pointer rests on it.
"""

import html
import math
from collections.abc import Iterable, Iterator, Sequence

from limen.analysis import Outcome, Response, units
from limen.parsing.yes_no import Flag
from limen.report.figures import FONT, GRID, MUTED, NARROW, PAPER, WIDE, colour, legible, on_page
from limen.report.format import ordinal
from limen.threshold import Threshold

_HEIGHT = 98  # px, of the whole drawing
_RIGHT, _TOP = 11, 6  # px around the plot: room for half of the last number, for a diamond
_LEFT, _LETTER = 35, 6.6  # likewise at the left, at least, and for each letter of what is said there
_NO, _YES = 46.0, 15.33  # px below the plot's upper edge
_AXIS = 54.5  # likewise


def both(
    outcome: Outcome, position: int, strengths: Sequence[float], unit: str, words: tuple[str, str], label: str
) -> dict[str, str]:
    """Draw a lane for wide and for narrow pages.

    Args:
        outcome: of one series.
        position: of the observer among those drawn, >= 0: its colour.
        strengths: of the levels, from level 1.
        unit: of the strengths.
        words: what is said where nothing and where something is noticed (`limen.question.Question.verdicts`).
        label: what the figure shows, for those who do not see it.
    """

    def draw(width: int) -> str:
        return lane(outcome, position, strengths, unit, words, width, label)

    return {"wide": draw(WIDE), "narrow": draw(NARROW), "label": label}


def lane(
    outcome: Outcome, position: int, strengths: Sequence[float], unit: str, words: tuple[str, str], width: int,
    label: str,
) -> str:  # fmt: skip
    """Draw what was noticed at each level asked, and what was not, with every JND marked and numbered.

    Args:
        outcome: of one series.
        position: of the observer among those drawn, >= 0: its colour.
        strengths: of the levels, from level 1.
        unit: of the strengths.
        words: what is said where nothing and where something is noticed (`limen.question.Question.verdicts`).
        width: of the page, in px.
        label: what the figure shows, for those who do not see it.

    Returns:
        An `<svg>` element; texts in it are escaped.
    """
    left = max(_LEFT, 3 + math.ceil(_LETTER * max(map(len, words))))
    levels, length = len(strengths), width - left - _RIGHT
    step = length / (levels + 0.5)  # px from level to level
    jnds = {jnd.level: jnd for jnd in outcome.thresholds if not jnd.censored}
    numbered = _numbered(jnds.values(), room=15 / step)
    shade = on_page(colour(position))
    answered = {response.probe.level: response for response in in_force(outcome)}
    marks = []
    for level in sorted(answered.keys() | jnds.keys()):
        response, jnd, x = answered.get(level), jnds.get(level), level * step
        said = _told(level, units.strength(strengths[level - 1], unit), response, jnd, words)
        # An area as wide as a level, for a pointer: a dot alone is hard to meet.
        area = f'<path d="M{x - step / 2:.2f},0h{step:.2f}v{_AXIS}h{-step:.2f}z" pointer-events="all"/>'
        drawn = _answer(x, response, shade) + (_jnd(x, jnd, shade, level in numbered) if jnd else "")
        marks.append(f"<g><title>{html.escape(legible(said))}</title>{area}{drawn}</g>")
    frame = _frame(length, levels, words, width > 500)
    return (
        f'<svg role="img" aria-label="{html.escape(legible(label))}" xmlns="http://www.w3.org/2000/svg" '
        f'width="{width}" height="{_HEIGHT}" viewBox="0 0 {width} {_HEIGHT}" font-family="{FONT}">'
        f'<g fill="none" transform="translate({left},{_TOP})">{frame}{"".join(marks)}'
        "</g></svg>"
    )


def in_force(outcome: Outcome) -> list[Response]:
    """Return the responses of one series level by level, each against the reference in force at its level.

    A level asked about twice, to confirm one JND and then to look for the next, is shown once: the second time.
    """
    steps = [threshold.level for threshold in outcome.thresholds if not threshold.censored]
    shown = []
    for response in outcome.responses:
        level = response.probe.level
        reference = max((step for step in steps if step < level), default=0)
        if level > response.probe.reference == reference and not response.probe.draw:
            shown.append(response)
    return sorted(shown, key=lambda response: response.probe.level)


def _told(
    level: int, strong: str, response: Response | None, jnd: Threshold | None, words: tuple[str, str]
) -> str:  # fmt: skip
    """Return what is told of a level where a pointer rests on it."""
    reference = response.probe.reference if response else 0
    beside = f", against level {reference}" if reference else ""
    found = f"the {ordinal(jnd.order)} JND{'' if jnd.confirmed else ' (unconfirmed)'}" if jnd else ""
    said = "" if response is None else _said(response, words)
    return f"level {level} ({strong}){beside}: {', '.join(filter(None, (said, found)))}"


def _said(response: Response, words: tuple[str, str]) -> str:
    if not response.asked:
        return "equal to its reference, not asked"
    flag = response.verdict.flag
    return "an answer that could not be read" if flag is Flag.UNREADABLE else words[flag is Flag.YES]


def _answer(x: float, response: Response | None, shade: str) -> str:
    if response is None:
        return ""
    if not response.asked or response.verdict.flag is Flag.UNREADABLE:
        return _text(x, _NO + 3, "×" if response.asked else "=", 10, fill=on_page(MUTED))
    if response.verdict.yes:
        return f'<path d="M{x:.2f},{_NO}V{_YES}" stroke="{shade}" stroke-width="2"/>'
    return f'<circle cx="{x:.2f}" cy="{_NO}" r="1.87" fill="{on_page(MUTED)}"/>'


def _jnd(x: float, jnd: Threshold, shade: str, numbered: bool) -> str:
    """Return a diamond, filled where it is confirmed, and its order above it where there is room."""
    fill = shade if jnd.confirmed else on_page(PAPER)
    outline = f"M{x - 4.18:.2f},{_YES}l4.18,-4.18l4.18,4.18l-4.18,4.18z"
    drawn = f'<path d="{outline}" fill="{fill}" stroke="{shade}" stroke-width="1.5"/>'
    return drawn + (_text(x, _YES - 8, f"{jnd.order}{'' if jnd.confirmed else '?'}", 10) if numbered else "")


def _numbered(jnds: Iterable[Threshold], room: float) -> set[int]:
    """Return levels of JNDs whose order is written: not where it would touch the one before. `room` is in levels."""
    last, levels = -math.inf, set[int]()
    for jnd in jnds:
        if jnd.level - last >= room:
            last = jnd.level
            levels.add(jnd.level)
    return levels


def _frame(length: float, levels: int, words: tuple[str, str], wide: bool) -> str:
    """Return the line of what was not noticed, the names of both answers and the axis of levels."""
    step = length / (levels + 0.5)
    ticks = list(_ticks(levels, 10 if wide else 5))
    lines = "".join(f"M{round(level * step) + 0.5},{_AXIS}v5" for level in ticks)
    return (
        f'<path d="M0,{_NO}H{length}" stroke="{on_page(GRID)}"/><path d="{lines}" stroke="{on_page(MUTED)}"/>'
        + "".join(_text(level * step + 0.5, _AXIS + 16, str(level), 12) for level in ticks)
        + _text(length / 2, _AXIS + 31, "level", 12)
        + _text(-1.5, _NO + 4.5, words[0], 12, anchor="end")
        + _text(-1.5, _YES + 4.5, words[1], 12, anchor="end")
    )


def _ticks(levels: int, count: int) -> Iterator[int]:
    """Yield about `count` round levels from 0 on."""
    steps = (round(10**power) * times for power in range(9) for times in (1, 2, 5))
    step = min(steps, key=lambda step: abs(math.log(levels / step / count)))
    yield from range(0, levels + 1, step)


def _text(x: float, y: float, text: str, size: int, fill: str = "currentColor", anchor: str = "middle") -> str:
    return f'<text x="{x:.2f}" y="{y:.2f}" font-size="{size}" fill="{fill}" text-anchor="{anchor}">{text}</text>'
