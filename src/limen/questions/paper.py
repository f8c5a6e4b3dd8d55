"""The four wordings of Chen et al. (2025, arXiv:2507.00490, pipeline figure), and the forced choice of 0.1.

The paraphrases, asked once more after an unreadable answer, are ours. Digests and keys are those of limen 0.1, where a
question was three templates and a paraphrase.
"""

from limen import registry
from limen.parsing.forms import Choice, FirstOrSecond, Form, YesNo
from limen.question import Question, VerdictKind

VIEWS = "perspectives"  # the word of distortions that move the camera of a 3D scene; asked in texts of their own

_DIRECT = " Please return <yes> or <no> with analysis."
_CHOICE = "\nA. Yes; B. No\nAnswer with the option's letter from the given choices directly."
_CHOOSE = " Please return <first> or <second> with analysis."
_PAPER = (
    'Is there any noticeable difference in "{word}" between these two images?',
    "Is there any noticeable difference between these two images?",
    "Is there any noticeable difference in the perspectives of these two images?",
)
_OURS = (
    'Compare the first image with the second. Do they differ noticeably in "{word}"?',
    "Compare the first image with the second. Do they differ noticeably?",
    "Compare the first image with the second. Do their perspectives differ noticeably?",
)
_MORE_WORDINGS = (  # asked only where a study asks for the spread over wordings
    (
        'Look at both images. Can you see a difference in "{word}" between them?',
        "Look at both images. Can you see a difference between them?",
        "Look at both images. Can you see a difference between their perspectives?",
    ),
    (
        'Do these two images look noticeably different in "{word}"?',
        "Do these two images look noticeably different?",
        "Do these two images look noticeably different in their perspectives?",
    ),
    (
        'Has "{word}" changed noticeably from the first image to the second?',
        "Has anything changed noticeably from the first image to the second?",
        "Has the perspective changed noticeably from the first image to the second?",
    ),
    (
        'Could you tell the second image from the first by its "{word}"?',
        "Could you tell the second image from the first?",
        "Could you tell the second image from the first by its perspective?",
    ),
)
_MORE = (
    'Which of these two images shows more "{word}", the first or the second?',
    *["Which of these two images is more distorted, the first or the second?"] * 2,
)
_MORE_OURS = (
    'Compare the first image with the second. Is "{word}" stronger in the first or in the second?',
    *["Compare the first image with the second. Is the first or the second more distorted?"] * 2,
)


def _add(
    name: str, form: Form, ending: str, implicit: bool = False, verdict: VerdictKind = VerdictKind.DIFFERS,
    stems: tuple[tuple[str, ...], tuple[str, ...]] = (_PAPER, _OURS),
) -> None:  # fmt: skip
    differs = verdict is VerdictKind.DIFFERS
    texts = [[stem + ending for stem in wording] for wording in (*stems, *(_MORE_WORDINGS if differs else ()))]
    text, *others = (wording[implicit] for wording in texts)
    views = tuple(wording[2] for wording in texts)
    made = Question(
        name, text, tuple(others), form, ("yes",) if differs else (), verdict, special=((VIEWS, views),),
        identity=(*texts[0], *texts[1], implicit),
    )  # fmt: skip
    registry.add("question", name)(made)


_add("direct", YesNo(), _DIRECT)
_add("direct-implicit", YesNo(), _DIRECT, implicit=True)
_add("choice", Choice(), _CHOICE)
_add("choice-implicit", Choice(), _CHOICE, implicit=True)
_add("forced-choice", FirstOrSecond(), _CHOOSE, verdict=VerdictKind.PICKS, stems=(_MORE, _MORE_OURS))
