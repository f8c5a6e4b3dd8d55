"""Images that belong together, such as crops or frames of one photograph: which, and how they are divided.

A group never straddles two parts. Fitting takes whole groups, all their images, as nothing is counted there.
Calibration and test take **one image of each group**, drawn at random: images of one photograph resemble each other, so
that a hundred crops of ten photographs tell of ten photographs. Then the calibration images are a sample of photographs
with an image drawn of each, and what is promised of them holds for a fresh photograph with an image drawn of it. Ranks,
p-values and intervals over images are over photographs, and remain what they are.
"""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from limen import digest
from limen.errors import InputError

FOLDER = "folder"
TABLE, COLUMNS = ".csv", ("name", "group")
EXAMPLE = r"'(.*)_crop\d+'"
Places = npt.NDArray[np.int64]
"""Numbers of images in their data."""


def grouped(names: Sequence[str], by: str, above: int = 0) -> list[str]:
    """Return the group of each image.

    Args:
        names: of the images, relative to their data.
        by: "folder" for the folder that an image lies in; a CSV file with the columns name and group; or a regular
            expression that is searched for in each name: its first named group is the group, or else its first.
        above: folders that stand for something else: 1 where the first one is a class.

    Raises:
        InputError: `by` is none of these, or says nothing of some images.
    """
    if by == FOLDER:
        found = [name.rpartition("/")[0] if name.count("/") > above else "" for name in names]
        wrong = f"lie in no folder of their own{' below their class' if above else ''}"
        remedy = (
            "Put the images of each photograph into a folder of their own, or give a regular expression or CSV file."
        )
    elif by.endswith(TABLE):
        table = _table(Path(by))
        found = [table.get(name, "") for name in names]
        wrong = f"have no group in {by}"
        remedy = "Write a line for each: its name relative to the data, and its group."
    else:
        pattern, which = _pattern(by)
        found = [(match[which] or "") if (match := pattern.search(name)) else "" for name in names]
        wrong = f"do not match --group-by '{by}'"
        remedy = f"Give an expression that finds the photograph in every name, such as {EXAMPLE}."
    lacking = [name for name, group in zip(names, found, strict=True) if not group]
    if lacking:
        shown = ", ".join(map(repr, lacking[:3])) + (", ..." if len(lacking) > 3 else "")
        raise InputError(f"{len(lacking)} of {len(names)} images {wrong}: {shown}. {remedy}")
    return found


def _pattern(by: str) -> tuple[re.Pattern[str], int]:
    """Return a regular expression, and which of its groups is meant."""
    try:
        pattern = re.compile(by)
    except re.error as error:
        raise InputError(
            f"--group-by '{by}' is no regular expression ({error}). Give one whose first group in brackets is the "
            f"photograph, such as {EXAMPLE}; or {FOLDER}, or a CSV file."
        ) from None
    if not pattern.groups:
        raise InputError(
            f"--group-by '{by}' has no group in brackets to say which photograph an image is of. Put brackets around "
            f"that part of the name, such as {EXAMPLE}; or give {FOLDER}, or a CSV file."
        )
    return pattern, min(pattern.groupindex.values(), default=1)


def _table(file: Path) -> dict[str, str]:
    """Return the group of each name in a CSV file."""
    found: dict[str, str] = {}
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:
            table = csv.DictReader(stream)
            lacking = [column for column in COLUMNS if column not in (table.fieldnames or ())]
            if lacking:
                raise InputError(f"{file} has no column {lacking[0]!r}. Its first line has to be: {','.join(COLUMNS)}")
            for row in table:
                name, group = (row[column] or "" for column in COLUMNS)
                if found.setdefault(name, group) != group:
                    raise InputError(
                        f"{file}, line {table.line_num}: {name!r} is in group {found[name]!r} and in {group!r}. Leave "
                        "one of them out."
                    )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file} cannot be read as a CSV file of groups ({error}). Check the path.") from None
    return found


def divided(where: str, groups: Sequence[str], seed: int, wanted: Sequence[int]) -> list[Places]:
    """Return the images of each part: fit, calibrate, test.

    Groups are drawn in random order. The first ones make the fitting part, whole, until it holds the wanted number (of
    the last one, images that are too many are left out); of so many further ones as calibration and test images are
    wanted, one image each is drawn.

    Args:
        where: the data, for messages.
        groups: of each image.
        seed: of the division, any int.
        wanted: images in each part, >= 1.

    Raises:
        InputError: there are too few groups.
    """
    source = digest.generator("grouped parts", seed)
    order = source.permutation(len(groups)).tolist()
    inside: dict[str, list[int]] = {group: [] for group in sorted(set(groups))}
    for image in order:
        inside[groups[image]].append(image)
    drawn = [list(inside.values())[place] for place in source.permutation(len(inside))]
    whole, fitting = 0, list[int]()
    while whole < len(drawn) and len(fitting) < wanted[0]:
        fitting += drawn[whole]
        whole += 1
    left, needed = len(drawn) - whole, sum(wanted[1:])
    if len(fitting) < wanted[0] or left < needed:
        raise InputError(
            f"{where} holds {len(groups)} images in {len(drawn)} groups, which are too few: {wanted[0]} images to fit "
            f"take {whole} whole groups, and calibration and test take one image of a group of its own each, {needed} "
            f"({wanted[1]} and {wanted[2]}), where {left} are left. Give more photographs, or ask for fewer images "
            "with --images-fit, --images-calibrate, --images-test."
        )
    fitting = sorted(fitting[: wanted[0]], key=order.index)  # mixed: what looks at the first ones sees many groups
    ones = [drawn[place][0] for place in range(whole, whole + needed)]
    return [np.array(part, np.int64) for part in (fitting, ones[: wanted[1]], ones[wanted[1] :])]
