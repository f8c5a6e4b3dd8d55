"""Writes docs/reference/entry-points.md, how a distribution adds to each shelf: python docs/scripts/entry_points.py."""

import ast
import importlib
import inspect
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limen import registry

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "entry-points.md"
EXAMPLE = ROOT / "examples" / "limen-plugin-example" / "src" / "limen_plugin_example"
HEAD = """# Entry points

A distribution adds to limen by an [entry point](https://packaging.python.org/en/latest/specifications/entry-points/)
in one of {count} groups, a line in its `pyproject.toml` for each module:

```toml
[project.entry-points."limen.distortions"]
pixelate = "limen_plugin_example.pixelate"
```

limen imports that module when the shelf is first looked at, and the module registers what it holds, by the names that
`limen list` then shows. A module may register several things; what counts is the name given to the decorator, not the
entry point's. Import heavy libraries inside functions: every command that looks at the shelf imports the module.
[examples/limen-plugin-example](../../examples/limen-plugin-example/README.md) is such a distribution, with tests. A
single file needs none: `--plugin FILE` ([how](../howto/plugins.md#without-a-package-a-file-of-your-own)).

**Say which limen it is made for**, in `dependencies`: `"limen>=0.1,<0.2"`. Where another limen runs, the plug-in is
not loaded.

**What cannot be used is left out** with one warning on stderr that names the distribution, file and line, and
everything else goes on: a module that raises or is not there, one that takes a name that is taken (limen's own come
first), one that registers nothing, one made for another limen. A name that is then not found names the plug-in. In
Python the warning is a `limen.errors.PluginWarning`, and points at the line of yours that looked.

Whatever decides an answer or a pixel belongs into what is kept: an observer's `fingerprint`, a distortion's `version`.
`limen.testing` checks a plug-in: `check_distortion`, `check_observer`, `check_procedure`.
"""
WIDTH = 100


@dataclass(frozen=True)
class Shelf:
    """What the page says of a shelf.

    Attributes:
        what: is registered, in a line.
        used: how it is named on the command line.
        register: what registers it, as `module:name`.
        parts: what it is made of, as `module:name` or `module:Class.method`, with their real signatures.
        example: a module of the example distribution, or code.
    """

    what: str
    used: str
    register: str
    parts: tuple[str, ...]
    example: str


