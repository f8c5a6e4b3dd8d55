"""Forced choices among more pictures than two, and same or different."""

from limen.question import question

_ODD = "One of these {count} images differs from the others. Which one?\nAnswer with its number, 1 to {count}."
_ODD_AGAIN = "All but one of these {count} images are alike. Give the number of the odd one out, 1 to {count}."
_MORE = (
    'One of these {count} images shows more "{word}" than the others. Which one?\nAnswer with its number, 1 to {count}.'
)
_MORE_AGAIN = 'In which of the {count} images is "{word}" strongest? Give its number, 1 to {count}.'


def _counted(text: str, count: int) -> str:
    return text.replace("{count}", str(count))


for count in (3, 4):
    question(
        name=f"odd-one-out-{count}", text=_counted(_ODD, count), paraphrases=(_counted(_ODD_AGAIN, count),),
        form="odd-one-out", pictures=count,
    )  # fmt: skip
question(
    name="forced-choice-4", text=_counted(_MORE, 4), paraphrases=(_counted(_MORE_AGAIN, 4),), form="place", pictures=4
)
question(
    name="same-different",
    text="Are these two images the same or different? Please return <same> or <different> with analysis.",
    paraphrases=("Compare the first image with the second: same or different? Please return <same> or <different>.",),
    form="same-different",
)
