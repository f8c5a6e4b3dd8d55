"""A figure of a report in Python's hands: shown by a notebook, saved for a paper."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from limen.errors import InputError
from limen.report import figures

SCALE = 3  # of a PNG: 760 px at three dots each are 17 cm at 340 dpi


@dataclass(frozen=True)
class Figure:
    """One figure of a report, in the colours of print.

    Attributes:
        name: of its file, without suffix.
        label: what it shows, in a sentence; "" where the figure's own title says it.
        spec: Vega-Lite, for whoever draws it in another way.

    Example:
        >>> import limen
        >>> run = limen.measure("demo", "simulated", "blur", limit=2)
        >>> figure = run.figures()["first-jnds"]
        >>> figure.label
        '1st JND levels: mean with interval, for each distortion and observer'
        >>> figure.encode(".svg")[:4]
        b'<svg'
    """

    name: str
    label: str
    spec: figures.Spec = field(repr=False)

    def _repr_svg_(self) -> str:
        return figures.on_paper(self.spec)

    def encode(self, suffix: str) -> bytes:
        """Return the figure as a file.

        Args:
            suffix: of the format: ".svg", ".png" or ".pdf".

        Raises:
            InputError: another format.
        """
        if suffix not in _ENCODERS:
            raise InputError(f"A figure is not saved as {suffix!r}. Give a name that ends in {', '.join(_ENCODERS)}.")
        return _ENCODERS[suffix](self.spec)

    def save(self, path: str | Path) -> Path:
        """Write the figure, in the format that the name's suffix says (.svg, .png, .pdf), and return the path.

        Args:
            path: of the file; folders above it are made.

        Raises:
            InputError: another format, or a file that cannot be written.
        """
        from limen.report import files

        return files.write(Path(path), self.encode(Path(path).suffix.lower()), files.ELSEWHERE)


def _svg(spec: figures.Spec) -> bytes:
    return figures.on_paper(spec).encode("utf-8", "replace")


def _pdf(spec: figures.Spec) -> bytes:
    import vl_convert

    drawn: bytes = vl_convert.svg_to_pdf(figures.on_paper(spec))
    return drawn


_ENCODERS: dict[str, Callable[[figures.Spec], bytes]] = {
    ".svg": _svg, ".png": lambda spec: figures.as_png(spec, SCALE), ".pdf": _pdf,
}  # fmt: skip
