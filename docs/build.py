"""Builds the site: `python docs/build.py` stages pages in build/docs and writes build/site.

Pages that exist elsewhere (the protocol's prose, the changelog, the command line's help) are taken
from there, so that nothing is written twice. The schemas are published under schemas/.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import drawings

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
STAGE = ROOT / "build" / "docs"
SITE = ROOT / "build" / "site"

#: Pages that live outside docs/, by their place on the site.
ELSEWHERE = {
    "protocol.md": "spec/README.md",
    "versioning.md": "spec/VERSIONING.md",
    "vectors.md": "spec/vectors/README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "releases.md": "RELEASE.md",
    "security.md": "SECURITY.md",
    "testing.md": "tests/README.md",
    "typescript.md": "typescript/README.md",
    "pipeline.md": "examples/pipeline/README.md",
    "pictures.md": "examples/README.md",
}

_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")


def stage() -> None:
    """Copies every page into build/docs/pages, with links that fit the site."""
    shutil.rmtree(STAGE, ignore_errors=True)
    pages = STAGE / "pages"
    places = {path: path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    places |= {ROOT / source: page for page, source in ELSEWHERE.items()}
    places = {source: page for source, page in places.items() if source.exists()}
    for source, page in places.items():
        target = pages / page
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(relink(source.read_text("utf-8"), source, page, places), "utf-8")
    for path in DOCS.rglob("*"):
        if path.suffix in (".css", ".svg", ".png") and DOCS / "inspector" not in path.parents:
            target = pages / path.relative_to(DOCS).as_posix().removeprefix("site/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    (pages / "reference/cli.md").write_text(cli_page(), "utf-8")
    drawings.write(pages / "reference/families")
    settings = (DOCS / "site/zensical.toml").read_text("utf-8")
    listed_by_an_index = ("decisions/", "reference/wire/", "reference/families/")
    unlisted = [
        page
        for page in places.values()
        if f'"{page}"' not in settings and not page.startswith(listed_by_an_index)
    ]
    if set(unlisted) - {"pictures.md", "pipeline.md"}:
        raise SystemExit(f"docs: not in the navigation: {', '.join(unlisted)}")
    (STAGE / "zensical.toml").write_text(settings.replace("@ROOT@", ROOT.as_posix()), "utf-8")


def relink(text: str, source: Path, page: str, places: dict[Path, str]) -> str:
    """Links between files of the checkout become links between pages; source files become text."""

    def replace(match: re.Match[str]) -> str:
        label, target = match.groups()
        name, hash_sign, anchor = target.partition("#")
        if not name or "://" in target or name.startswith("mailto:"):
            return match.group(0)
        wanted = Path(os.path.normpath(source.parent / name))
        if wanted in places:
            relative = os.path.relpath(places[wanted], Path(page).parent or ".")
            return f"[{label}]({Path(relative).as_posix()}{hash_sign}{anchor})"
        if wanted.is_relative_to(DOCS) or "schemas/" in name:
            return match.group(0)
        if not wanted.exists():
            raise SystemExit(
                f"docs: {source.relative_to(ROOT)} links to {target}, which is not there"
            )
        return (
            f"{label} (`{wanted.relative_to(ROOT).as_posix()}`)" if label != name else f"`{name}`"
        )

    return _LINK.sub(replace, text)


def cli_page() -> str:
    """The help of every command, as it prints it."""
    os.environ["COLUMNS"] = "88"
    os.environ["NO_COLOR"] = "1"
    from mmraw_protocol.cli import build_parser

    parser = build_parser()
    parts = ["# Command line\n", _help(parser)]
    for name, child in _commands(parser).items():
        parts.append(f"## `mmraw {name}`\n\n{_help(child)}")
        for inner, grandchild in _commands(child).items():
            parts.append(f"### `mmraw {name} {inner}`\n\n{_help(grandchild)}")
    return "\n".join(parts)


def _help(parser: argparse.ArgumentParser) -> str:
    return f"```text\n{parser.format_help().rstrip()}\n```\n"


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def check_names() -> None:
    """Every name at the top of the package is on the Python page."""
    import mmraw_protocol

    page = (SITE / "reference/python.html").read_text("utf-8")
    names = [name for name in mmraw_protocol.__all__ if name != "__version__"]
    found = re.findall(r'id="mmraw_protocol\.(\w+)"', page)
    missing = set(names) - set(found)
    if missing:
        raise SystemExit(f"docs: not on the Python page: {', '.join(sorted(missing))}")


def inspector(target: Path) -> None:
    """The inspector's page, its scripts bundled with the TypeScript implementation."""
    source = DOCS / "inspector"
    target.mkdir()
    for name in ("index.html", "inspector.css"):
        shutil.copy(source / name, target)
    tools = ROOT / "typescript" / "node_modules" / ".bin"
    subprocess.run([tools / "tsc", "-p", source / "tsconfig.json"], check=True)
    options = ["--bundle", "--minify", "--format=iife", "--target=es2022", "--charset=ascii"]
    scripts = [f"inspector={source / 'main.ts'}", f"theme={source / 'theme.ts'}"]
    where = f"--outdir={target}"
    bundle = [tools / "esbuild", *scripts, *options, "--log-level=warning", where]
    subprocess.run(bundle, check=True)


def build(*, strict: bool = True) -> None:
    """Runs the generator and adds what is no page: schemas and the inspector."""
    stage()
    command = [Path(sys.executable).with_name("zensical"), "build", "--clean"]
    environment = {**os.environ, "NO_COLOR": "1"}
    subprocess.run([*command, *["--strict"][:strict]], cwd=STAGE, check=True, env=environment)
    shutil.rmtree(SITE, ignore_errors=True)
    shutil.copytree(STAGE / "site", SITE)
    check_names()
    inspector(SITE / "inspector")
    for schema in (ROOT / "spec").rglob("*.json"):
        relative = schema.relative_to(ROOT / "spec")
        if relative.parts[0] != "vectors":
            target = SITE / "schemas" / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(schema, target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draft", action="store_true", help="let links to missing pages pass")
    build(strict=not parser.parse_args().draft)
