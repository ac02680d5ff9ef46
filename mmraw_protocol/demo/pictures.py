"""The example pictures, in the installed package or in the checkout."""

from __future__ import annotations

from pathlib import Path

from ..wire.errors import MMRawError

#: In the order of the conversation.
NAMES = ("coffee.jpg", "cat_alpha.png", "rocket.webp", "camera_exif6.jpg", "horse.gif")


def example_pictures() -> list[Path]:
    """The paths of the example pictures (see examples/README.md for their sources).

    Raises:
        MMRawError: source_unavailable.
    """
    package = Path(__file__).parent.parent
    for folder in (package / "_examples", package.parent / "examples" / "images"):
        if folder.is_dir():
            return [folder / name for name in NAMES]
    raise MMRawError("source_unavailable", "the example pictures are missing; name your own files")
