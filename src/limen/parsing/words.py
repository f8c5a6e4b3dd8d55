"""Numbers in words: of places and of counts."""

import re

CARDINALS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
             "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")  # fmt: skip
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def counted(word: str) -> int:
    """Return the number of a word: "3", "3rd", "third", "three", "twenty-one", "zero".

    Raises:
        ValueError: it is none.
    """
    digits = re.match(r"\d+", word)
    if digits:
        return int(digits[0])
    if word in ORDINALS:
        return ORDINALS.index(word) + 1
    if word == "zero":
        return 0
    tens, _, ones = word.replace(" ", "-").rpartition("-")
    if not tens and ones in TENS:
        tens, ones = ones, ""
    return (10 * (TENS.index(tens) + 2) if tens else 0) + (CARDINALS.index(ones) + 1 if ones else 0)
