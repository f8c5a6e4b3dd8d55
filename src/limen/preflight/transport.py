"""Do answers come, and do both pictures arrive, apart, in order, in their size?

Two kinds of evidence, and what each can show:

- *Numbers that the server gives* (prompt tokens, p(yes)) do not depend on the model's skill: they can show a fault.
  Prompt tokens are compared only between questions of the same text.
- *Answers* show a fault only where no lack of skill can explain them (two colours named, both right, in reverse).
  Otherwise a right answer shows that what it needs has arrived, and a wrong one shows nothing.

What neither decides is not known. The rules are ours.
"""

from collections import Counter

from limen.parsing.yes_no import spoken
from limen.preflight import questions, replies
from limen.preflight.evidence import CheckResult, CheckStatus, Evidence, Stage

ROUNDING = 8  # tokens: a server may round what a picture costs
SMALLEST_TOWER = 224  # pixels a side: the smallest input of CLIP and SigLIP
UNROUNDED = (0.001, 0.999)  # outside, a chance may be rounded, and equal for that
LONGER = "Raise max_tokens, or switch the model's thought off by extra (docs/howto/endpoint.md: how, by service)"
REMEDIES = {
    "cut-off": LONGER,
    "thought": LONGER,
    "out-of-memory": "Use a smaller model, a larger device, or smaller pictures",
}
REMEDY = (
    "Change what it names (max_tokens to fit the server's context, the size or the encoding of pictures), or the model"
)


def _result(check: str, status: CheckStatus, seen: str, mark: str = "", change: str = "") -> CheckResult:
    return CheckResult(check, Stage.TRANSPORT, status, seen, mark, change)


def answers(evidence: Evidence) -> CheckResult | None:
    """Judge whether questions about two pictures are answered; nothing to judge where none failed for good."""
    check = "answers"
    failed = [name for name in evidence.failed if name not in questions.ODD]
    asked = sum(name not in questions.ODD for name in evidence.answers)
    if failed or len(evidence.failed) >= questions.ENOUGH:
        ((kind, detail), _), *_ = Counter((one.outcome, one.detail) for one in evidence.failed.values()).most_common()
        what = "questions about two pictures or more"
        seen = f"{len(failed)} of {asked} {what} fail for good, as {kind}: {detail.rstrip('.')}"
        measured = any(name.startswith(questions.MEASURED) for name in failed)
        if measured or len(evidence.failed) >= questions.ENOUGH or len(failed) == asked:
            return _result(check, CheckStatus.FAILED, seen, change=REMEDIES.get(kind, REMEDY))
        return _result(check, CheckStatus.FINDING, seen, f"does not answer {len(failed)} of {asked} questions ({kind})")
    given = evidence.given(f"{what}-{name}" for name in questions.WORDINGS for what in ("plain", "same"))
    if given and all(one.finish == "length" and not spoken(one.text).strip() for one in given):
        seen = f"{len(given)} of {len(given)} were cut off before a word of the answer: their length went into thought"
        return _result(check, CheckStatus.FAILED, seen, change=LONGER)
    return None


def _costs(evidence: Evidence) -> tuple[int | None, int | None, int | None, int | None]:
    """Return the prompt tokens with 0, 1, 2 and 3 pictures."""
    none, one, two, three = (evidence.tokens(f"count-{count}") for count in range(4))
    return none, one, two, three


def _sizes(evidence: Evidence) -> dict[int, int]:
    """Return what a pair costs by its size; of several the most, where a server does not count what it has seen."""
    found = {}
    for side, rights in questions.SIZES.items():
        costs = [evidence.tokens(f"size-{side}-{number}") for number in range(1, len(rights) + 1)]
        if known := [cost for cost in costs if cost is not None]:
            found[side] = max(known)
    return found


def _pictures_counted(evidence: Evidence) -> bool:
    """Say whether prompt tokens include what pictures cost."""
    none, one, _, _ = _costs(evidence)
    return (none is not None and one is not None and none < one) or len(set(_sizes(evidence).values())) > 1


