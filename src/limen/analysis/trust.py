"""How far an observer's thresholds can be trusted: five rules over what its own run shows.

A threshold is a number about seeing only if the observer keeps still where nothing differs, answers in a way that can
be read, sees what is plain, was shown what was meant, and has its thresholds within the ladders. `docs/howto/report.md`
holds the table of rules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from limen.analysis import Analysis, Outcome, SeriesStatus, false_alarms, sum_of
from limen.analysis.attention import PersonRow
from limen.curve import Share
from limen.parsing.yes_no import Flag
from limen.preflight.exam import Exam, at_places, kept
from limen.store import Store

MOST_ALARMS = 0.10  # yes to identical pairs; the whole interval must lie below, or above
MOST_UNREADABLE, FAR_TOO_UNREADABLE = 0.05, 0.20  # of the pairs asked
MOST_CENSORED = 0.50  # of the series: beyond, a median says no more than "above the ladder"
NUMERIC = ("encoder", "vision")  # kinds of observers that judge by a number, so that no exam is held
LEAST_PLAIN = 0.90  # of the plain differences of the exam


class Trust(StrEnum):
    """What the rules come to; `NONE` where every answer was no, so that there is no threshold to believe."""

    BELIEVED = "believed"
    CARE = "with care"
    NOT = "not believed"
    NONE = "no threshold found"


class RuleStatus(StrEnum):
    """What a rule found. `CARE`: missed, or not known; `FAILED`: missed beyond doubt, so that nothing is believed."""

    KEPT = "kept"
    CARE = "with care"
    FAILED = "failed"
    UNNEEDED = "does not apply"


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What one rule found.

    Attributes:
        rule: its name.
        bound: what it asks for, in words.
        status: see there.
        share: what was counted; None where nothing was.
        seen: what was found, in words.
    """

    rule: str
    bound: str
    status: RuleStatus
    share: Share | None
    seen: str


@dataclass(frozen=True, slots=True)
class TrustRow:
    """How far the thresholds of one observer and question can be trusted.

    Attributes:
        observer, question: which.
        trust: what the rules come to.
        rules: what each found.
    """

    observer: str
    question: str
    trust: Trust
    rules: tuple[RuleResult, ...]

    @property
    def missed(self) -> tuple[RuleResult, ...]:
        """The rules that are not kept, those that failed first."""
        failed = tuple(rule for rule in self.rules if rule.status is RuleStatus.FAILED)
        return (*failed, *(rule for rule in self.rules if rule.status is RuleStatus.CARE))

    @property
    def why(self) -> str:
        """What was found by the rules that are not kept; "" where all are."""
        return "; ".join(rule.seen for rule in self.missed)


def of_run(analysis: Analysis, store: Store) -> tuple[TrustRow, ...]:
    """Judge each observer and question of a run, by the exams that it holds too: of several the one that says least."""
    held = {name: at_places(name, kept(store)) for name in analysis.manifest.observers}
    return trust(analysis, {name: min(exams, key=_worth) for name, exams in held.items() if exams})


def _worth(exam: Exam) -> tuple[bool, bool, float, int]:
    """Return by what exams of one observer at several places are ranked."""
    return exam.fit, exam.plain.n > 0, exam.plain.value if exam.plain.n else 0.0, -len(exam.marks)


def trust(analysis: Analysis, exams: Mapping[str, Exam]) -> tuple[TrustRow, ...]:
    """Judge each observer and question of a run.

    Args:
        analysis: of the run.
        exams: that were held, by the observer's name.
    """
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in analysis.outcomes:
        groups.setdefault((outcome.observer, outcome.question), []).append(outcome)
    order = list(analysis.manifest.observers)
    return tuple(
        _row(analysis, observer, question, group, exams.get(observer))
        for (observer, question), group in sorted(groups.items(), key=lambda item: (order.index(item[0][0]), item[0]))
    )


def _row(analysis: Analysis, observer: str, question: str, group: Sequence[Outcome], exam: Exam | None) -> TrustRow:
    asked = analysis.questions[question]
    readable = [
        response
        for response in {r.key: r for outcome in group for r in outcome.responses if r.asked}.values()
        if response.probe.reference != response.probe.level
    ]
    said = [response.verdict.flag for response in readable if response.verdict.flag is not Flag.UNREADABLE]
    unread = Share(len(readable) - len(said), len(readable))
    filtered = sum(
        any(trial.answer is not None and trial.answer.finish == "content_filter" for trial in response.trials)
        for response in readable
        if response.verdict.flag is Flag.UNREADABLE
    )
    pairs = asked.pictures > 1
    numeric = analysis.manifest.observers[observer].get("kind") in NUMERIC
    person = next((one for one in analysis.people if one.observer == observer), None)
    rules = (
        _alarms(sum_of(*false_alarms(group)), forced=asked.forced),
        _unreadable(unread, filtered),
        _censored(group),
        *(
            (_attentive(person),)
            if person is not None
            else (_plain(exam, numeric, pairs), _examined(exam, numeric, pairs))
        ),
    )
    found = {rule.status for rule in rules}
    level = Trust.BELIEVED
    if RuleStatus.CARE in found:
        level = Trust.CARE
    if RuleStatus.FAILED in found:
        level = Trust.NOT
    if said and Flag.YES not in said and RuleStatus.FAILED not in {rules[0].status, rules[1].status}:
        level = Trust.NONE
    return TrustRow(observer, question, level, rules)


