"""A materializer in the workers of torch's DataLoader, however they are started."""

import threading
from pathlib import Path
from typing import Any

import pytest
from described_refs import ref_of
from torch.utils.data import DataLoader, Dataset

from mmraw_protocol import Materializer, RawMMRef, get_adapter, open_store


class Images(Dataset[int]):
    """The widths of pictures, materialized in the worker that is asked."""

    def __init__(self, materializer: Materializer, refs: list[RawMMRef]) -> None:
        self.materializer = materializer
        self.refs = refs

    def __len__(self) -> int:
        return len(self.refs)

    def __getitem__(self, index: int) -> int:
        return self.materializer.materialize(self.refs[index]).width


@pytest.mark.parametrize("isolation", ["auto", "process"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_every_start_method_materialize(
    method: str, isolation: Any, tmp_path: Path, pictures: list[Any]
) -> None:
    store = open_store(tmp_path / "images", run_id="r", cache_dir=tmp_path / "cache")
    adapter = get_adapter("qwen_vl")
    refs = [ref_of(adapter, p.data, "r", raw_image_id=store.put(p.data)) for p in pictures]
    with Materializer(store, isolation=isolation) as materializer:
        expected = [materializer.materialize(ref).width for ref in refs]
        # Another thread is at work while the workers start.
        busy = threading.Thread(target=lambda: [materializer.materialize(ref) for ref in refs * 20])
        busy.start()
        loader: Any = DataLoader(
            Images(materializer, refs * 4),
            batch_size=None,
            num_workers=2,
            multiprocessing_context=method,
            timeout=120,
        )
        assert list(loader) == expected * 4
        busy.join()
