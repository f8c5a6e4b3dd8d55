"""The tasks `limen/jnd` and `limen/ask`."""

from pathlib import Path
from typing import Any

import click
from inspect_ai import Task, task
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.dataset import MemoryDataset
from inspect_ai.model import GenerateConfig, ModelOutput, ModelUsage
from inspect_ai.solver import Generate, Solver, TaskState, solver

from limen import registry
from limen.errors import InputError, LimenError
from limen.inspect.records import PLACE, plain, sample_record
from limen.inspect.scoring import thresholds, verdict
from limen.inspect.source import StudySource, refusal
from limen.observers.inspect import MAX_TOKENS, TEMPERATURE
from limen.study import Spec, ladders, load
from limen.trial import Answer

Names = str | list[str] | None


@task
def jnd(
    images: Names = None,
    distortion: Names = None,
    question: Names = None,
    procedure: str | None = None,
    settings: dict[str, Any] | None = None,
    limit: int | None = None,
    jnds: int | None = None,
    order: str | None = None,
    paraphrases: int | None = None,
    ladder: Names = None,
    max_side: int | None = None,
    seed: int | None = None,
    identical_pairs: bool = True,
    study: str | None = None,
    plugin: Names = None,
    temperature: float | str = TEMPERATURE,
    out: str = "",
) -> Task:
    """Measure just noticeable differences: from which level of a distortion on does the model notice it?

    The same questions and thresholds as `limen measure`.

    Args:
        images: file or folder of images, demo, scene, or KIND=PATH; several as a list.
        distortion: by name, several as a list; all that fit the references if not given.
        question: of `limen list questions` (direct).
        procedure: of `limen list procedures` (skip).
        settings: of the procedure ({"gap": 1}).
        limit: at most so many references of each kind. Inspect's own --limit counts questions instead.
        jnds: how many JNDs to look for in each series; 0 for all (1).
        order: in which a pair is shown: reference-first, swapped, balanced or ref-question-test.
        paraphrases: in how many other wordings each question is asked too (0).
        ladder: strengths of your own: blur=1,2,4 or blur=0.5..16x20; several as a list.
        max_side: scale photographs down to that many px on the longer side first.
        seed: of the random draws of stimuli.
        identical_pairs: also show each reference with itself, for the false-alarm rate.
        study: a study file (TOML) that says all this; its observers are not looked at.
        plugin: Python files that add distortions, questions and so on.
        temperature: of the decoding where --temperature is not given; "none" leaves it to the provider.
        out: a run directory of limen's to measure into, and to resume; a temporary one if not given.
    """
    given = {
        "images": _list(images), "distortions": _list(distortion), "questions": _list(question), "limit": limit,
        "order": order, "paraphrases": paraphrases, "max_side": max_side, "seed": seed, "plugins": _list(plugin),
        "identical_pairs": None if identical_pairs else False,
    }  # fmt: skip
    return _task("jnd", given, procedure, {**(settings or {}), **_set(orders=jnds)}, ladder, study, temperature, out)


@task
def ask(
    file: Names = None,
    images: Names = None,
    distortion: Names = None,
    question: Names = "answer-changes",
    procedure: str | None = None,
    settings: dict[str, Any] | None = None,
    limit: int | None = None,
    ladder: Names = None,
    max_side: int | None = None,
    seed: int | None = None,
    identical_pairs: bool = True,
    plugin: Names = None,
    temperature: float | str = TEMPERATURE,
    out: str = "",
) -> Task:
    """Measure from which level of a distortion on a model's answer to questions about pictures changes.

    The same questions and thresholds as `limen measure --ask FILE`.

    Args:
        file: questions of your own with their pictures (JSONL, CSV, TSV, Parquet); several as a list.
        images: or where items come from: demo-items, KIND=PATH.
        distortion: as for `jnd`.
        question: answer-changes or answer-wrong.
        procedure: as for `jnd`.
        settings: as for `jnd`.
        limit: as for `jnd`.
        ladder: as for `jnd`.
        max_side: as for `jnd`.
        seed: as for `jnd`.
        identical_pairs: also ask of each reference with one grey level more or less at each sample, for the unrest.
        plugin: as for `jnd`.
        temperature: as for `jnd`.
        out: as for `jnd`.
    """
    places = [*_list(images), *(f"items={one}" for one in _list(file))]
    given = {
        "images": places or ["demo-items"], "distortions": _list(distortion), "questions": _list(question),
        "limit": limit, "max_side": max_side, "seed": seed, "plugins": _list(plugin),
        "identical_pairs": None if identical_pairs else False,
    }  # fmt: skip
    return _task("ask", given, procedure, settings or {}, ladder, None, temperature, out)


