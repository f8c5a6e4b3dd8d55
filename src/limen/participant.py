"""A person as an observer: an alias, a screen and a way of showing are what identifies one; nothing else is kept.

People and models stand in the same runs and the same tables; what tells them apart is the kind in the fingerprint.
"""

import re
from collections.abc import Mapping
from typing import Any

from limen.errors import InputError

__all__ = [
    "ALIAS", "KIND", "check_alias", "fingerprint", "is_person", "models_of", "name_of", "people_of",
]  # fmt: skip

KIND = "person"
ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")


def name_of(alias: str) -> str:
    """Return what tables call the participant of this alias: "person:ALIAS"."""
    return f"{KIND}:{alias}"


def check_alias(alias: str) -> str:
    """Return an alias that can be one.

    Raises:
        InputError: it is not 1 to 32 letters, digits, "-" and "_" without accents, beginning with a letter or digit.
    """
    if not ALIAS.fullmatch(alias):
        raise InputError(
            f"{alias!r:.80} cannot be an alias. Give 1 to 32 letters (a to z), digits, - and _, beginning with a "
            "letter or a digit: p01. It should not be anybody's name."
        )
    return alias


def fingerprint(alias: str, screen: Mapping[str, Any], protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides a person's answers, as far as it can be written down: part of every key.

    Args:
        alias: of the person.
        screen: what pictures were seen on (`limen.people.screen`); {} where that is not known.
        protocol: how they were shown (`limen.people.protocol.Protocol.shown`), or by whom, where others asked.
    """
    return {"kind": KIND, "version": 1, "alias": alias, "screen": dict(screen), "protocol": dict(protocol)}


def is_person(about: Mapping[str, Any]) -> bool:
    """Say whether a fingerprint is a person's."""
    return about.get("kind") == KIND


def people_of(observers: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Return which of a run's observers are people, by name, in order."""
    return tuple(name for name, about in observers.items() if is_person(about))


def models_of(observers: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Return which of a run's observers are not people, by name, in order."""
    return tuple(name for name, about in observers.items() if not is_person(about))
