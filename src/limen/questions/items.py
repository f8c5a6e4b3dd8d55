"""An item's own question, asked of the reference and of the stimulus, each alone."""

from limen.question import VerdictKind, question

_OTHERS = (
    "Look at the picture and answer the question.\n{item}",
    "This is a question about the picture.\n{item}",
    "{item}\nLook closely before you answer.",
    "Please answer this from what the picture shows.\n{item}",
    "Here is a picture, and a question about it.\n{item}",
)

question(name="answer-changes", text="{item}", paraphrases=_OTHERS, verdict=VerdictKind.CHANGES)
question(name="answer-wrong", text="{item}", paraphrases=_OTHERS, verdict=VerdictKind.WRONG)