def _task(
    name: str, given: dict[str, Any], procedure: str | None, settings: dict[str, Any], ladder: Names,
    study: str | None, temperature: float | str, out: str,
) -> Task:  # fmt: skip
    context = click.get_current_context(silent=True)  # of Inspect's command line: before anything is planned
    given_there = context.params if context is not None else {}
    if told := refusal(given_there.get("epochs"), given_there.get("sample_id")):
        raise PrerequisiteError(f"limen/{name}: {told}")
    try:
        spec = _spec(name, given, procedure, settings, ladder, study, bool(out))
        source = StudySource(spec, out)
    except LimenError as error:
        raise PrerequisiteError(f"limen/{name}: {error}") from error
    if temperature != "none" and not isinstance(temperature, int | float):
        raise PrerequisiteError(f"limen/{name}: temperature is {temperature!r}. Give a number, or none.")
    record = source.record
    made = Task(
        dataset=source,
        solver=put(),
        scorer=verdict(record.manifest),
        metrics=[thresholds(record.task)],
        config=GenerateConfig(temperature=None if temperature == "none" else float(temperature), max_tokens=MAX_TOKENS),
        version=1,
        metadata={PLACE: plain(record)},
        name=name,
        description="Just noticeable differences by limen." if name == "jnd" else "Answers that change, by limen.",
    )
    shown = ", ".join(Path(place).name or place for place in spec.images)  # no path of anybody's
    made.dataset = MemoryDataset([], name=shown)  # a source of samples has no name of its own
    return made


def _spec(
    name: str, given: dict[str, Any], procedure: str | None, settings: dict[str, Any], ladder: Names,
    study: str | None, kept: bool,
) -> Spec:  # fmt: skip
    changes = {key: value for key, value in given.items() if value not in (None, [])}
    if procedure or settings:
        changes["procedure"] = _set(name=procedure) | settings
    if ladder:
        changes["ladders"] = dict(map(ladders.of_text, _ladders(ladder)))
    changes |= {"look_ahead": 0, "floor": False} | ({} if kept else {"keep_megabytes": 0})
    if study is not None:
        return load(Path(study), changes | {"observers": ["inspect"]})
    if "images" not in changes:
        raise InputError("give -T images=PLACE (a file, a folder, demo, scene, KIND=PATH), or -T study=FILE.")
    return registry.settings(f"limen/{name}", changes | {"observers": ["inspect"]}, Spec)


def _list(names: Names) -> list[str]:
    """Return names given as one, with commas between them, or as a list; numbers are none of ours."""
    if names is None:
        return []
    parts = names.split(",") if isinstance(names, str) else names
    return [str(part).strip() for part in parts if str(part).strip()]


def _ladders(given: Names) -> list[str]:
    """Return ladders, which Inspect's command line cuts at their commas: a part without a name goes with the last."""
    found: list[str] = []
    for part in _list(given):
        if "=" in part or not found:
            found.append(part)
        else:
            found[-1] += f",{part}"
    return found


def _set(**given: Any) -> dict[str, Any]:
    return {key: value for key, value in given.items() if value is not None}


@solver
def put() -> Solver:
    """Put one question to the model, once; an answer that the run holds already is put out instead."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        record = sample_record(state.metadata)
        if record.trial is None:
            return state
        if record.stored is None:
            return await generate(state)
        state.output = output_of(record.stored, str(state.model))
        state.messages.append(state.output.message)
        return state

    return solve


_STOP = {"stop": "stop", "length": "max_tokens", "content_filter": "content_filter"}


def output_of(answer: Answer, model: str = "") -> ModelOutput:
    """Return an answer of limen's as Inspect has it, such that `answer_of` gives the answer back.

    Args:
        answer: of limen's.
        model: that gave it, where it does not say itself; "" to leave that open.
    """
    reason: Any = _STOP.get(answer.finish, "unknown")
    output = ModelOutput.from_content(answer.model or model, answer.text, stop_reason=reason)
    if answer.tokens_in is not None or answer.tokens_out is not None:
        tokens = answer.tokens_in or 0, answer.tokens_out or 0
        output.usage = ModelUsage(input_tokens=tokens[0], output_tokens=tokens[1], total_tokens=sum(tokens))
    output.time = answer.seconds
    if answer.p_yes is not None:
        output.metadata = {PLACE: {"p_yes": answer.p_yes, "p_neither": answer.p_neither}}
    return output
