"""Numbers in words: of places and of counts."""

import re

CARDINALS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
             "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")  # fmt: skip
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def counted(word: str) -> int:
    """Return the number of a word: "3", "3rd", "third", "three", "twenty-one", "zero", "dozen".

    Raises:
        ValueError: it is none.
    """
    digits = re.match(r"\d+", word)
    if digits:
        return int(digits[0])
    if word in ORDINALS:
        return ORDINALS.index(word) + 1
    tens, _, ones = word.replace(" ", "-").partition("-")
    if tens in TENS:
        return 10 * (TENS.index(tens) + 2) + (CARDINALS.index(ones) + 1 if ones else 0)
    return {"zero": 0, "none": 0, "dozen": 12}.get(word) or (
        CARDINALS.index(word) + 1 if word not in {"zero", "none"} else 0
    )
