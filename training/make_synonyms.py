"""Make the words that text distortions draw from, out of WordNet 3.0: always the same, byte for byte.

    apt-get download wordnet-base && dpkg-deb -x wordnet-base_*.deb /tmp/wordnet
    python training/make_synonyms.py /tmp/wordnet/usr/share/wordnet

`synonyms.txt` here, lemmas, was chosen by eye; each pair is held to WordNet: both lie in one synset, which is among
the word's first five senses (WordNet orders them by how often each was met in texts). A form ("shows") becomes a line
only if it is a form of that part of speech in at least 60 % of the cases that WordNet's tagged texts let one expect:
the tag count of each lemma that has this form, plus its number of senses, and a fraction of it where the form is an
inflected one, because tags count lemmas. "sign" (36 as a noun, 40 as a verb) is left alone, and so is "building".
"""

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / "src" / "limen" / "data" / "words"
FILES = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
OF_NUMBER = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}
INFLECTED = {"n": 1 / 2, "v": 1 / 4, "a": 1 / 4, "r": 1 / 4}  # of a lemma's occurrences, in one inflected form
MOST_SENSES = 5
LEAST_SHARE = 0.6
IRREGULAR = {  # past, participle; of the verbs of synonyms.txt (WordNet's list does not say which is which)
    "begin": ("began", "begun"),
    "build": ("built", "built"),
    "buy": ("bought", "bought"),
    "choose": ("chose", "chosen"),
    "find": ("found", "found"),
    "foretell": ("foretold", "foretold"),
    "hide": ("hid", "hidden"),
    "hold": ("held", "held"),
    "leap": ("leapt", "leapt"),
    "make": ("made", "made"),
    "say": ("said", "said"),
    "show": ("showed", "shown"),
    "sleep": ("slept", "slept"),
    "speak": ("spoke", "spoken"),
    "stand": ("stood", "stood"),
    "think": ("thought", "thought"),
}
DOUBLED = {"begin", "big", "infer", "occur", "omit", "permit", "stop"}
PLURALS = {
    "child": "children", "epoch": "epochs", "person": "persons", "policeman": "policemen",
    "police officer": "police officers", "taxi": "taxis", "photo": "photos", "auto": "autos",
}  # fmt: skip
SINGULAR_ONLY = {"luggage", "baggage", "dirt", "soil", "flooring", "middle", "center", "centre", "breadth", "width"}
GRADED = {"big", "broad", "large", "quick", "speedy", "wide"}  # with -er and -est
PLURAL_ONLY = {"glasses", "spectacles", "eyeglasses", "stairs", "steps", "woods"}
FIXED = {  # expressions that WordNet lacks
    "a result", "bus stops", "clock show", "clock shows", "clocks show", "country music", "greenhouse effect",
    "in motion", "make use", "makes use", "making use", "stop light", "stop lights", "stop sign", "stop signs",
    "take part", "taken part", "takes part", "taking part", "tennis shoes", "show me", "show that", "show you",
    "shown that", "shows that", "the very", "what use",
}  # fmt: skip
# Of random words: what is not seen in a picture, so that none names a thing that might be in it.
ABSTRACT = {"04", "07", "09", "10", "11", "12", "16", "19", "24", "26", "28"}  # noun.act, attribute, cognition, ...


@dataclass
class WordNet:
    """What is needed of WordNet's files."""

    senses: dict[tuple[str, str], list[str]] = field(default_factory=dict)  # (lemma, part of speech): synsets
    words: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)  # (part of speech, synset): lemmas
    topic: dict[tuple[str, str], str] = field(default_factory=dict)  # (part of speech, synset): lexicographer's file
    tags: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))

    @classmethod
    def read(cls, folder: Path) -> "WordNet":
        self = cls()
        for kind, file in FILES.items():
            for fields in lines(folder / f"index.{file}"):
                self.senses[fields[0], kind] = fields[-int(fields[2]) :]
            for fields in lines(folder / f"data.{file}"):
                key = kind, fields[0]
                self.words[key] = tuple(
                    re.sub(r"\(.*\)", "", one) for one in fields[4 : 4 + 2 * int(fields[3], 16) : 2]
                )
                self.topic[key] = fields[1]
        for key, _, count in lines(folder / "cntlist.rev"):
            lemma, rest = key.split("%")
            kind = OF_NUMBER[rest[0]]
            self.tags[lemma, kind] += int(count)
        return self

    def weight(self, lemma: str, kind: str) -> float:
        """How often a lemma is met: its tags, and its senses, so that words without tags weigh something too."""
        return self.tags.get((lemma, kind), 0) + len(self.senses.get((lemma, kind), ()))

    def are_synonyms(self, kind: str, lemma: str, other: str) -> bool:
        found = self.senses.get((lemma, kind), [])[:MOST_SENSES]
        return any(other in map(str.lower, self.words[kind, synset]) for synset in found)


def lines(file: Path) -> Iterator[list[str]]:
    for line in file.read_text("ascii").splitlines():
        if not line.startswith("  "):  # the licence
            yield line.split()