SHELVES = {
    "distortion": Shelf(
        "A function of an image and a random generator, which returns a function of a strength.",
        "--distortion NAME",
        "limen.distortion:distortion",
        ("limen.distortion:Distortion", "limen.ladder:Ladder"),
        "pixelate",
    ),
    "export": Shelf(
        "A function of a run directory and of where to write, which returns the files it wrote.",
        "limen export RUN --to NAME --out PATH",
        "limen.registry:add",
        ("limen.exports.parquet:to_parquet",),
        '''
        """The table of JNDs as one JSON file."""

        from pathlib import Path

        import orjson

        import limen
        from limen import registry


        @registry.add("export", "jnds-json")
        def to_json(run: Path, place: Path) -> list[Path]:
            """The table of JNDs as JSON."""
            rows = limen.open(run).to_dicts()
            place.write_bytes(orjson.dumps(rows))
            return [place]
        ''',
    ),
    "import": Shelf(
        "A function of what others recorded, of a run directory to write, and of whom to tell how far it is; returns "
        "lines for a person.",
        "limen import NAME=PATH --out RUN",
        "limen.registry:add",
        ("limen.imports.inspect:from_inspect",),
        '''
        """A run that lies in a zip file."""

        import shutil
        from collections.abc import Callable
        from pathlib import Path

        import limen
        from limen import registry


        @registry.add("import", "zip")
        def from_zip(place: str, run: Path, tell: Callable[[int, int], None]) -> list[str]:
            """A run directory in a zip file."""
            shutil.unpack_archive(place, run, "zip")
            return [f"{len(limen.open(run).jnds)} series are in {run}."]
        ''',
    ),
    "observer": Shelf(
        "A class derived from `Observer`, with a struct of its settings; or a function of two pictures.",
        "--observer NAME or NAME:MODEL",
        "limen.observer:observer",
        ("limen.observer:Observer.fingerprint", "limen.observer:Observer.answer", "limen.observer:Reply"),
        "edges",
    ),
    "procedure": Shelf(
        "A struct of settings with a method that yields what it wants asked and returns thresholds. Pure.",
        "--procedure NAME",
        "limen.procedure:procedure",
        (
            "limen.procedure:Method.start",
            "limen.procedure:Learner.learn",
            "limen.procedure:Ask",
            "limen.threshold:Threshold",
        ),
        "climb",
    ),
    "question": Shelf(
        "Data: text, paraphrases, the form of the answer, and which answers mean that a difference is noticed.",
        "--question NAME",
        "limen.question:question",
        ("limen.question:QuestionOptions",),
        "as_fine",
    ),
    "scene": Shelf(
        "A function that builds a world, the same each time; `angle` and `distance` turn and move the camera in it.",
        "--images scene=NAME",
        "limen.scenes.scene:scene",
        ("limen.scenes.rendering.world:World", "limen.scenes.rendering.world:CameraRegion"),
        '''
        """A box on a floor, under an even sky."""

        import numpy as np

        from limen.scenes.rendering.surface import box, quad
        from limen.scenes.rendering.world import CameraRegion, Material, Sky, World
        from limen.scenes.scene import scene


        @scene("plinth")
        def plinth() -> World:
            """A red box on a grey floor."""
            floor = quad((-3, -3, 0), (6, 0, 0), (0, 6, 0), "floor", texel=0.2)
            return World(
                patches=(floor, *box((-0.5, -0.5, 0), (0.5, 0.5, 1), "box", texel=0.1)),
                materials={"floor": Material((0.5, 0.5, 0.5)), "box": Material((0.7, 0.1, 0.1))},
                textures={"even": lambda: np.full((4, 8, 3), 0.8, dtype=np.float32)},
                sky=Sky("even", (180.0, -180.0), (-90.0, 90.0)),
                bounds=((-2.5, -2.5, 0.2), (2.5, 2.5, 2.0)),
                places=(CameraRegion((-2, -2, 1), (-1.5, 2, 1.6), (-0.3, -0.3, 0.3), (0.3, 0.3, 0.7)),),
            )
        ''',
    ),
    "source": Shelf(
        "A function of what stands behind `NAME=`, which yields references, and one line for what cannot be used.",
        "--images NAME=PATH",
        "limen.source:source",
        ("limen.source:Reference", "limen.source:Refusal", "limen.source:of_file"),
        "checkers",
    ),
    "task": Shelf(
        "A class made without arguments that knows one kind of output of a network.",
        "limen feature fit --task NAME",
        "limen.registry:add",
        tuple(
            f"limen.feature.task:Task.{name}"
            for name in (
                "outputs",
                "check",
                "discrepancy",
                "sampled",
                "drop",
                "evidence",
                "answers",
                "scores",
                "interval",
            )
        ),
        '''
        """Classification that counts a class as kept while it is among the first five."""

        from typing import ClassVar

        import torch
        from torch import Tensor

        from limen import registry
        from limen.feature.model.split import Outputs
        from limen.feature.tasks.classification import ClassificationTask


        @registry.add("task", "top-five")
        class TopFive(ClassificationTask):
            """As classification, with another loss besides."""

            name = "top-five"
            drops: ClassVar[dict[str, str]] = {**ClassificationTask.drops, "top5": "1 where the class left the first 5"}

            def drop(self, clean: Outputs, perturbed: Outputs, kind: str) -> Tensor:
                """Return the loss of each image (N,)."""
                if kind != "top5":
                    return super().drop(clean, perturbed, kind)
                best = clean["logits"].argmax(dim=1, keepdim=True)
                five = perturbed["logits"].topk(min(5, perturbed["logits"].shape[1]), dim=1).indices
                return 1 - (five == best).any(dim=1).to(torch.float32)
        ''',
    ),
    "tolerance": Shelf(
        "A class, made with its struct `Settings`, that gives magnitudes for features; it learns from fitting images.",
        "limen feature fit --map NAME",
        "limen.registry:add",
        tuple(f"limen.feature.tolerance:Tolerance.{name}" for name in ("fit", "map", "state", "load")),
        '''
        """In proportion to the features themselves."""

        from collections.abc import Mapping, Sequence

        import msgspec
        from torch import Tensor

        from limen import registry
        from limen.feature.model.split import Features
        from limen.feature.perturbation import Tensors
        from limen.feature.tolerance import Scope


        class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
            """Settings: `floor`, the least magnitude."""

            floor: float = 0.01


        @registry.add("tolerance", "proportional")
        class Proportional:
            """As large as the feature."""

            Settings = Settings
            noise = "signs"

            def __init__(self, settings: Settings) -> None:
                self.settings = settings

            def fit(self, scope: Scope) -> None:
                """Learn nothing."""

            def map(self, features: Features, names: Sequence[str] = ()) -> Tensors:
                return tuple(tensor.abs() + self.settings.floor for tensor in features.tensors)

            def state(self) -> dict[str, Tensor]:
                return {}

            def load(self, state: Mapping[str, Tensor], scope: Scope) -> None:
                """Take nothing."""
        ''',
    ),
}


