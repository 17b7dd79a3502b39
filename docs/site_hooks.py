"""Hooks of the site (mkdocs.yml): pages that are kept or made elsewhere, and no request to another host.

`README.md`, `launch/README.md` and `CONTRIBUTING.md` are read where they are, and the recipe reference is made from the
schema when the site is built, so it is never out of date. Links between pages are paths in the repository, so that they
work there too.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ELSEWHERE = {"index.md": "README.md", "launch.md": "launch/README.md", "contributing.md": "CONTRIBUTING.md"}
"""page of the site: file of the repository that it is"""

REQUEST = re.compile(
    r"""<(?:script|img|link(?![^>]*rel="?canonical))\b[^>]*?(?:src|href)=["']?(?:https?:)?//[^"'>\s]+"""
)
"""what a browser would fetch from another host when it opens the page; plain links are none"""


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File

    sys.path.insert(0, str(ROOT))
    from recipes.reference import page

    for name, kept in ELSEWHERE.items():
        text = with_links_of_the_site((ROOT / kept).read_text(), Path(kept).parent)
        files.append(File.generated(config, name, content=text))
    files.append(File.generated(config, "reference.md", content=page()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    return markdown if page.file.src_uri in ELSEWHERE else with_links_of_the_site(markdown, Path("docs"))


def on_post_page(output: str, page: Any, **_: Any) -> str:
    requests = REQUEST.findall(output)
    if requests:
        from mkdocs.exceptions import PluginError

        raise PluginError(f"{page.file.src_uri}: the page would request {', '.join(requests)}")
    return output


def with_links_of_the_site(markdown: str, folder: Path) -> str:
    """The text of a page of the repository with its links between pages as those of the site."""
    return re.sub(r"\]\((?![a-z]+:)([^)#\s]+)(#[^)]*)?\)", lambda link: _linked(link, folder), markdown)


def _linked(link: re.Match[str], folder: Path) -> str:
    """A path that leads from `folder` to a page of the site, as its name there; any other link as it is."""
    target = (ROOT / folder / link[1]).resolve().relative_to(ROOT).as_posix()
    pages = {kept: name for name, kept in ELSEWHERE.items()}
    name = pages.get(target, target.removeprefix("docs/") if target.startswith("docs/") else None)
    return link[0] if name is None else f"]({name}{link[2] or ''})"
