"""One local Ray with two workers for all tests here, and a server of S3."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "objects"))
from s3_server import S3Server


@pytest.fixture(scope="session", autouse=True)
def two_workers(s3: S3Server) -> Iterator[Any]:
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        # Workers have the environment that Ray is started with.
        # This server wants the length of an upload before its checksum.
        patch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
        for name, value in s3.environment().items():
            patch.setenv(name, value)
        ray.init(
            num_cpus=2, include_dashboard=False, object_store_memory=300 << 20, log_to_driver=False
        )
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True
        yield ray
        ray.shutdown()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    server = S3Server(tmp_path_factory.mktemp("s3"))
    server.start()
    yield server
    server.kill()
