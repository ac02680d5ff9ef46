"""The migration that benchmarks/archives.py measures, made small."""

from pathlib import Path

import pytest

from benchmarks.archives import Engine, migrate


def test_a_migration_loses_and_doubles_no_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    migrate(Engine(), tmp_path, 4_000_000, None)
    report = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in report[1:]] == [
        step for step in ("validate", "convert", "offload", "fsck", "inline") for _ in range(2)
    ]
    assert sum("0 lost, 0 doubled" in line for line in report) == 6
    assert all("refused {'" in line for line in report[1:])
