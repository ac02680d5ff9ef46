"""docs/trl-verl.md runs as it stands, with a tiny checkpoint: a processor, a template, a model."""

from pathlib import Path

import pytest
import test_docs
from tiny_models import trained

PAGE = test_docs.DOCS / "trl-verl.md"
#: Writes one placeholder token for an image, as those of checkpoints do.
TEMPLATE = """{% for message in messages %}{{ message.role }}: {% for part in message.content %}{%
if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{%
endif %}{% endfor %}
{% endfor %}"""


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "checkpoint"
    tiny = trained("qwen3_vl")
    monkeypatch.setattr(tiny.processor, "chat_template", TEMPLATE)
    tiny.processor.save_pretrained(folder)
    tiny.model.save_pretrained(folder)
    monkeypatch.setenv("CHECKPOINT", str(folder))
    test_docs.test_a_page_runs_as_it_stands(PAGE, tmp_path, monkeypatch)
