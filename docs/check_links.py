"""Checks the built site: every link leads somewhere, nothing is fetched, no title is repeated.

`python docs/check_links.py build/site`; exit code 1 where anything is broken.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: Pages of other sites that a reader may follow; nothing of theirs is loaded.
ALLOWED_HOSTS = {
    "hypothesis.readthedocs.io",
    "keepachangelog.com",
    "pre-commit.com",
    "semver.org",
    "www.apache.org",
    "zensical.org",
}


class Page(HTMLParser):
    """The title of a page, its links, those that load something apart, and its ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.titles: list[str] = []
        self._in_title = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collects href, src and id."""
        found = {name: value for name, value in attrs if value}
        self._in_title = tag == "title"
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "link" and found.get("rel") != "canonical" and "href" in found:
            self.loads.append(found["href"])
        elif "src" in found:
            self.loads.append(found["src"])
        self.ids |= {found[name] for name in ("id", "name") if name in found}

    def handle_data(self, data: str) -> None:
        """Collects the title."""
        if self._in_title:
            self.titles.append(data.strip())
            self._in_title = False


def check(site: Path) -> list[str]:
    """One line for each broken link."""
    pages = {path: Page(path.read_text("utf-8")) for path in site.rglob("*.html")}
    faults = _repeated_titles(site, pages)
    for path, page in pages.items():
        if path.name == "404.html":
            continue  # its links are absolute, for whatever path was not found
        where = path.relative_to(site)
        for link in page.loads:
            if urlsplit(link).scheme not in ("", "data") or link.startswith("//"):
                faults.append(f"{where}: loads {link[:80]} from elsewhere")
        for link in [*page.links, *page.loads]:
            fault = _fault(link, path, pages)
            if fault:
                faults.append(f"{where}: {link[:80]}: {fault}")
    return faults


def _repeated_titles(site: Path, pages: dict[Path, Page]) -> list[str]:
    """One line for each page whose title another page has already."""
    first: dict[str, Path] = {}
    faults: list[str] = []
    for path, page in pages.items():
        title = page.titles[0] if page.titles else ""
        other = first.setdefault(title, path)
        if other != path:
            faults.append(f"{path.relative_to(site)}: has the title of {other.relative_to(site)}")
    return faults


def _fault(link: str, path: Path, pages: dict[Path, Page]) -> str | None:
    parts = urlsplit(link)
    if parts.scheme in ("data", "mailto", "javascript"):
        return None
    if parts.scheme or parts.netloc:
        return None if parts.hostname in ALLOWED_HOSTS else "a host that is not listed"
    target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
    if target.is_dir():
        target = target / "index.html"
    if not target.exists():
        return "no such file"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
        return "no such anchor"
    return None


def main() -> int:
    """Prints what is broken."""
    site = Path(sys.argv[1]).resolve()
    faults = check(site)
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(list(site.rglob('*.html')))} pages, {len(faults)} broken links")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
