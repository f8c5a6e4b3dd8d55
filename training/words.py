"""The demo model's language: phrases and words as tokens, the answers it is taught, the tokenizer file.

Every stem, ending and distortion word of the four questions it is taught (`QUESTIONS`) is one token; any other text
is read word by word, lower case and without punctuation, and a word that is not in the vocabulary becomes `<unk>`.
The pieces of an answer are tokens too: the flag alone ("Yes", "No", "A", "B") comes first, so that its probability
can be read.
"""

import re

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from limen import question, registry

PAD, UNKNOWN, FAKE, GLOBAL, IMAGE = "<pad>", "<unk>", "<fake_token_around_image>", "<global-img>", "<image>"
END, ASK = "<end_of_utterance>", "<answer>"
SPECIAL = (PAD, UNKNOWN, FAKE, GLOBAL, IMAGE, END, ASK)
CONTEXT = 1024  # tokens; pictures, question and answer take some eighty, and servers count what may be answered
PERSPECTIVES = "perspectives"
QUESTIONS = ("direct", "direct-implicit", "choice", "choice-implicit")  # of limen's, those the model is taught
YES_IN, NO_IN = ", there is a noticeable difference in", ", there is no noticeable difference in"
NO = ", there is no noticeable difference"
_PUNCTUATION = r"""[.,;:!?"'<>()\[\]]"""


def distortions() -> dict[str, str]:
    """Return the word of each of limen's distortions by name."""
    # Not those of questions: the model is asked of pictures, and a word more would change its vocabulary.
    return {name: kind.word for name, kind in registry.every("distortion").items() if kind.of != "question"}


def _endings() -> tuple[str, ...]:
    """Return what all texts of a question share at their end, for the direct and for the choice questions."""
    found = []
    for one in map(question.find, QUESTIONS):
        text = one.fill("x")
        found.append(text[text.index("?") + 1 :].strip())
    return tuple(dict.fromkeys(found))


def pieces(text: str, word: str) -> list[str]:
    """Split a question's text into its phrases: stem, word, rest of the stem, ending."""
    ending = next(e for e in _endings() if text.endswith(e))
    stem = text[: -len(ending)].strip()
    before, quoted, after = stem.partition(f'"{word}"')
    return [f'{before}"', word, f'"{after}', ending] if quoted else [stem, ending]


def phrases() -> list[str]:
    """Return every phrase of limen's questions that is one token, without the distortions' words."""
    found: dict[str, None] = {}
    for one in map(question.find, QUESTIONS):
        for again in (0, 1):
            for text in (one.fill("\0", again), one.fill(PERSPECTIVES, again)):
                found.update(dict.fromkeys(piece for piece in pieces(text, "\0") if piece != "\0"))
    return list(found)


def normal(text: str) -> list[str]:
    """Return the words of a text as the tokenizer reads what is no phrase."""
    return re.sub(_PUNCTUATION, "", text).lower().split()


def tokenizer() -> PreTrainedTokenizerFast:
    """Make the tokenizer; a pure function of limen's questions and distortions."""
    named = [*distortions().values(), PERSPECTIVES]
    answers = ["Yes", "No", "A", "B", YES_IN, NO_IN, NO, ".", *(f" {word}" for word in named)]
    words = sorted({word for text in (*phrases(), *named) for word in normal(text)})
    vocabulary: dict[str, int] = {}
    for token in (*SPECIAL, *answers, *phrases(), *named, *words):
        vocabulary.setdefault(token, len(vocabulary))
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    inner.normalizer = normalizers.Sequence([normalizers.Replace(Regex(_PUNCTUATION), ""), normalizers.Lowercase()])
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.decoder = decoders.Fuse()
    inner.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    inner.add_tokens([AddedToken(text, normalized=False) for text in phrases()])
    inner.add_tokens([AddedToken(word, normalized=False, single_word=True) for word in named])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        unk_token=UNKNOWN,
        pad_token=PAD,
        eos_token=END,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT,
    )


class Language:
    """Token ids of questions and answers.

    Args:
        tokens: the tokenizer.
    """

    def __init__(self, tokens: PreTrainedTokenizerFast) -> None:
        self.tokens = tokens
        self.ids: dict[str, int] = tokens.get_vocab()
        self.words = {**distortions(), PERSPECTIVES: PERSPECTIVES}
        self._known: dict[tuple[str, bool, str], list[int]] = {}
        image = [self.ids[FAKE], self.ids[GLOBAL], *[self.ids[IMAGE]] * 16, self.ids[FAKE]]
        self.prefix = [*image, *image]

    def ask(self, name: str, again: bool, word: str) -> list[int]:
        """Return the ids of a question's text, phrase by phrase."""
        key = (name, again, word)
        if key not in self._known:
            one = question.find(name)
            text = one.fill(word, int(again))
            self._known[key] = [self.ids[piece] for piece in pieces(text, word)]
        return self._known[key]

    def broken(self, name: str, again: bool, word: str, rng: np.random.Generator) -> list[int]:
        """Return the ids of a question's text with phrases broken into words, as after a change of their letters.

        Each phrase is broken with probability 0.6; then each of its words is lost with probability 0.04,
        unknown with 0.1, and followed by an unknown one with 0.04.
        """
        one = question.find(name)
        text = one.fill(word, int(again))
        unknown, ids = self.ids[UNKNOWN], []
        for piece in pieces(text, word):
            if piece == word or rng.random() < 0.4:
                ids.append(self.ids[piece])
                continue
            for part in normal(piece):
                chance = rng.random()
                if chance < 0.04:
                    continue
                ids.append(unknown if chance < 0.14 else self.ids[part])
                if chance > 0.96:
                    ids.append(unknown)
        return ids

    def answer(self, yes: bool, choice: bool, word: str) -> list[int]:
        """Return the ids of an answer with its end; `word` is empty where nothing is named."""
        if choice:
            return [self.ids["A" if yes else "B"], self.ids[END]]
        if not word:
            return [self.ids[token] for token in ("No", NO, ".", END)]
        return [self.ids[token] for token in ("Yes" if yes else "No", YES_IN if yes else NO_IN, f" {word}", ".", END)]
