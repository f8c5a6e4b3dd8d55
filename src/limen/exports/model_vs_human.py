"""A run's answers as model-vs-human keeps trials (`limen.imports.model_vs_human` reads them back)."""

from pathlib import Path
from urllib.parse import quote

from limen import registry
from limen.exports import _told
from limen.exports._told import Names, ToldTrial
from limen.people import recording
from limen.people.recording import CATEGORY
from limen.store import Store

COLUMNS = ("subj", "session", "trial", "rt", "object_response", "category", "condition", "imagename")
PERSON = "subject-"  # with which subj begins where it is a person
NONE = "na"  # of object_response: nobody answered, or not readably


@registry.add("export", "model-vs-human")
def to_model_vs_human(run: Path, folder: Path) -> list[Path]:
    """Trial CSVs as model-vs-human (Geirhos et al. 2021) keeps them, of people and models alike.

    One file a distortion, question, observer and session, DISTORTION.QUESTION_SUBJECT_session-1.csv, in a folder a
    distortion and question.
    `category` is what would have been right, `condition` the level (3>12 for level 12 against level 3), `rt` is in
    seconds. People are called subject-ALIAS, and no model is. The toolbox's own figures are made for 16 categories of
    objects; these rows suit its error consistency, which compares right and wrong.

    Args:
        run: a run directory.
        folder: made if it is not there; files of the same names are replaced, each at once.

    Returns:
        The files.

    Raises:
        StoreError: the run cannot be read.
        InputError: nothing was answered, or the folder cannot be written.
    """
    with Store.open(run) as store:
        _, trials = _told.told(store)
    names, files, subjects = Names("-"), list[Path](), set[str]()
    kinds, asked, pictures = Names("-", _bare), Names("-", _bare_question), _Pictures()
    for observer, group in _told.by_observer(trials):
        sheets: dict[tuple[str, int], list[ToldTrial]] = {}
        for one in group:
            dataset = f"{kinds.of(one.outcome.series.distortion)}.{asked.of(one.outcome.question)}"
            sheets.setdefault((dataset, one.sitting), []).append(one)
        subject = _subject(group[0], subjects)
        called = names.of(subject, of=observer)
        for (dataset, sitting), some in sheets.items():
            name = f"{dataset}_{called}_session-{sitting}.csv"
            rows = [_row(subject, dataset, number, one, pictures) for number, one in enumerate(some, start=1)]
            files.append(_told.write_table(folder / dataset / name, COLUMNS, rows))
    return files


def _bare(name: str) -> str:
    """Return a name as a part of a file's, which underscores divide."""
    return quote(name, safe=" ").replace("_", "-").replace("/", "-")


def _bare_question(name: str) -> str:
    return _bare(name).replace(".", "-")  # the last point stands before it


def _subject(one: ToldTrial, taken: set[str]) -> str:
    """Return what subj calls an observer; a model whose name says that it is a person is called model-NAME."""
    subject = f"{PERSON}{one.who}" if one.person else one.who
    if not one.person and subject.lower().startswith(PERSON):
        subject = f"model-{subject}"
    while subject in taken:
        subject = f"model-{subject}"
    taken.add(subject)
    return subject


class _Pictures:
    """Gives references of one name that are not one picture a number."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, int]] = {}

    def name(self, one: ToldTrial) -> str:
        known = self._known.setdefault(one.reference, {})
        number = known.setdefault(one.outcome.series.picture, len(known) + 1)
        return one.reference if number == 1 else f"{one.reference} #{number}"


def _row(subject: str, dataset: str, number: int, one: ToldTrial, pictures: _Pictures) -> tuple[object, ...]:
    probe = one.response.probe
    condition = f"{probe.reference}>{probe.level}" if probe.reference else f"{probe.level}"
    shown = one.shown.reaction_time_ms if one.shown is not None else None
    response, category = _categories(one) or (one.value or NONE, one.right or NONE)
    picture = quote(pictures.name(one), safe="").replace("_", "%5F")
    image = f"{number:04}_limen_{dataset}_{condition}_{probe.draw:02}_{picture}"
    seconds = "NaN" if shown is None else shown / 1000
    return subject, one.sitting, number, seconds, _plain(response), _plain(category), condition, image


def _categories(one: ToldTrial) -> tuple[str, str] | None:
    """Return what was answered of a picture of what, where that was the question."""
    texts = [trial.answer.text for trial in one.response.trials if trial.answer is not None]
    return recording.categories(texts[-1]) if texts and one.question.name == CATEGORY.name else None


def _plain(text: str) -> str:
    """Return an answer as one word or a few: what else it holds is left out."""
    return "".join(c if c.isalnum() or c in " .,+-_" else " " for c in text).strip()[:200] or NONE
