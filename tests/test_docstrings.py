"""Each argument of a public function of three or more has a line in its docstring: unit, range or shape."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import limen

SOURCE = Path(limen.__file__).parent
FEW = 3  # arguments, from which on each needs a line
MODULES = [
    file
    for file in sorted(SOURCE.rglob("*.py"))
    if not any(part.startswith("_") and part != "__init__.py" for part in file.relative_to(SOURCE).parts)
]


def functions(body: list[ast.stmt], owner: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from functions(node.body, f"{owner}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            decorators = " ".join(map(ast.unparse, node.decorator_list))
            if not re.search(r"overload|\.command\(|\.option\(|\.argument\(", decorators):  # options have a help text
                yield owner + node.name, node


def described(docstring: str) -> set[str]:
    """Return the arguments that the section Args has a line for."""
    _, _, section = docstring.partition("Args:\n")
    lines = re.split(r"^\S", section, maxsplit=1, flags=re.MULTILINE)[0]
    entries = re.findall(r"^    (\*{0,2}\w+(?:, \*{0,2}\w+)*): \S", lines, re.MULTILINE)
    return {name.strip("* ") for entry in entries for name in entry.split(",")}


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_arguments_have_a_line_each(file: Path) -> None:
    for name, node in functions(ast.parse(file.read_text()).body):
        given = node.args
        every = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
        wanted = {argument.arg for argument in every} - {"self", "cls"}
        if len(wanted) >= FEW:
            lacking = wanted - described(ast.get_docstring(node) or "")
            assert not lacking, f"{name} says nothing of {', '.join(sorted(lacking))} in its docstring's Args"