def second_picture(evidence: Evidence) -> CheckResult:
    """Judge whether the second picture of a pair arrives."""
    check = "second picture"
    _, one, two, three = _costs(evidence)
    more = three is not None and two is not None and three > two
    if one is not None and one == two and not more and _pictures_counted(evidence):
        seen = f"{two} prompt tokens with two pictures, {one} with one: the second is dropped, or both are made one"
        change = "Let the server take two images a request (vLLM: --limit-mm-per-prompt image=2), or use another model"
        return _result(check, CheckStatus.FAILED, seen, change=change)
    if _unmoved(evidence):
        seen = "p(yes) is the same to the last digit with three different second pictures"
        return _result(
            check, CheckStatus.FAILED, seen, change="Use a server and a model that take two images a request"
        )
    if one is not None and two is not None and two > one:
        return _result(check, CheckStatus.OK, f"prompt tokens grow from {one} to {two} with it")
    if more:
        return _result(check, CheckStatus.OK, f"prompt tokens grow from {two} to {three} with a third")
    if _named(evidence)[0] >= 2:
        return _result(check, CheckStatus.OK, "its colour is named")
    if _moved(evidence):
        return _result(
            check, CheckStatus.OK, "another second picture changes the answer, repeating the question does not"
        )
    counted = "prompt tokens do not count pictures" if two else "no prompt tokens are told"
    return _result(check, CheckStatus.UNKNOWN, f"{counted}, and no answer shows it")


_SECONDS = ("same-direct-implicit", "plain-direct-implicit", "other-direct-implicit")


def _unmoved(evidence: Evidence) -> bool:
    """Say whether all chances are equal though the second picture is not. None of them may be all or nothing."""
    chances = [evidence.chances(name) for name in _SECONDS]
    if None in chances or len(set(chances)) > 1 or chances[0] is None:
        return False
    return UNROUNDED[0] < chances[0][0] < UNROUNDED[1]


def _moved(evidence: Evidence) -> bool:
    """Say whether the answer follows the second picture, and nothing but the pictures."""
    again = evidence.given(["plain-direct", "plain-direct-2", "plain-direct-3"])
    shown = evidence.given(_SECONDS)
    steady = len(again) == 3 and len({(answer.text, answer.p_yes) for answer in again}) == 1
    return steady and len({(answer.text, answer.p_yes) for answer in shown}) > 1


def apart(evidence: Evidence) -> CheckResult:
    """Judge whether two pictures arrive as two, not pasted into one."""
    check = "kept apart"
    counted = [replies.number(evidence.text(f"count-{count}")) for count in (1, 2, 3)]
    if counted == [1, 2, 3]:
        return _result(check, CheckStatus.OK, "counts one, two and three pictures")
    none, one, square, three = _costs(evidence)
    tall, mixed = evidence.tokens("count-tall"), evidence.tokens("count-mixed")
    if square is None or tall is None or mixed is None or not _pictures_counted(evidence):
        return _result(check, CheckStatus.UNKNOWN, "prompt tokens do not tell, and the pictures are not counted right")
    gap, both = 2 * mixed - square - tall, square + tall - 2 * (none or 0)
    costs = f"prompt tokens of two squares {square}, two tall ones {tall}, one of each {mixed}"
    if mixed in (square, tall) and gap:
        return _result(check, CheckStatus.UNKNOWN, f"{costs}: pasted together, or each brought to one size")
    if abs(gap) > max(ROUNDING, 0.08 * both):
        change = "Use a server that hands each image to the model by itself"
        return _result(
            check, CheckStatus.FAILED, f"{costs}: not those of two pictures, but of one pasted together", "", change
        )
    grown = (one is not None and square > one) or (three is not None and three > square)
    if grown and abs(gap) <= ROUNDING / 2:
        return _result(check, CheckStatus.OK, f"{costs}: each costs its own")
    return _result(check, CheckStatus.UNKNOWN, costs)


