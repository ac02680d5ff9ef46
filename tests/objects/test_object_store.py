"""The object store on a real server: the suite, keys and URLs, credentials, processes."""

import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from s3_server import ACCESS_KEY, SECRET_KEY, S3Server
from stores import refused

from mmraw_protocol.stores import ObjectStore, open_store
from mmraw_protocol.stores.suite import RULES, check_rule
from mmraw_protocol.wire.hashes import sha256_hex

DATA = b"\x89PNG\r\n\x1a\n and more"
NAME = f"{sha256_hex(DATA)}.png"


def client(server: S3Server) -> Any:
    """A plain client, to look behind the store's back."""
    from obstore.store import S3Store

    return S3Store("images", client_options={"allow_http": True})


@pytest.mark.parametrize("rule", RULES)
def test_it_keeps_every_rule(rule: str, server: S3Server) -> None:
    def tamper(place: str, name: str, data: bytes) -> None:
        client(server).put(f"suite/{place}/{name}", data)

    check_rule(rule, lambda place, **o: open_store(f"s3://images/suite/{place}", **o), tamper)


def test_keys_of_one_run_and_of_several(server: S3Server) -> None:
    one = open_store("s3://images/keys/one", run_id="exp42")
    assert one.url(one.put(DATA)) == f"s3://images/keys/one/{NAME}"
    assert client(server).get(f"keys/one/{NAME}").bytes() == DATA
    several = open_store("s3://images/keys/", run_ids=["exp42"])
    several.put(DATA, run_id="run_exp42")
    key = f"keys/run_exp42/assets/images/{NAME}"
    assert several.url(NAME, run_id="exp42") == f"s3://images/{key}"
    assert client(server).get(key).bytes() == DATA
    # The same objects, opened as the images of that one run.
    assert open_store(f"s3://images/{key.rpartition('/')[0]}").get(NAME) == DATA


def test_what_stands_deeper_is_not_listed(server: S3Server) -> None:
    store = open_store("s3://images/deep")
    store.put(DATA)
    client(server).put("deep/below/other.png", b"x")
    client(server).put("deeper.png", b"x")
    client(server).put("deep/.hidden", b"x")
    assert list(store.list()) == [NAME]


def test_more_objects_than_one_page(server: S3Server) -> None:
    store = open_store("s3://images/many")
    names = [f"{number:04}.png" for number in range(1010)]
    plain = client(server)
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda name: plain.put(f"many/{name}", b"x"), names))
    assert sorted(store.list()) == names


def test_wrong_credentials(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-wrong-secret")
    store = open_store("s3://images/x")
    for work in (store.get, store.has, store.delete):
        assert refused(work, NAME).code == "store_permission"
    assert refused(store.put, DATA).code == "store_permission"
    assert refused(store.list).code == "store_permission"


def test_a_bucket_that_does_not_exist(server: S3Server) -> None:
    store = open_store("s3://no-such-bucket/x")
    assert refused(store.put, DATA).code == "store_invalid"
    assert refused(store.get, NAME).code == "store_invalid"
    assert refused(store.list).code == "store_invalid"


def test_plain_http_only_where_the_user_names_it(
    server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def allowed(store: ObjectStore) -> bool:
        return str(store._client.client_options["allow_http"]).lower() == "true"

    assert allowed(ObjectStore("s3://images/x"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint.replace("http:", "https:"))
    store = ObjectStore("s3://images/x", retries=0)
    assert not allowed(store)
    assert refused(store.put, DATA).code == "store_unavailable"


@pytest.mark.parametrize("named", ["other", "default"])
def test_credentials_of_a_profile(
    named: str, server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in server.environment():
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text(
        f"[{named}]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    )
    section = "default" if named == "default" else f"profile {named}"
    (tmp_path / "config").write_text(
        f"[{section}]\nregion = us-east-1\nendpoint_url = {server.endpoint}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    if named != "default":
        monkeypatch.setenv("AWS_PROFILE", named)
    store = open_store(f"s3://images/profile-{named}")
    assert store.get(store.put(DATA)) == DATA
    monkeypatch.setenv("AWS_PROFILE", "absent")
    assert refused(open_store, "s3://images/x").code == "store_permission"


def test_it_goes_to_other_processes(server: S3Server) -> None:
    store = open_store("s3://images/pickled", run_id="exp42")
    store.put(DATA)
    text = pickle.dumps(store)
    assert SECRET_KEY.encode() not in text
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(store.get, NAME).result() == DATA


def test_a_forked_process_is_refused_and_does_not_hang(server: S3Server) -> None:
    script = f"""
import os, signal
from mmraw_protocol import MMRawError
from mmraw_protocol.stores import open_store
store = open_store("s3://images/forked")
if os.fork() == 0:
    signal.alarm(20)
    store.put({DATA!r})
    os._exit(0)
assert os.wait()[1] == 0
store.get({NAME!r})
if os.fork() == 0:
    signal.alarm(20)
    try:
        open_store("s3://images/forked").get({NAME!r})
    except MMRawError as error:
        os._exit(7 if error.code == "store_invalid" and "spawn" in error.message else 1)
    os._exit(2)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 7
"""
    done = subprocess.run([sys.executable, "-c", script], env=dict(os.environ), timeout=60)
    assert done.returncode == 0


def test_threads_share_a_store(server: S3Server) -> None:
    store = ObjectStore("s3://images/threads")
    images = [DATA + bytes([number]) for number in range(64)]
    with ThreadPoolExecutor(32) as pool:
        names = list(pool.map(store.put, images))
        assert list(pool.map(store.get, names)) == images
