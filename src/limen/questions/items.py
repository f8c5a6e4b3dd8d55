"""An item's own question, asked of the reference and of the stimulus, each alone."""

from limen.question import VerdictKind, question

_AGAIN = "Look at the picture and answer the question.\n{item}"

question(name="answer-changes", text="{item}", paraphrases=(_AGAIN,), verdict=VerdictKind.CHANGES)
question(name="answer-wrong", text="{item}", paraphrases=(_AGAIN,), verdict=VerdictKind.WRONG)
