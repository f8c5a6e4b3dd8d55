"""The viewer: every answer beside the stimuli it is about, for a page that a person can look around in.

Python gathers facts and draws the pictures (`limen.report.viewer_data`); the page's own script shows them.
"""

import base64
import gzip
import hashlib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from limen.report.embedded_images import Gallery

EMBED = 12.0  # MB of pictures in the page
SCRIPTS = ("viewer.js", "test.js")


def section(content: Mapping[str, Any], kept: Gallery) -> dict[str, Any]:
    """Return what the template needs: markup, style, scripts, data, and the policy that allows just these.

    Args:
        content: of `limen.report.viewer_data.data`.
        kept: the pictures it counts on.
    """
    from markupsafe import Markup

    folder = files("limen").joinpath("report")
    scripts = [folder.joinpath(name).read_text(encoding="utf-8") for name in SCRIPTS]
    packed = gzip.compress(orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS), 6, mtime=0)
    return {
        "markup": Markup(folder.joinpath("viewer.html").read_text(encoding="utf-8")),
        "style": Markup(folder.joinpath("viewer.css").read_text(encoding="utf-8")),
        "scripts": [Markup(script) for script in scripts],
        "data": Markup(base64.b64encode(packed).decode()),
        "pictures": Markup("\n".join(kept.sources)),
        "policy": policy(scripts, beside=kept.folder is not None),
        "beside": kept.folder is not None,
    }


def policy(scripts: Iterable[str], beside: bool = False) -> str:
    """Return the page's Content-Security-Policy: these scripts by their digests, pictures, and nothing else.

    Args:
        scripts: the exact text of each inline script; none where nothing may run.
        beside: whether pictures lie in a folder beside the page (a page from disk has no origin that all
            browsers take for 'self', hence `file:`).
    """
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    images = "data: 'self' file:" if beside else "data:"
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src {images}; "
        f"script-src {allowed}; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


def folder_beside(out: Path) -> Path:
    """Return the folder for pictures beside a page: report.html has report_stimuli."""
    return out.with_name(f"{out.stem}_stimuli")
