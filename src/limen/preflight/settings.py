"""Do the settings count: greedy decoding, temperature, seed, length, log probabilities; and which model answers?"""

from limen import question
from limen.parsing import token_probability
from limen.parsing.yes_no import Flag
from limen.preflight import questions
from limen.preflight.evidence import CheckResult, CheckStatus, Evidence, Stage
from limen.trial import Answer

SLACK = 8  # tokens: a server may count the end of an answer
OWN_WORDS = 12  # different words: fewer are the same in three draws by chance
WARM = 0.5  # temperature from which three equal draws of several words are no chance

_TOLD = [f"describe-{number}" for number in (1, 2, 3)]


def _result(check: str, status: CheckStatus, seen: str, mark: str = "", change: str = "") -> CheckResult:
    return CheckResult(check, Stage.TRANSPORT, status, seen, mark, change)


def repeats(evidence: Evidence) -> CheckResult:
    """Judge whether the same question gets the same answer, or where answers are samples, whether draws differ."""
    return _draws(evidence) if evidence.sampled else _greedy(evidence)


def _greedy(evidence: Evidence) -> CheckResult:
    """A flag that changes makes a threshold chance; words that change are told, because hosts batch differently."""
    check = "repeats"
    groups = [_TOLD, *([f"{what}-direct", f"{what}-direct-2", f"{what}-direct-3"] for what in ("plain", "same"))]
    answers = [evidence.given(group) for group in groups]
    if any(len(given) < 2 for given in answers):
        return _result(check, CheckStatus.UNKNOWN, "too few answers came")
    for what, given in zip(("a plain difference", "identical pictures"), answers[1:], strict=True):
        flags = {question.find("direct").read((answer,)).flag for answer in given}
        if {Flag.YES, Flag.NO} <= flags:
            seen = f"asked the same {len(given)} times about {what}, it says yes and no"
            change = "Make decoding greedy (temperature 0, a seed), or set temperature above 0 to measure it as sampled"
            return _result(check, CheckStatus.FAILED, seen, change=change)
    different = sum(len({answer.text for answer in given}) > 1 for given in answers)
    if different:
        seen = f"{different} of {len(groups)} questions asked three times got other words, though decoding is greedy"
        return _result(check, CheckStatus.FINDING, seen, "answers do not repeat word for word")
    return _result(check, CheckStatus.OK, f"{len(groups)} questions asked three times got the same answers")


def _draws(evidence: Evidence) -> CheckResult:
    check = "temperature"
    texts = [answer.text for answer in evidence.given(_TOLD)]
    temperature = evidence.settings.get("temperature")
    if len(set(texts)) > 1:
        return _result(check, CheckStatus.OK, f"{len(set(texts))} of {len(texts)} draws differ")
    words = len(set(" ".join(texts).lower().split()))
    if len(texts) < 3 or words < OWN_WORDS or not isinstance(temperature, int | float) or temperature < WARM:
        return _result(check, CheckStatus.UNKNOWN, "draws that are alike may be so by chance")
    seen = f"{len(texts)} draws at temperature {temperature:g} are word for word the same"
    return _result(check, CheckStatus.FAILED, seen, change="Set temperature=0: these are greedy answers, not draws")


def seed(evidence: Evidence) -> CheckResult | None:
    """Judge whether the same seed gives the same draw; nothing to judge where none is set or answers are greedy."""
    check = "seed"
    if not evidence.sampled or evidence.settings.get("seed") is None:
        return None
    draws, again = evidence.given(_TOLD), evidence.answer("describe-again")
    if again is None or len({answer.text for answer in draws}) < 2:
        return _result(check, CheckStatus.UNKNOWN, "draws do not differ, or none came")
    if again.text == evidence.text(_TOLD[0]):
        return _result(check, CheckStatus.OK, "the same seed gives the same answer")
    return _result(check, CheckStatus.FINDING, "the same seed gives another answer", "the seed is not honoured")


