"""The files that a name stands for: itself, all in a folder, all that fit a pattern, objects."""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, NamedTuple

from ..wire.errors import MMRawError
from .remote import is_url, names_below, open_remote, state_of

#: The files with which `datasets` describes a data set that was saved to disk.
STATE = "state.json"
_INFO = "dataset_info.json"
_SPLITS = "dataset_dict.json"
#: How the names of pictures end: a run may have millions, and to look into each takes long.
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif")


class Named(NamedTuple):
    """A file that an argument names.

    Attributes:
        path: Its path, or -.
        within: Its path within the folder or pattern that was named; None for the argument itself.
    """

    path: str
    within: Path | None = None


def expanded(arguments: Sequence[str], *, descriptions: bool = False) -> list[Named]:
    """The files that arguments name: themselves, all in a folder, or all that fit a pattern.

    The URL of an object store that ends in a slash is a folder. A URL may be a pattern, too, except
    in the name of the bucket. Hidden files, and those of hidden folders, are left out, and so are
    pictures, by their names: those of a run are below it.

    Args:
        arguments: Paths, patterns, URLs, or -.
        descriptions: Whether the JSON files are named too with which `datasets` describes a data
            set that was saved to disk. They hold names of columns, and no rows.

    Raises:
        MMRawError: source_unavailable (a folder that cannot be read), and what `names_below`
            raises.
    """
    found: list[Named] = []
    for argument in arguments:
        if is_url(argument):
            found += _objects(argument)
            continue
        if os.path.isdir(argument):
            folder, pattern = argument, ["**"]
        elif glob.has_magic(argument) and not os.path.exists(argument):
            parts = Path(argument).parts
            fixed = next(at for at, part in enumerate(parts) if glob.has_magic(part))
            folder, pattern = str(Path(*parts[:fixed])), list(parts[fixed:])
        else:
            found.append(Named(argument))
            continue
        paths = [(os.path.join(folder, name), name) for name in _files_below(folder, pattern)]
        found += [Named(path, Path(name)) for path, name in paths if os.path.isfile(path)]
    found = [one for one in found if one.within is None or not _is_picture(one.path)]
    return found if descriptions else _without_descriptions(found)


def _is_picture(path: str) -> bool:
    return path.lower().endswith(_PICTURES)


def _files_below(folder: str, pattern: list[str]) -> list[str]:
    """The names of files below a folder, and of links, that fit a pattern; relative to it.

    Links to folders are followed, unless they lead to one that they stand in.
    """
    found: list[str] = []
    errors: list[OSError] = []
    own = Path(os.path.realpath(folder))
    above = {folder: {str(own), *map(str, own.parents)}}
    for place, folders, files in os.walk(folder, onerror=errors.append, followlinks=True):
        parts = Path(place).relative_to(folder).parts
        for name in [*folders]:
            path = os.path.join(place, name)
            real = os.path.realpath(path)
            if real in above[place] or not _fits((*parts, name), pattern, is_folder=True):
                folders.remove(name)
            above[path] = above[place] | {real}
        fitting = (name for name in files if _fits((*parts, name), pattern))
        found += [os.path.join(*parts, name) for name in fitting]
    if any(not isinstance(one, (FileNotFoundError, NotADirectoryError)) for one in errors):
        raise MMRawError("source_unavailable", "expected folders that can be read, got another")
    return sorted(found)


def _objects(url: str) -> list[Named]:
    """The objects that a URL names."""
    folder, pattern = url, ["**"]
    if glob.has_magic(url) and state_of(url) is None:
        parts = url.split("/")
        fixed = next(at for at, part in enumerate(parts) if glob.has_magic(part))
        folder, pattern = "/".join([*parts[:fixed], ""]), parts[fixed:]
    elif not url.endswith("/"):
        return [Named(url)]
    names = [name for name in names_below(folder) if _fits(name.split("/"), pattern)]
    return [Named(folder + name, Path(name)) for name in names]


def _fits(parts: Sequence[str], pattern: list[str], *, is_folder: bool = False) -> bool:
    """Whether the parts of a name fit those of a pattern, in which ** is any number of parts.

    Hidden files, and those of hidden folders, fit none.

    Args:
        parts: Of the name.
        pattern: Its parts.
        is_folder: Whether the name is that of a folder; it fits if files in it may.
    """
    if not pattern or (is_folder and not parts):
        return bool(pattern) or not (parts or is_folder)
    if pattern[0] == "**" and _fits(parts, pattern[1:], is_folder=is_folder):
        return True
    if not parts or parts[0].startswith(".") or not fnmatchcase(parts[0], pattern[0]):
        return False
    return _fits(parts[1:], pattern[pattern[0] != "**" :], is_folder=is_folder)


def _without_descriptions(files: list[Named]) -> list[Named]:
    places = {os.path.split(file.path) for file in files if file.within is not None}
    saved = {folder for folder, name in places if name == STATE and (folder, _INFO) in places}
    described = {(folder, name) for folder in saved for name in (STATE, _INFO)}
    described |= {(os.path.dirname(folder), _SPLITS) for folder in saved}
    return [file for file in files if os.path.split(file.path) not in described & places]


def open_named(name: str) -> IO[bytes]:
    """A file or object, by its path or URL.

    Raises:
        MMRawError: source_unavailable, and what `open_remote` raises.
    """
    if is_url(name):
        return open_remote(name)
    with contextlib.suppress(OSError, ValueError):
        return Path(name).open("rb")
    message = "the file cannot be read"
    if "://" in name:
        message = "expected a path or a URL that begins with s3://, gs:// or az://, got another URL"
    raise MMRawError("source_unavailable", message)
