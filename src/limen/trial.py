"""What a trial is: a fact. What was shown, asked and answered, by whom, at what cost; no opinion about it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: raw.

    Attributes:
        text: the answer as it came.
        p_yes: probability mass on the yes forms over yes and no forms at the flag, where the observer gives it.
        p_neither: mass on neither form there.
        finish: why it ended ("stop", "length", "content_filter", `limen.question.JUDGED`, "" if not said).
        tokens_in, tokens_out: usage, where the observer says.
        seconds: time of the attempt that succeeded.
        model: the model's own name for itself, where it says one.

    Examples:
        >>> from limen import Answer
        >>> Answer("<yes> The second is blurred.", p_yes=0.9, finish="stop").finish
        'stop'
    """

    text: str
    p_yes: float | None = None
    p_neither: float | None = None
    finish: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None
    seconds: float = 0.0
    model: str = ""


OTHER_SIDE = 1_000  # number of the first query of the stimulus, where it and the reference are shown each alone

# Outcomes of an attempt that asking the same observer the same again would not mend; all other failures may pass.
LASTING = frozenset({"rejected", "unsupported", "cut-off", "thought", "input", "out-of-memory"})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one query, successful or not: the store's append-only record of what was paid for.

    Attributes:
        outcome: "ok", or the kind of the failure ("rate-limited", "timeout", "malformed", ...).
        detail: one line, without secrets.
        seconds: how long it took.

    Examples:
        >>> from limen import Attempt
        >>> Attempt("rate-limited", "429: try again in 2 s", seconds=0.1).outcome
        'rate-limited'
    """

    outcome: str
    detail: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Trial:
    """One query of one series put to one observer, and its answer.

    Attributes:
        observer, question: by name.
        series: the series' digest.
        reference, level: which two stimuli were compared; 0 is the reference image itself.
        draw: 0, or the number of a declared second draw.
        again: the paraphrase, asked because the first answer could not be read.
        part: which of the queries of one ask; from `OTHER_SIDE` on those of the stimulus that is shown alone.
        key: digest of what was shown to whom; "" where the two stimuli are the same picture and nothing was asked.
        answer: None where none has come.
        wording: the text that was asked; "" where nothing was asked, and in runs that did not keep it (schema 2).
        form: of the answer that was wanted, by name (`limen.parsing.forms`); "" as for `wording`.
    """

    observer: str
    question: str
    series: str
    reference: int
    level: int
    draw: int
    again: bool
    part: int
    key: str
    answer: Answer | None = None
    wording: str = ""
    form: str = ""


@dataclass(frozen=True, slots=True)
class Presentation:
    """One time that a query was shown to a person.

    Attributes:
        key: of the answer that it led to, as `Trial.key`.
        session: names the sitting; a person may have several.
        shown_at: seconds since 1970.
        ms_shown: how long the pictures were visible, in milliseconds.
        reaction_time_ms: from their appearance to the answer, in milliseconds; None where none was given.
        confidence: of the answer, 0 to 1; None where it was not asked for.
    """

    key: str
    session: str
    shown_at: float
    ms_shown: float
    reaction_time_ms: float | None = None
    confidence: float | None = None


def pair(series: str, reference: int, level: int) -> str:
    """Return the name of one comparison, from which a forced choice draws its order.

    Args:
        series: the series' digest.
        reference: level of the reference, 0..L - 1.
        level: level of the stimulus, 0..L.
    """
    return f"{series}/{reference}/{level}"
