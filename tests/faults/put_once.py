"""Puts one image and says so; test_kills.py runs it under strace."""

import contextlib
import os
import sys

from mmraw_protocol import MMRawError
from mmraw_protocol.stores import LocalStore

DATA = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 300

if __name__ == "__main__":
    root, run_id = sys.argv[1:]
    # The sweep starts behind this call, which fails.
    with contextlib.suppress(FileNotFoundError):
        os.open("/mmraw-sweep-starts", os.O_RDONLY)
    try:
        if run_id:
            LocalStore(root, run_ids=[run_id]).put(DATA, run_id=run_id)
        else:
            LocalStore(root).put(DATA)
        answer = b"acknowledged"
    except MMRawError as error:
        answer = error.code.encode()
    os.write(1, answer)
    os._exit(0)
