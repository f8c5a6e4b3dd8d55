"""Hooks of the documentation site (mkdocs.yml): links that leave docs/, the changelog, and nothing from other hosts."""

import os
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
HREF = re.compile(r'''href="(?![a-z]+:|#|/)([^"#?]+\.(?:md|ipynb|py|toml))(#[^"]*)?"''')
BOOST = {  # what the search puts first; options stand in tables, and a word of a title counts a thousandfold
    "reference/commands.md": 100, "reference/glossary.md": 2, "reference/gallery.md": 0.5, "changelog.md": 0.5,
}  # fmt: skip
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
    """Send links to what is no page of the site to the repository (a dead one fails the build), and weigh the page."""
    if page.file.src_uri in BOOST:
        page.meta["search"] = {"boost": BOOST[page.file.src_uri]}
    here = ROOT if page.file.generated_by else Path(config.docs_dir) / Path(page.file.src_uri).parent

    def there(link: re.Match[str]) -> str:
        return (_page(here, link[1], config) or _outside(here, link[1], config) or link[1]) + (link[2] or "")

    parts = FENCE.split(markdown)
    return "".join(part if part.startswith("```") else LINK.sub(there, part) for part in parts)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Refuse a page that would load anything from another host; mend the links of a notebook, which mkdocs leaves."""
    if page.file.src_uri.endswith(".ipynb"):
        here = Path(config.docs_dir) / Path(page.file.src_uri).parent
        output = HREF.sub(lambda link: f'href="{_of_notebook(here, link, config)}"', MATHJAX.sub("", output))
    if loaded := LOADED.search(output):
        raise PluginError(f"{page.file.src_uri} loads {loaded[0]} from another host. Put the file into docs/.")
    return output


def _page(here: Path, link: str, config: MkDocsConfig) -> str:
    """Return a link to a page or a file of the site, from where it is read; "" for what is none."""
    target, docs = Path(os.path.normpath(here / link)), Path(config.docs_dir)
    if not (target.is_relative_to(docs) and target.is_file()):
        return ""
    return target.relative_to(docs).as_posix() if here == ROOT else link


def _outside(here: Path, link: str, config: MkDocsConfig) -> str:
    """Return a link to what the repository has and the site has not; "" for what is nowhere."""
    target = Path(os.path.normpath(here / link))
    if not (target.is_relative_to(ROOT) and target.exists()):
        return ""
    return f"{repository()}/{'tree' if target.is_dir() else 'blob'}/{BRANCH}/{target.relative_to(ROOT).as_posix()}"


def _of_notebook(here: Path, link: re.Match[str], config: MkDocsConfig) -> str:
    if inside := _page(here, link[1], config):
        return re.sub(r"\.(md|ipynb)$", ".html", inside) + (link[2] or "")
    if outside := _outside(here, link[1], config):
        return outside + (link[2] or "")
    raise PluginError(f"A notebook in {here} links to {link[1]}, which is nowhere. Mend the link.")