def _alarms(share: Share, forced: bool) -> RuleResult:
    rule, bound = "false alarms", f"95 % interval below {MOST_ALARMS:.0%}"
    if forced:
        return RuleResult(rule, bound, RuleStatus.UNNEEDED, None, "in a forced choice something always differs")
    interval = share.interval
    if interval is None:
        return RuleResult(rule, bound, RuleStatus.CARE, None, "no identical pairs were shown")
    status = RuleStatus.KEPT
    if interval.high > MOST_ALARMS:
        status = RuleStatus.FAILED if interval.low > MOST_ALARMS else RuleStatus.CARE
    seen = f"yes to {share.k:,} of {share.n:,} identical pairs{_up_to(share)}"
    return RuleResult(rule, bound, status, share, seen)


def _up_to(share: Share) -> str:
    interval = share.interval
    return f" (at most {100 * interval.high:.1f} %)" if interval else ""


def _unreadable(share: Share, filtered: int) -> RuleResult:
    rule, bound = "unreadable answers", f"at most {MOST_UNREADABLE:.0%}"
    if not share.n:
        return RuleResult(rule, bound, RuleStatus.CARE, None, "nothing was answered")
    status = RuleStatus.KEPT
    if share.value > MOST_UNREADABLE:
        status = RuleStatus.FAILED if share.value > FAR_TOO_UNREADABLE else RuleStatus.CARE
    seen = f"{share.k:,} of {share.n:,} pairs without a readable answer"
    if filtered:
        seen += f" ({filtered:,} refused or filtered: finish content_filter)"
    return RuleResult(rule, bound, status, share, seen)


def _censored(group: Sequence[Outcome]) -> RuleResult:
    rule, bound = "thresholds within the ladders", f"at least {1 - MOST_CENSORED:.0%}"
    complete = [outcome for outcome in group if outcome.status is SeriesStatus.COMPLETE]
    reached = [
        outcome.thresholds[0].reached if outcome.thresholds else outcome.estimates[0].reached
        for outcome in complete
        if outcome.thresholds or outcome.estimates
    ]
    if not reached and complete:
        return RuleResult(rule, bound, RuleStatus.UNNEEDED, None, "the procedure looks for no threshold")
    if not reached:
        return RuleResult(rule, bound, RuleStatus.CARE, None, "no series is finished")
    share = Share(sum(reached), len(reached))
    status = RuleStatus.KEPT if share.value >= 1 - MOST_CENSORED else RuleStatus.CARE
    return RuleResult(rule, bound, status, share, f"{share.k:,} of {share.n:,} series have a threshold on their ladder")


def _plain(exam: Exam | None, numeric: bool, pairs: bool) -> RuleResult:
    rule, bound = "plain differences", f"{LEAST_PLAIN:.0%} or more seen"
    if numeric or not pairs:
        return RuleResult(rule, bound, RuleStatus.UNNEEDED, None, _no_exam(numeric))
    share = exam.plain if exam is not None else Share(0, 0)
    if share.interval is None:
        return RuleResult(rule, bound, RuleStatus.CARE, None, "not known whether plain differences are seen")
    status = RuleStatus.KEPT
    if share.value < LEAST_PLAIN:
        status = RuleStatus.FAILED if share.interval.high < LEAST_PLAIN else RuleStatus.CARE
    return RuleResult(rule, bound, status, share, f"{share.k} of {share.n} plain differences of the exam seen")


def _examined(exam: Exam | None, numeric: bool, pairs: bool) -> RuleResult:
    rule, bound = "exam", "passed"
    if numeric or not pairs:
        return RuleResult(rule, bound, RuleStatus.UNNEEDED, None, _no_exam(numeric))
    if exam is None or not exam.answered:
        return RuleResult(rule, bound, RuleStatus.CARE, None, "no exam was held")
    if exam.failed:
        return RuleResult(rule, bound, RuleStatus.FAILED, None, "the exam was failed")
    if not exam.fit:
        return RuleResult(rule, bound, RuleStatus.CARE, None, "the exam is not finished")
    return RuleResult(rule, bound, RuleStatus.KEPT, None, f"exam passed ({exam.answered} answers)")


def _attentive(person: PersonRow) -> RuleResult:
    """Judge a person, who passes no exam, by the rule about catch trials that was declared beforehand."""
    rule, bound = "attention", f"{person.share:.0%} or more of catch trials right"
    if not person.rule:
        return RuleResult(rule, "declared beforehand", RuleStatus.UNNEEDED, None, "no attention rule was declared")
    seen = f"{person.catches.k:,} of {person.catches.n:,} catch trials right"
    if person.passed is None:
        return RuleResult(rule, bound, RuleStatus.CARE, person.catches, f"{seen}: too few to tell")
    status = RuleStatus.KEPT if person.passed else RuleStatus.FAILED
    return RuleResult(rule, bound, status, person.catches, seen)


def _no_exam(numeric: bool) -> str:
    return "it judges by a number" if numeric else "one picture at a time is shown"
