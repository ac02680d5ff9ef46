"""A trainer's images in a bucket, read in workers that are spawned."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest
from described_refs import ref_of
from s3_server import S3Server

from mmraw_protocol import RawMMRef, get_adapter, open_store
from mmraw_protocol.demo import example_pictures
from mmraw_protocol.integrations.transformers import TensorMaker

PLACE = "s3://images/trainer"


def width_of(maker: TensorMaker, ref: RawMMRef) -> int:
    return maker.materializer.materialize(ref).width


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_place_is_opened_in_each_worker(method: str, server: S3Server) -> None:
    """The parent has used its own client before. A fork is refused (test_object_store.py)."""
    adapter = get_adapter("qwen_vl")
    data = example_pictures()[0].read_bytes()
    found = adapter.describe(data)
    ref = ref_of(adapter, data, "x", raw_image_id=open_store(PLACE, run_id="x").put(data))
    maker = TensorMaker(None, store=PLACE, adapter=adapter)
    assert width_of(maker, ref) == found.width
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(width_of, maker, ref).result(timeout=60) == found.width
    # The parent's own client goes on.
    assert width_of(maker, ref) == found.width