def forms(kind: str, lemma: str) -> tuple[str, ...]:
    """Return the forms of a lemma, in a fixed order that is the same for all lemmas of a kind; "" for none."""
    head, _, rest = lemma.partition("_") if kind == "v" else (lemma.replace("_", " "), "", "")
    tail = f" {rest.replace('_', ' ')}" if rest else ""
    if kind == "n":
        if head in PLURAL_ONLY:
            return "", head
        return head, "" if head in SINGULAR_ONLY else PLURALS.get(head) or with_s(head)
    if kind == "v":
        stem = head[:-1] if head.endswith("e") else head + head[-1] if head in DOUBLED else head
        past, participle = IRREGULAR.get(head) or (regular_past(head),) * 2
        found = tuple(form + tail for form in (head, with_s(head), stem + "ing", past, participle))
        return (*found[:3], "", "") if rest == "for" else found  # not "is stood for by"
    if kind == "a" and head in GRADED:
        stem = head[:-1] + "i" if head.endswith("y") else head + head[-1] if head in DOUBLED else head.removesuffix("e")
        return head, stem + "er", stem + "est"
    return head, "", ""


def with_s(word: str) -> str:
    if re.search("(s|x|z|ch|sh)$", word):
        return word + "es"
    return word[:-1] + "ies" if re.search("[^aeiou]y$", word) else word + "s"


def regular_past(word: str) -> str:
    if word.endswith("e"):
        return word + "d"
    if re.search("[^aeiou]y$", word):
        return word[:-1] + "ied"
    return word + (word[-1] if word in DOUBLED else "") + "ed"


def chosen() -> Iterator[tuple[str, str, list[str]]]:
    for line in (HERE / "synonyms.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            head, synonyms = line.split(":")
            kind, lemma = head.split()
            yield kind, lemma, synonyms.split()


def readings(wordnet: WordNet) -> dict[str, dict[tuple[str, str], float]]:
    """Return, for each form, how often it is met as which lemma and part of speech."""
    found: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    for lemma, kind in wordnet.senses:
        if not re.fullmatch("[a-z]+", lemma):
            continue
        for place, form in enumerate(forms(kind, lemma)):
            share = INFLECTED[kind] if place else 1.0
            if form and found[form].get((lemma, kind), 0.0) < wordnet.weight(lemma, kind) * share:
                found[form][lemma, kind] = wordnet.weight(lemma, kind) * share
    return found


def table(wordnet: WordNet) -> dict[str, tuple[str, list[str]]]:
    """Return part of speech and synonyms of each form."""
    found: dict[str, tuple[str, list[str]]] = {}
    everything = readings(wordnet)
    for kind, lemma, synonyms in chosen():
        for synonym in synonyms:
            if not wordnet.are_synonyms(kind, lemma, synonym):
                raise SystemExit(f"{lemma}: WordNet has no {synonym} among its first {MOST_SENSES} senses ({kind}).")
        others = [forms(kind, synonym) for synonym in synonyms]
        own = forms(kind, lemma)
        for place, form in enumerate(own):
            alike = [other for other in range(len(own)) if own[other] == form]  # past and participle: which is meant?
            given = [one[place] for one in others if one[place] and len({one[other] for other in alike}) == 1]
            here = everything[form]
            # WordNet has some comparatives as lemmas ("larger"): the same part of speech is enough for adjectives.
            same = sum(many for (one, other), many in here.items() if other == kind and (one == lemma or kind == "a"))
            share = same / (sum(here.values()) or 1.0)
            if form and given and share < LEAST_SHARE:
                print(f"left alone: {form} ({kind}, {share:.0%})")
            elif form and given:
                found[form] = kind, given
    return found


def collocations(wordnet: WordNet, words: Iterable[str]) -> set[str]:
    """Return WordNet's expressions of two words, one of which would be replaced: "car door", "picture frame"."""
    words = set(words)
    found = {one for one in FIXED if words & set(one.split())}
    for lemma, kind in wordnet.senses:
        if re.fullmatch("[a-z]+_[a-z]+", lemma):
            first, second = lemma.split("_")
            for one in {second, *(forms("n", second) if kind == "n" else ())}:
                if one and {first, one} & words:
                    found.add(f"{first} {one}")
    return found


def abstract(wordnet: WordNet) -> list[str]:
    """Return the words of random_words.txt, chosen by eye, that WordNet has as nouns for what cannot be seen."""
    words = sorted(set((HERE / "random_words.txt").read_text().split()))
    for word in words:
        first = wordnet.senses.get((word, "n"), [""])[0]
        if wordnet.topic.get(("n", first)) not in ABSTRACT:
            raise SystemExit(f"{word}: WordNet has it for something that may be in a picture.")
    return words


def main() -> None:
    wordnet = WordNet.read(Path(sys.argv[1]))
    synonyms = table(wordnet)
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = {
        "synonyms.txt": [f"{form}\t{kind}\t{'|'.join(given)}" for form, (kind, given) in sorted(synonyms.items())],
        "collocations.txt": sorted(collocations(wordnet, synonyms)),
        "random.txt": abstract(wordnet),
    }
    for name, content in made.items():
        (FOLDER / name).write_text("\n".join(content) + "\n", "ascii")
        print(f"{name}: {len(content):,} lines, {(FOLDER / name).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
