"""Whether two pictures are made of equally fine pixels."""

from limen.question import question

question(
    name="as-fine",
    text="Is the second image made of pixels as fine as those of the first? Reply with yes or no.",
    paraphrases=("Are the pixels of these two images of the same size? Yes or no.",),
    notices=("no",),
)