def order(evidence: Evidence) -> CheckResult:
    """Judge whether the first picture arrives as the first."""
    check = "order"
    right, reverse, read = _named(evidence)
    total = len(questions.COLOURS)
    if right >= 2 and not reverse:
        return _result(check, CheckStatus.OK, f"names the colours of first and second, {right} of {total} pairs")
    if reverse == total:
        seen = f"names the colours of the two pictures in reverse, {reverse} of {total} pairs"
        return _result(
            check, CheckStatus.FAILED, seen, change="Use a server that keeps the order of the parts of a message"
        )
    return _result(check, CheckStatus.UNKNOWN, f"names two colours for {read} of {total} pairs, {right} of them right")


def _named(evidence: Evidence) -> tuple[int, int, int]:
    """Return for how many pairs the colours are named in order, in reverse, and at all."""
    named = [replies.colours(evidence.text(f"colours-{n}")) for n in range(1, len(questions.COLOURS) + 1)]
    right = sum(one == true for one, true in zip(named, questions.COLOURS, strict=True))
    reverse = sum(one == true[::-1] for one, true in zip(named, questions.COLOURS, strict=True))
    return right, reverse, sum(one is not None for one in named)


def size(evidence: Evidence) -> CheckResult:
    """Judge what size arrives, up to 640 px: by the finest checkerboard, else by what pictures of each size cost."""
    check = "size"
    told = next((side for side, rights in questions.SIZES.items() if len(rights) > 1 and _told(evidence, side)), 0)
    if told == 640:
        return _result(check, CheckStatus.OK, "the finest checkerboard is told from grey at 640 px")
    found = _sizes(evidence)
    fine = f"; checkerboard told from grey at {told} px" if told else ""
    if len(found) < len(questions.SIZES):
        return _result(check, CheckStatus.UNKNOWN, f"no prompt tokens are told{fine or ', the checkerboard not seen'}")
    full, half, quarter, eighth = (found[side] for side in questions.SIZES)
    costs = "prompt tokens of pairs of 80, 160, 320, 640 px: " + ", ".join(map(str, (eighth, quarter, half, full)))
    if eighth < quarter == half == full and told < SMALLEST_TOWER:
        change = "Let larger pictures through (max_pixels, detail, the proxy's limit)"
        return _result(check, CheckStatus.FAILED, f"{costs}: scaled down to 160 px or less", change=change)
    if quarter < half == full:
        mark = "pictures are scaled down to about 320 px"
        return _result(check, CheckStatus.FINDING, f"{costs}{fine}", mark)
    grown = 2 * (640**2 - 320**2) / 300**2 * (_cost_of_one(evidence) or full)  # if each costs as its pixels do
    if quarter < half and full - half >= 0.85 * grown:  # tiles are too coarse to tell: half costs no more than quarter
        return _result(check, CheckStatus.OK, f"{costs}: they grow as pixels do")
    return _result(check, CheckStatus.UNKNOWN, f"{costs}{fine or '; checkerboard not told from grey'}")


def _told(evidence: Evidence, side: int) -> bool:
    """Say whether all pairs of a size are told right: by chance once in 64."""
    said = [
        replies.choice(evidence.text(f"size-{side}-{number}"), ("first", "second", "both", "none"))
        for number in range(1, len(questions.SIZES[side]) + 1)
    ]
    return said == list(questions.SIZES[side])


def _cost_of_one(evidence: Evidence) -> int | None:
    """Return the prompt tokens of one more picture of 300 px; None where that is not known."""
    _, one, two, three = _costs(evidence)
    steps = [after - before for before, after in ((one, two), (two, three)) if before and after]
    return max(steps) if steps and max(steps) > 0 else None


CHECKS = (answers, second_picture, apart, order, size)
