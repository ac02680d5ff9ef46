"""docs/training.md runs as it stands, with the image processor of a published configuration."""

import json
from pathlib import Path

import processors
import pytest
import test_docs

PAGE = test_docs.DOCS / "training.md"


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    config = {**processors.QWEN3, "image_processor_type": "Qwen2VLImageProcessorFast"}
    (folder / "preprocessor_config.json").write_text(json.dumps(config))
    monkeypatch.setenv("CHECKPOINT", str(folder))
    test_docs.test_a_page_runs_as_it_stands(PAGE, tmp_path, monkeypatch)