def log_probabilities(evidence: Evidence) -> CheckResult | None:
    """Judge whether p(yes) can be had, and belongs to the answer; nothing to judge where it was not asked for."""
    check = "log probabilities"
    wanted = evidence.settings.get("logprobs")
    if wanted is False:
        return None
    names = [f"{what}-{wording}" for wording in questions.WORDINGS for what in ("plain", "same")]
    begun = [(_first_flag(answer, "choice" in name), answer) for name in names for answer in evidence.given([name])]
    flagged = [(flag, answer) for flag, answer in begun if flag is not None]
    sure = [(flag, answer.p_yes) for flag, answer in flagged if answer.p_yes is not None]
    if not flagged:
        return _result(check, CheckStatus.UNKNOWN, "no answer begins with its flag")
    if not sure:
        seen = f"none given with {len(flagged)} answers that begin with their flag"
        mark = "gives no p(yes)" if wanted else ""
        return _result(check, CheckStatus.FINDING if wanted else CheckStatus.UNKNOWN, seen, mark)
    odd = sum((p < 0.45) if flag else (p > 0.55) for flag, p in sure)
    if odd and not evidence.sampled:
        seen = f"p(yes) contradicts the flag in {odd} of {len(sure)} greedy answers"
        return _result(check, CheckStatus.FINDING, seen, "p(yes) does not fit the answers")
    return _result(
        check, CheckStatus.OK, f"p(yes) with {len(sure)} of {len(flagged)} answers that begin with their flag"
    )


def _first_flag(answer: Answer, letters: bool) -> bool | None:
    """Return the flag that an answer begins with: yes, no, or None."""
    word = token_probability.bare((answer.text.split() or [""])[0])
    if word in token_probability.YES or (letters and word == "a"):
        return True
    return False if word in token_probability.NO or (letters and word == "b") else None


def longest(evidence: Evidence) -> CheckResult:
    """Judge whether the limit of an answer's length counts."""
    check = "max_tokens"
    limit = evidence.settings.get("max_tokens")
    if not isinstance(limit, int):
        return _result(check, CheckStatus.UNKNOWN, "the observer names no limit")
    written = len(evidence.text("long").split())  # numbers with blanks between: none of them is less than a token
    if written > limit + SLACK:
        seen = f"an answer of {written} words, where {limit} tokens were allowed"
        named = "Set max_tokens_name to what the server calls it (max_completion_tokens), or raise max_tokens"
        change = named if evidence.settings.get("kind") == "openai" else "Raise max_tokens"
        return _result(check, CheckStatus.FAILED, seen, change=change)
    most = max((answer.tokens_out or 0 for answer in evidence.given(evidence.answers)), default=0)
    if most > limit + SLACK:  # tokens that are not shown may be counted too: the model's thought
        return _result(
            check, CheckStatus.FINDING, f"{most} tokens, where {limit} were allowed", "answers cost over max_tokens"
        )
    long = evidence.answer("long")
    if long is not None and (long.finish == "length" or (long.tokens_out or 0) >= limit):
        return _result(check, CheckStatus.OK, f"a long answer is cut off at {limit}")
    return _result(check, CheckStatus.UNKNOWN, f"no answer came near {limit} tokens")


def model(evidence: Evidence) -> CheckResult:
    """Judge whether one model answers, and the one that was asked for."""
    check = "model"
    names = sorted({answer.model for answer in evidence.given(evidence.answers)} - {""})
    asked = str(evidence.settings.get("model") or "")
    if len(names) > 1:
        seen = f"answers come from {len(names)} models: {', '.join(map(_short, names))}"
        return _result(check, CheckStatus.FAILED, seen, change="Name one model, without a router or a fallback")
    if not names:
        return _result(check, CheckStatus.UNKNOWN, "answers name no model")
    if not asked or _same(asked, names[0]):
        return _result(check, CheckStatus.OK, f"answers come from {_short(names[0])}")
    seen = f"asked for {_short(asked)}, answered by {_short(names[0])}"
    return _result(check, CheckStatus.FINDING, seen, f"calls itself {_short(names[0])}")


def _short(name: str) -> str:
    """Return a model's name without the path or the organisation before it, and without control characters."""
    return "".join(filter(str.isprintable, name.rstrip("/").rpartition("/")[2][:60]))


def _same(asked: str, told: str) -> bool:
    """Say whether one name is part of the other ("gpt-4o", "gpt-4o-2024-08-06"): letters and digits only."""
    one, other = ("".join(filter(str.isalnum, _short(name).lower())) for name in (asked, told))
    return bool(one and other) and (one in other or other in one)


CHECKS = (repeats, seed, longest, log_probabilities, model)
