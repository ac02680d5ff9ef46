"""A process that works on blocks beside another one; `crew.py` starts it, nobody else."""

from __future__ import annotations

import io
import os
import pickle
from typing import Any

import msgspec


class Setup(msgspec.Struct):
    """What a worker is told when it starts: the files of its slots."""

    blocks: list[int]
    results: list[int]


def main(text: str) -> None:
    """Works on what it is given until there is no more.

    The first thing that it is given opens the work; then blocks follow, slot by slot. A byte in
    either pipe says that something is there.
    """
    setup = msgspec.json.decode(text, type=Setup)
    if not os.read(0, 1):
        return
    work = take(setup.blocks[0])()
    os.write(1, b"\n")
    number = 0
    while os.read(0, 1):
        slot = number % len(setup.blocks)
        try:
            answer = (True, work(take(setup.blocks[slot])))
        except Exception as error:  # noqa: BLE001 (the parent raises it)
            answer = (False, error)
        put(setup.results[slot], answer)
        os.write(1, b"\n")
        number += 1


def put(file: int, value: object) -> None:
    """Writes a value at the beginning of a file; what stood there is of no more use."""
    os.lseek(file, 0, os.SEEK_SET)
    with io.BufferedWriter(io.FileIO(file, "w", closefd=False)) as writer:
        pickle.dump(value, writer, protocol=5)


def take(file: int) -> Any:
    """The value at the beginning of a file, which a process of this one's own wrote."""
    os.lseek(file, 0, os.SEEK_SET)
    with io.BufferedReader(io.FileIO(file, closefd=False)) as reader:
        return pickle.load(reader)
