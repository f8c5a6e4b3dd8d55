"""Whether the observer can do the task at all. What it cannot is a finding: it marks the run and stops nothing."""

from limen import question
from limen.parsing.yes_no import Flag
from limen.preflight import questions, replies
from limen.preflight.evidence import CheckResult, CheckStatus, Evidence, Stage


def _result(check: str, status: CheckStatus, seen: str, mark: str = "") -> CheckResult:
    return CheckResult(check, Stage.PERCEPTION, status, seen, mark)


def _flags(evidence: Evidence, what: str) -> dict[str, Flag]:
    """Return the flags of the answers about one pair, by wording; those that say something."""
    found = {}
    for name in questions.WORDINGS:
        for given in evidence.given([f"{what}-{name}"]):
            found[name] = question.find(name).read((given,)).flag
    return {name: flag for name, flag in found.items() if flag is not Flag.UNREADABLE}


def _saying(flags: dict[str, Flag], flag: Flag) -> list[str]:
    return [name for name, said in flags.items() if said is flag]


def difference(evidence: Evidence) -> CheckResult:
    """Judge whether a plain difference is noticed: one picture far brighter, in four wordings; two unlike pictures."""
    flags = plain(evidence)
    return _judged("plain difference", flags, Flag.NO, "answers no to anything", "misses a plain difference")


def plain(evidence: Evidence) -> dict[str, Flag]:
    """Return what was said of pairs that plainly differ, by what was asked; of the answers that can be read."""
    flags = _flags(evidence, "plain")
    return flags | {f"two unlike pictures ({name})": flag for name, flag in _flags(evidence, "other").items()}


def identity(evidence: Evidence) -> CheckResult:
    """Judge whether a picture beside itself is called the same."""
    check = "identical pictures"
    mark = "answers yes to identical pictures"
    return _judged(check, _flags(evidence, "same"), Flag.YES, mark, f"{mark} in some wordings")


def _judged(check: str, flags: dict[str, Flag], wrong: Flag, all_mark: str, some_mark: str) -> CheckResult:
    failed = _saying(flags, wrong)
    if not flags:
        return _result(check, CheckStatus.UNKNOWN, "no answer can be read")
    if not failed:
        return _result(check, CheckStatus.OK, f"{len(flags)} of {len(flags)} right")
    mark = all_mark if len(failed) == len(flags) else some_mark
    return _result(check, CheckStatus.FINDING, f"wrong: {', '.join(failed)}; {len(flags) - len(failed)} right", mark)


def disc(evidence: Evidence) -> CheckResult:
    """Judge whether a red disc is found left and right."""
    said = {side: replies.choice(evidence.text(f"disc-{side}"), ("left", "right")) for side in ("left", "right")}
    if all(side == one for side, one in said.items()):
        return _result("red disc", CheckStatus.OK, "found left and right")
    if not evidence.given(["disc-left", "disc-right"]):
        return _result("red disc", CheckStatus.UNKNOWN, "no answer came")
    seen = ", ".join(f"{side}: {one or 'unreadable'}" for side, one in said.items())
    return _result("red disc", CheckStatus.FINDING, f"said of {seen}", "does not find a red disc")


def wordings(evidence: Evidence) -> CheckResult:
    """Judge whether the answers to the four wordings can be read."""
    asked = [f"{what}-{name}" for name in questions.WORDINGS for what in ("plain", "same")]
    came = [name for name in asked if evidence.answer(name) is not None]
    read = {what: _flags(evidence, what) for what in ("plain", "same")}
    unread = [name for name in came if name.partition("-")[2] not in read[name.partition("-")[0]]]
    if not came:
        return _result("wordings", CheckStatus.UNKNOWN, "no answer came")
    if not unread:
        return _result("wordings", CheckStatus.OK, f"{len(came)} of {len(came)} answers read")
    names = list(dict.fromkeys(name.partition("-")[2] for name in unread))
    seen = f"{len(unread)} of {len(came)} answers cannot be read: {', '.join(names)}"
    some = "" if len(unread) == len(came) else f" to {', '.join(names)}"
    return _result("wordings", CheckStatus.FINDING, seen, f"answers{some} cannot be read")


CHECKS = (difference, identity, disc, wordings)