def signature(place: str) -> str:
    """Return how something is called, in the words of its source, and the first line of its docstring."""
    module, _, name = place.partition(":")
    thing: Any = importlib.import_module(module)
    for part in name.split("."):
        thing = getattr(thing, part)
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(thing))).body
    path = name if "." in name else f"{module}.{name}"
    if isinstance(node, ast.ClassDef):
        fields = [one for one in node.body if isinstance(one, ast.AnnAssign)]
        head, ends = path, [ast.unparse(one) for one in fields]
    else:
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        waits = "await " if isinstance(node, ast.AsyncFunctionDef) else ""
        head, ends = f"{waits}{path}", arguments(node.args)
    returns = f" -> {ast.unparse(node.returns)}" if getattr(node, "returns", None) else ""
    line = f"{head}({', '.join(ends)}){returns}"
    if len(line) > WIDTH:
        line = "\n".join([f"{head}(", *(f"        {end}," for end in ends), f"    ){returns}"])
    first = (inspect.getdoc(thing) or "").split("\n")[0]
    return f"{line}\n{textwrap.fill(first, WIDTH, initial_indent='    ', subsequent_indent='    ')}\n"


def arguments(given: ast.arguments) -> list[str]:
    """Return a function's arguments as they are written, a text each."""
    least = len(given.args) - len(given.defaults)
    placed = [
        ast.unparse(one) + (f" = {ast.unparse(given.defaults[i - least])}" if i >= least else "")
        for i, one in enumerate(given.args)
        if one.arg != "self"
    ]
    named = [
        ast.unparse(one) + (f" = {ast.unparse(default)}" if default is not None else "")
        for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
    ]
    rest = [f"**{ast.unparse(given.kwarg)}"] if given.kwarg else []
    return [*placed, *(["*"] if named else []), *named, *rest]


def code(shelf: Shelf) -> str:
    """Return a shelf's example."""
    file = EXAMPLE / f"{shelf.example}.py"
    return file.read_text(encoding="utf-8") if shelf.example.isidentifier() else textwrap.dedent(shelf.example).lstrip()


def page() -> str:
    """Return the page."""
    parts = [HEAD.format(count=len(registry.SHELVES))]
    for noun, place in registry.SHELVES.items():
        shelf = SHELVES[noun]
        told = "\n".join(map(signature, (shelf.register, *shelf.parts))).rstrip()
        parts.append(
            f"## `limen.{place}`\n\n{shelf.what} `limen list {place.rpartition('.')[2]}`; used as `{shelf.used}`.\n\n"
            f"```text\n{told}\n```\n\n```python\n{code(shelf)}```\n"
        )
    parts.append("`python docs/scripts/entry_points.py` writes this page from the code.\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
