"""Programs for tests that fork, interrupt or close descriptors: each runs in a process of its own.

    python tests/process_programs.py MODULE.NAME ARGUMENT…

A program prints what it saw as one line of JSON on the descriptor 50, which it opens first.
"""

import importlib
import io
import json
import os
import subprocess
import sys
import tempfile
from typing import Any

WATCHDOG_SECONDS = 1200 if "MMRAW_EVERY_INSTRUCTION" in os.environ else 120
ANSWER = 50


def run(name: str, *arguments: str, **options: Any) -> Any:
    """Runs a program (`module.name`) and returns what it saw; the watchdog kills it if it hangs."""
    command = [sys.executable, __file__, name, *arguments]
    with tempfile.TemporaryFile() as file:
        done = subprocess.run(
            command,
            preexec_fn=lambda: os.dup2(file.fileno(), ANSWER),
            close_fds=False,
            capture_output=True,
            timeout=WATCHDOG_SECONDS,
            **options,
        )
        file.seek(0)
        text = file.read()
    assert text, done.stderr.decode()[-2000:]
    return json.loads(text)


def answer(value: Any) -> None:
    os.write(ANSWER, json.dumps(value).encode())


def png(side: int = 64) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.effect_noise((side, side), 50).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def flat(side: int) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (side, side)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def ref_of(data: bytes, name: str) -> Any:
    import described_refs

    from mmraw_protocol import get_adapter

    return described_refs.ref_of(get_adapter("qwen_vl"), data, "r", raw_image_id=name)


if __name__ == "__main__":
    module, _, name = sys.argv[1].partition(".")
    getattr(importlib.import_module(module), name)(*sys.argv[2:])
