"""Hooks of the documentation site (mkdocs.yml): links that leave docs/, the changelog, and nothing from other hosts."""

import re
import tomllib
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
BRANCH = "main"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)\s#]+)(#[^)\s]*)?(?=\))")
FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
LOADED = re.compile(
    r"""<(?:script|img|iframe|source|video)\b[^>]*\bsrc=["']?(?:https?:)?//[^>]*>|<link\b(?![^>]*rel=["']?canonical)[^>]*\bhref=["']?(?:https?:)?//[^>]*>"""
)
MATHJAX = re.compile(r"""<script[^>]*\bsrc=["'][^"']*mathjax[^"']*["'][^>]*>\s*</script>""", re.IGNORECASE)


def repository() -> str:
    """Return the address of the repository, which pyproject.toml alone knows."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Link to the repository below every page; in the header the theme would ask its host for stars."""
    link = {"icon": "fontawesome/brands/git-alt", "link": repository(), "name": "Repository"}
    config.extra["social"] = [link]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the changelog, whose links start at the root."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "changelog.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Send links to what is no page of the site to the repository; a dead one is left, and fails the build."""
    docs = Path(config.docs_dir)
    here = ROOT if page.file.generated_by else docs / Path(page.file.src_uri).parent

    def there(link: re.Match[str]) -> str:
        target, anchor = (here / link[1]).resolve(), link[2] or ""
        if not target.is_relative_to(ROOT) or not target.exists():
            return link[0]
        inside = target.is_relative_to(docs) and files.get_file_from_path(target.relative_to(docs).as_posix())
        if inside:
            return (target.relative_to(docs).as_posix() if here == ROOT else link[1]) + anchor
        kind = "tree" if target.is_dir() else "blob"
        return f"{repository()}/{kind}/{BRANCH}/{target.relative_to(ROOT).as_posix()}{anchor}"

    parts = FENCE.split(markdown)
    return "".join(part if part.startswith("```") else LINK.sub(there, part) for part in parts)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Refuse a page that would load anything from another host."""
    output = MATHJAX.sub("", output)  # of notebooks
    if loaded := LOADED.search(output):
        raise PluginError(
            f"{page.file.src_uri} loads something from another host: {loaded[0]}. Put the file into docs/."
        )
    return output
