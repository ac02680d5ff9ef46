"""The parser of the command line: a short help in groups, and the nearest name for a wrong one."""

from __future__ import annotations

import argparse
import difflib
import re
import textwrap
from typing import Any, NoReturn, cast

#: The commands of the short help, by what people come for.
GROUPS: dict[str, dict[str, str]] = {
    "On call": {
        "inspect": "verify and explain refs, documents, and what is in logs and other texts",
        "validate": "check and verify everything in files of any size",
        "fingerprint": "find the checkpoints and parameters that a fingerprint stands for",
        "diff-config": "show which layout parameters of two configurations differ",
        "doctor": "check this installation",
    },
    "One request": {
        "pack": "turn messages into the features body of a request",
        "generate": "send a conversation to a server",
        "materialize": "turn refs back into verified pictures",
        "layout": "show the grid and the tokens of a size or an image",
    },
    "Files": {
        "stats": "count what files hold",
        "convert": "move every ref to another dialect",
        "offload": "store every image once, and put its URL in its place",
        "inline": "put every image of a store back",
    },
    "Stores": {"store": "check a store, collect what nothing refers to, copy it"},
    "The protocol": {
        "schema": "list the JSON Schemas, or print one",
        "conformance": "test an implementation, or answer as one",
        "compat": "list the changes between two versions of the specification",
    },
    "More": {
        "demo": "send real pictures over the wire in every way",
        "completion": "print a completion script for a shell",
        "help": "show the help of every command on one page",
    },
}
_OPTION = re.compile(r"--[a-z][a-z-]+")
_QUOTED = re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)")


class Parser(argparse.ArgumentParser):
    """A parser that names the nearest word for one that it does not know."""

    def error(self, message: str) -> NoReturn:
        """Ends with 2, after the usage and the message with what may have been meant."""
        near = self._nearest(message)
        short = _QUOTED.sub(r"invalid choice: '\1'", message) if near else message
        super().error(f"{short}; did you mean {near}?" if near else message)

    def _nearest(self, message: str) -> str | None:
        wrong = _QUOTED.search(message)
        if wrong is not None:
            choices = [word.strip("' ") for word in wrong[2].split(",")]
            return _near(wrong[1], choices)
        if message.startswith("unrecognized arguments: "):
            words = message.removeprefix("unrecognized arguments: ").split()
            given = [word.partition("=")[0] for word in words if word.startswith("--")]
            options = sorted(set(_OPTION.findall(self.format_help())))
            return next(filter(None, (_near(word, options) for word in given)), None)
        return None


def _near(word: str, known: list[str]) -> str | None:
    return next(iter(difflib.get_close_matches(word, known, 1)), None)


class Program(Parser):
    """The parser of `mmraw` itself; its help has the commands in groups."""

    def format_help(self) -> str:
        """The short help: a line for each command."""
        lines = [f"usage: {self.prog} COMMAND …", "", f"{self.description}", ""]
        for title, commands in GROUPS.items():
            lines.append(f"{title}:")
            lines += [f"  {name:<13} {text}" for name, text in commands.items()]
            lines.append("")
        lines += textwrap.wrap(self.epilog or "", 80)
        return "\n".join(lines) + "\n"


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of a parser's commands."""
    return {name: one for action in _actions(parser) for name, one in _parsers(action).items()}


def options_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The options and arguments of a parser, without its commands."""
    return [action for action in _actions(parser) if not _parsers(action)]


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    # argparse has no public way to ask.
    return vars(parser)["_actions"]


def _parsers(action: argparse.Action) -> dict[str, argparse.ArgumentParser]:
    choices: Any = action.choices
    rows = cast("dict[str, Any]", choices if isinstance(choices, dict) else {})
    return {name: one for name, one in rows.items() if isinstance(one, argparse.ArgumentParser)}
