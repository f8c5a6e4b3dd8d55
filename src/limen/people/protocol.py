"""How people are asked, as the table [people] of a study file says it."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec

from limen import registry
from limen.errors import InputError
from limen.registry import Seed

_Text = Annotated[str, msgspec.Meta(max_length=20_000)]
_Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=60_000)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Presentation(StrEnum):
    """How the pictures of one question are shown."""

    SIDE_BY_SIDE = "side-by-side"
    IN_TURNS = "in-turns"  # one after the other, with a blank between
    FLICKER = "flicker"  # in one place, alternating without a blank


class Attention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rule by which a participant is left out, declared before anybody is asked.

    Catch trials have an answer that everybody who looks can give: two identical pictures, or the reference beside the
    strongest level.

    Attributes:
        name: of the rule; tables say it beside who failed it.
        share: of catch trials that must be right, at least.
        fewest: catch trials below which nobody is left out.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[\w][\w .-]{0,39}$")] = "catch"
    share: _Share = 0.75
    fewest: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 4


class Protocol(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How people are asked.

    Attributes:
        title: of the page, for participants.
        consent: what a participant agrees to, plain text; blank lines divide paragraphs. A study file gives it, or
            `consent_file`, a path beside it.
        instructions: what is to be done, plain text; "" for limen's own.
        thanks: said at the end, plain text.
        presentation: side-by-side, in-turns or flicker.
        show_ms: how long pictures are visible, each of those that come in turns; 0 until the answer.
        blank_ms: of grey between pictures in turns, and before each question.
        flicker_hz: changes of the picture a second.
        zoom: device pixels that a pixel takes in each direction.
        distance_cm: from the eye to the screen, as participants are told to sit.
        background: grey level around the pictures, 0 to 255.
        confidence: names of steps of confidence, from the lowest, asked for after each answer; () for none.
        wording: what people are asked in place of a question's text, by the question's name; `{word}` is what the
            distortion is called.
        practice: questions with feedback before the first sitting.
        catch: share of catch trials among all that are shown.
        attention: the rule about them.
        interleave: series under way side by side, so that nobody can follow one.
        break_every: questions after which a break is offered; 0 for never.
        minutes: of one sitting; 0 for no end. Series are dealt so that they fit.
        sittings: of each participant at most.
        seed: of orders, catch trials and the dealing of series.
    """

    title: Annotated[str, msgspec.Meta(max_length=200)] = "A study of what people see"
    consent: _Text = ""
    consent_file: Annotated[str, msgspec.Meta(max_length=4_000)] = ""
    instructions: _Text = ""
    thanks: _Text = ""
    presentation: Presentation = Presentation.SIDE_BY_SIDE
    show_ms: _Milliseconds = 0
    blank_ms: _Milliseconds = 500
    flicker_hz: Annotated[float, msgspec.Meta(ge=0.5, le=15)] = 4.0
    zoom: Annotated[int, msgspec.Meta(ge=1, le=8)] = 1
    distance_cm: Annotated[float, msgspec.Meta(ge=10, le=1_000)] = 60.0
    background: Annotated[int, msgspec.Meta(ge=0, le=255)] = 128
    confidence: Annotated[
        tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=60)], ...], msgspec.Meta(max_length=7)
    ] = ()
    wording: dict[str, _Text] = {}
    practice: Annotated[int, msgspec.Meta(ge=0, le=100)] = 6
    catch: Annotated[float, msgspec.Meta(ge=0, le=0.5)] = 0.1
    attention: Attention = Attention()
    interleave: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    break_every: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 60
    minutes: Annotated[float, msgspec.Meta(ge=0, le=600)] = 0.0
    sittings: Annotated[int, msgspec.Meta(ge=1, le=100)] = 5
    seed: Seed = 0

    @property
    def shown(self) -> dict[str, Any]:
        """What of it decides what a person sees and says: part of the fingerprint, and so of every key."""
        fields = ("presentation", "show_ms", "blank_ms", "zoom", "distance_cm", "background", "confidence", "wording")
        flicker = ("flicker_hz",) if self.presentation is Presentation.FLICKER else ()
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))  # as a manifest has it
        return {name: plain[name] for name in (*fields, *flicker)}


def of(content: Mapping[str, Any], folder: Path) -> Protocol:
    """Return how people are asked, with the consent text read.

    Args:
        content: the table `people` of a study file.
        folder: of the study file, beside which `consent_file` lies.

    Raises:
        InputError: a setting that there is not, or that does not fit; or the file cannot be read.
    """
    protocol = registry.settings("Table 'people'", content, Protocol)
    least = 2000 / protocol.flicker_hz  # ms until two pictures have been seen
    if protocol.presentation is Presentation.FLICKER and 0 < protocol.show_ms < least:
        raise InputError(
            f"Table 'people': show_ms is {protocol.show_ms}, and at {protocol.flicker_hz:g} changes a second two "
            f"pictures take {least:.0f} ms. Give show_ms of that or more, or 0 until the answer."
        )
    steps = protocol.confidence
    if len(steps) == 1 or len(set(steps)) < len(steps):
        raise InputError(f"Table 'people': confidence is {list(steps)}. Give two different steps or more, or none.")
    if not protocol.consent_file:
        return protocol
    if protocol.consent:
        raise InputError("Table 'people' gives both consent and consent_file. Give one of them.")
    file = folder / Path(protocol.consent_file).expanduser()
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        why = error.strerror or error
        raise InputError(f"{file}: the consent text cannot be read ({why}). Give a text file in UTF-8.") from None
    except UnicodeDecodeError:
        raise InputError(f"{file}: the consent text is not UTF-8. Save it as UTF-8.") from None
    return msgspec.structs.replace(protocol, consent=text.strip(), consent_file="")
