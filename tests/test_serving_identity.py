"""The names of pictures of refs in a server's caches."""

from typing import Any

import msgspec
import pytest
from refusals import refusal
from samples import JPEG, RGBA
from vllm_stand_in import NAMING, inline, stored

from mmraw_protocol import Materializer, get_adapter
from mmraw_protocol.integrations.serving import identity
from mmraw_protocol.integrations.serving.identity import Naming, naming_of
from mmraw_protocol.integrations.serving.settings import Settings
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire.hashes import sha256_hex

SECRET = "correct horse battery staple"


def identity_of(naming: Naming, store: LocalStore, data: bytes = JPEG, **changes: Any) -> str:
    """Returns the name under which a picture is filed."""
    image = Materializer(store, cache_bytes=0).materialize(stored(store, data))
    return naming.name(msgspec.structs.replace(image, **changes)).identity


def test_a_name_is_made_of_all_that_the_embeddings_depend_on(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = identity_of(NAMING, store)
    assert one == identity_of(NAMING, store)
    assert len(bytes.fromhex(one)) == 32
    other = get_adapter("qwen_vl", {"max_pixels": 1003520})
    found = {
        one,
        identity_of(NAMING, store, RGBA),
        identity_of(NAMING, store, adapter=other),
        identity_of(Naming(NAMING.secret, "step-7"), store),
        identity_of(Naming(b"another secret", ""), store),
    }
    monkeypatch.setattr(identity, "_PIXEL_RULE", "mmraw:rgb:v2")
    assert len(found | {identity_of(NAMING, store)}) == 6


def test_every_ref_of_a_picture_is_the_same_picture(store: LocalStore) -> None:
    refs = [stored(store), inline(store), msgspec.structs.replace(stored(store), fingerprint=None)]
    made = Materializer(store, cache_bytes=0)
    assert len({NAMING.name(made.materialize(ref)) for ref in refs}) == 1


def test_no_name_can_be_made_of_what_is_known(store: LocalStore) -> None:
    one = identity_of(NAMING, store)
    assert one not in (sha256_hex(JPEG), identity_of(Naming(b"", ""), store))
    assert not sha256_hex(JPEG).startswith(one)


def test_servers_with_one_secret_give_the_same_names_and_others_do_not(store: LocalStore) -> None:
    shared = Settings(secret=SECRET)
    names = {identity_of(naming_of(shared, servers), store) for servers in (1, 2)}
    own = {identity_of(naming_of(Settings(), 1), store) for _ in range(2)}
    assert (len(names), len(own), names & own) == (1, 2, set())


def test_a_router_may_be_served_by_hash(store: LocalStore) -> None:
    naming = naming_of(Settings(identity="mm_hash"), 4)
    assert identity_of(naming, store) == sha256_hex(JPEG)[:32]


def test_names_that_clients_know_need_a_prefix_for_those_that_clients_send() -> None:
    settings = Settings(identity="mm_hash")
    assert refusal(naming_of, settings, 1, prefixes_clients=False) == ("unsupported_option", "$")
    naming_of(Settings(), 1, prefixes_clients=False)


def test_a_secret_is_never_shown() -> None:
    for value in (Settings(secret=SECRET), naming_of(Settings(secret=SECRET), 1)):
        assert "horse" not in repr(value)
        assert "horse" not in str(value)
