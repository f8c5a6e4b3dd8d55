"""What griffe does to docstrings on the way to the site: a description that begins with "> 0" is no quotation."""

import re
from typing import Any

import griffe

BOUND = re.compile(r"^(\s+\*{0,2}\w[\w*, ]*: )>", re.MULTILINE)


class Bounds(griffe.Extension):
    """Keeps Markdown from reading a bound at the beginning of a description as a quotation."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Escape the bounds of one docstring."""
        if obj.docstring:
            obj.docstring.value = BOUND.sub(r"\1\\>", obj.docstring.value)
