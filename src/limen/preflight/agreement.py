"""Whether several endpoints of one model answer alike: a share of the exam's own questions, no question more.

Servers of one model need not: another engine, another GPU or another batch rounds sums differently, and a greedy
decoding turns that into other words now and then. So it is told, and refuses nothing.
"""

from collections.abc import Iterable, Iterator

from limen.preflight.questions import COLOURS, WORDINGS

# Twelve questions of every exam: those that are measured with, one answered at length, and colours.
PROBES = (
    *(f"{what}-{name}" for name in WORDINGS for what in ("plain", "same")), "describe-1",
    *(f"colours-{number}" for number, _ in enumerate(COLOURS, start=1)),
)  # fmt: skip
NAMED = 4  # questions, and names of systems, in a sentence

Answers = dict[str, str]  # texts by the name of the question


def told(name: str, answers: Iterable[Answers], systems: Iterable[str] = ()) -> Iterator[str]:
    """Yield what to tell a person of how alike the endpoints of a greedy observer answer.

    Args:
        name: of the observer.
        answers: of each endpoint, to `PROBES`; a question that one of them has not answered is not counted.
        systems: what each says of its system with its answers, where it does.
    """
    each = list(answers)
    asked = [probe for probe in PROBES if all(probe in one for one in each)]
    if len(each) > 1 and asked:
        unlike = [probe for probe in asked if len({one[probe] for one in each}) > 1]
        alike = len(asked) - len(unlike)
        line = f"{name}: its {len(each)} endpoints answer {alike} of {len(asked)} greedy questions alike"
        if unlike:
            more = ", ..." if len(unlike) > NAMED else ""
            line += f" ({alike / len(asked):.0%}; not {', '.join(unlike[:NAMED])}{more})"
            line += ": a threshold may depend on where a series is asked, by as much"
        yield f"{line}."
    if len(named := sorted({*systems})) > 1:
        more = ", ..." if len(named) > NAMED else ""
        yield f"{name}: its endpoints name different systems ({', '.join(named[:NAMED])}{more})."
