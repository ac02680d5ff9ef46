"""fsck, gc and sync against a real server, which dies in the middle."""

import json
from pathlib import Path

import faulty_proxy as faults
import pytest
from faulty_proxy import FaultyProxy
from s3_server import S3Server
from stores import Opener

from mmraw_protocol import MMRawError
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.stores.maintenance import check, collect, copy_store
from mmraw_protocol.wire.hashes import sha256_hex


def image(number: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + f"picture {number} ".encode() * 500


def name_of(number: int) -> str:
    return f"{sha256_hex(image(number))}.png"


def filled(folder: Path, count: int) -> LocalStore:
    store = LocalStore(folder, durable=False)
    for number in range(count):
        store.put(image(number))
    return store


def test_a_copy_goes_on_after_the_server_died(
    own_server: S3Server, open_quick: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in own_server.environment().items():
        monkeypatch.setenv(name, value)
    source, state = filled(tmp_path / "source", 60), tmp_path / "sync.state"
    bucket = open_quick(retries=1, retry_seconds=1.0)

    def kill(done: int) -> None:
        if done == 20:
            own_server.kill()

    with pytest.raises(MMRawError, match="store_unavailable"):
        copy_store(source, bucket, workers=2, state=state, progress=kill)
    own_server.start()
    report = copy_store(source, bucket, state=state)
    assert (report.ok, report.objects, report.there + report.copied) == (
        True,
        60,
        60 - report.resumed,
    )
    assert report.resumed >= 20
    # And back again, into an empty directory.
    back = LocalStore(tmp_path / "back", durable=False)
    assert copy_store(bucket, back).copied == 60
    assert sorted(back.list()) == sorted(source.list())
    assert check(bucket).ok


def test_what_a_lying_server_says_is_told(
    proxy: FaultyProxy, open_quick: Opener, tmp_path: Path
) -> None:
    bucket = open_quick()
    copy_store(filled(tmp_path / "source", 5), bucket)
    rollouts = tmp_path / "rollouts.jsonl"
    rollouts.write_text(json.dumps({"image": bucket.url(name_of(9))}) + "\n")
    report = check(bucket, [rollouts])
    assert [one.raw_image_id for one in report.missing] == [name_of(9)]
    assert (len(report.orphaned), report.corrupt) == (5, [])
    # The listing is a GET, too; each object's own GET follows.
    proxy.heal()
    listed = list(bucket.entries())
    proxy.hurt("GET", lambda answer: answer.send())
    proxy.hurt("GET", faults.wrong_bytes)
    assert len(check(bucket, workers=1).corrupt) == 1
    assert check(bucket).objects == len(listed)


def test_only_what_is_old_and_not_referred_to_is_collected(
    server: S3Server, open_quick: Opener, tmp_path: Path
) -> None:
    bucket = open_quick()
    for number in range(4):
        bucket.put(image(number))
    rollouts = tmp_path / "rollouts.jsonl"
    rollouts.write_text(json.dumps({"image": bucket.url(name_of(0))}) + "\n")
    assert collect(bucket, [rollouts], delete=True).young == 3
    # Older than in an hour from now: true of every object.
    report = collect(bucket, [rollouts], older_than=-3600.0, delete=True)
    assert (report.removed, report.referred) == (3, 1)
    assert list(bucket.list()) == [name_of(0)]
