"""One image and a store of it, for tests of the local store."""

import os

from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire.hashes import sha256_hex

DATA = b"\x89PNG\r\n\x1a\n and more"


NAME = f"{sha256_hex(DATA)}.png"


def files(store: LocalStore) -> list[str]:
    """Everything in the directory, temporary files too."""
    return sorted(os.listdir(store.root))
