"""One image and a store of it, for tests of the local store."""

import os
from typing import Any

import pytest

from mmraw_protocol import MMRawError
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire.hashes import sha256_hex

DATA = b"\x89PNG\r\n\x1a\n and more"


NAME = f"{sha256_hex(DATA)}.png"


def refused(work: Any, *args: Any, **options: Any) -> str:
    """The code that refuses."""
    with pytest.raises(MMRawError) as caught:
        work(*args, **options)
    assert caught.value.__context__ is None
    return caught.value.code


def files(store: LocalStore) -> list[str]:
    """Everything in the directory, temporary files too."""
    return sorted(os.listdir(store.root))
