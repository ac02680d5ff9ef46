"""Completion for fish, which the library for the other shells does not write."""

from __future__ import annotations

import argparse
import re

from .parsing import commands_of, options_of


def fish_script(parser: argparse.ArgumentParser) -> str:
    """The script that completes commands and options."""
    lines = ["complete -c mmraw -f"]
    for name, child in commands_of(parser).items():
        help_text = _quoted(child.description or "")
        lines.append(f"complete -c mmraw -n __fish_use_subcommand -a {name} -d {help_text}")
        lines += _options(child, f"__fish_seen_subcommand_from {name}")
        for part, grandchild in commands_of(child).items():
            text = _quoted(grandchild.description or "")
            here = f'"__fish_seen_subcommand_from {name}"'
            lines.append(f"complete -c mmraw -n {here} -a {part} -d {text}")
            both = f"__fish_seen_subcommand_from {name}; and __fish_seen_subcommand_from {part}"
            lines += _options(grandchild, both)
    return "\n".join(lines)


def _options(parser: argparse.ArgumentParser, where: str) -> list[str]:
    lines: list[str] = []
    for action in options_of(parser):
        parts = [f'complete -c mmraw -n "{where}"']
        for option in action.option_strings:
            parts.append(f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}")
        if action.choices:
            parts.append(f"-xa {_quoted(' '.join(map(str, action.choices)))}")
        elif action.nargs != 0:
            # A value or an argument may be a file.
            parts.append("-rF" if action.option_strings else "-F")
        parts.append(f"-d {_quoted(action.help or '')}")
        lines.append(" ".join(parts))
    return lines


def _quoted(text: str) -> str:
    """One line in single quotes, as fish reads them."""
    first = re.split(r"[;:]\s", text.replace("%%", "%"), maxsplit=1)[0]
    return "'" + first.replace("\\", "\\\\").replace("'", "\\'") + "'"
