"""The object store on servers of Azure and Google: the suite, keys, what is refused."""

import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import azure_server
import pytest
from stores import refused

from mmraw_protocol.stores import ObjectStore, open_store
from mmraw_protocol.stores.suite import RULES, check_rule
from mmraw_protocol.wire.hashes import sha256_hex

DATA = b"\x89PNG\r\n\x1a\n and more"
NAME = f"{sha256_hex(DATA)}.png"

Write = Callable[[str, bytes], None]


@pytest.fixture(params=["az", "gs"])
def scheme(request: pytest.FixtureRequest) -> str:
    """The cloud whose server runs."""
    request.getfixturevalue({"az": "azure", "gs": "google"}[request.param])
    return request.param


@pytest.fixture
def write(scheme: str) -> Write:
    """Writes under a key behind the store's back."""
    from mmraw_protocol.stores.clients import client_for
    from mmraw_protocol.stores.place import parse_place

    client: Any = client_for(parse_place(f"{scheme}://images"), 30.0, 0, 0.0)
    return lambda key, data: client.put(key, data, use_multipart=False)


@pytest.mark.parametrize("rule", RULES)
def test_it_keeps_every_rule(rule: str, scheme: str, write: Write) -> None:
    def tamper(place: str, name: str, data: bytes) -> None:
        write(f"suite/{place}/{name}", data)

    check_rule(rule, lambda place, **o: open_store(f"{scheme}://images/suite/{place}", **o), tamper)


def test_keys_of_one_run_and_of_several(scheme: str) -> None:
    one = open_store(f"{scheme}://images/keys/one", run_id="exp42")
    assert one.url(one.put(DATA)) == f"{scheme}://images/keys/one/{NAME}"
    several = open_store(f"{scheme}://images/keys/", run_ids=["exp42"])
    several.put(DATA, run_id="run_exp42")
    folder = f"{scheme}://images/keys/run_exp42/assets/images"
    assert several.url(NAME, run_id="exp42") == f"{folder}/{NAME}"
    # The same objects, opened as the images of that one run.
    assert open_store(folder).get(NAME) == DATA


def test_what_stands_deeper_is_not_listed(scheme: str, write: Write) -> None:
    store = open_store(f"{scheme}://images/deep")
    store.put(DATA)
    write("deep/below/other.png", b"x")
    write("deeper.png", b"x")
    write("deep/.hidden", b"x")
    assert list(store.list()) == [NAME]


def test_threads_share_a_store(scheme: str) -> None:
    store = ObjectStore(f"{scheme}://images/threads")
    images = [DATA + bytes([number]) for number in range(32)]
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(store.put, images))
        assert list(pool.map(store.get, names)) == images


def test_it_goes_to_other_processes(scheme: str) -> None:
    store = open_store(f"{scheme}://images/pickled", run_id="exp42")
    store.put(DATA)
    assert azure_server.KEY.encode() not in pickle.dumps(store)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(store.get, NAME).result() == DATA


def test_a_wrong_key_of_azure(
    azure: azure_server.AzureServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "d3Jvbmc=")
    store = open_store("az://images/x")
    for work in (store.get, store.has, store.delete):
        assert refused(work, NAME).code == "store_permission"
    assert refused(store.put, DATA).code == "store_permission"
    assert refused(store.list).code == "store_permission"


def test_a_container_of_azure_that_does_not_exist(azure: azure_server.AzureServer) -> None:
    store = open_store("az://no-such-container/x")
    assert refused(store.put, DATA).code == "store_invalid"
    assert refused(store.get, NAME).code == "store_invalid"
    assert refused(store.list).code == "store_invalid"


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("STORAGE_EMULATOR_HOST", "127.0.0.1:9", "true"),
        ("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9/", "true"),
        ("STORAGE_EMULATOR_HOST", "https://127.0.0.1:9", "false"),
        ("GOOGLE_BASE_URL", "http://127.0.0.1:9", "true"),
        ("UNRELATED", "", "false"),
    ],
)
def test_plain_http_to_google_only_where_the_user_names_it(
    name: str, value: str, allowed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    store = ObjectStore("gs://images/x")
    assert str(store._client.client_options["allow_http"]).lower() == allowed
