"""The store suite: every backend passes it; each of its rules catches a store that breaks it."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from plain_store import Objects, PlainStore

from mmraw_protocol import DEFAULT_LIMITS, Limits, MMRawError
from mmraw_protocol.stores import AssetStore, CachedStore, LocalStore, ObjectStore, StoredObject
from mmraw_protocol.stores.suite import RULES, TAMPERING, BrokenRuleError, check_rule, check_store
from mmraw_protocol.wire.hashes import sha256_hex

Backend = tuple[Callable[..., AssetStore], Callable[[str, str, bytes], None]]


def local(root: Path, **options: Any) -> Backend:
    def tamper(place: str, name: str, data: bytes) -> None:
        (root / place).mkdir(exist_ok=True)
        (root / place / name).write_bytes(data)

    return lambda place, **given: LocalStore(root / place, **options, **given), tamper


def obstore_backend(client: Any) -> Backend:
    def tamper(place: str, name: str, data: bytes) -> None:
        client.put(f"root/{place}/{name}", data)

    return (
        lambda place, **given: ObjectStore(f"memory:///root/{place}", client=client, **given),
        tamper,
    )


def memory() -> Backend:
    from obstore.store import MemoryStore

    return obstore_backend(MemoryStore())


def files_through_obstore(root: Path) -> Backend:
    from obstore.store import LocalStore as ObstoreFiles

    return obstore_backend(ObstoreFiles(root))


def cached(root: Path, behind: Backend) -> Backend:
    open_store, tamper = behind
    return (
        lambda place, **given: CachedStore(
            open_store(place, **given),
            root,
            max_bytes=10**6,
            limits=given.get("limits", DEFAULT_LIMITS),
        ),
        tamper,
    )


def plain() -> Backend:
    objects: Objects = {}

    def tamper(place: str, name: str, data: bytes) -> None:
        objects[place, name] = data

    return lambda place, **given: PlainStore(objects, place, **given), tamper


BACKENDS: dict[str, Callable[[Path], Backend]] = {
    "local": local,
    "local, not durable": lambda root: local(root, durable=False),
    "memory": lambda root: memory(),
    "files through obstore": files_through_obstore,
    "memory behind a cache": lambda root: cached(root, memory()),
    "directory behind a cache": lambda root: cached(root / "c", local(root / "s", durable=False)),
    "a third party's": lambda root: plain(),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rule", RULES)
def test_every_backend_keeps_every_rule(rule: str, backend: str, tmp_path: Path) -> None:
    open_store, tamper = BACKENDS[backend](tmp_path)
    if backend == "directory behind a cache":
        (tmp_path / "s").mkdir()
    check_rule(rule, open_store, tamper)


def test_a_whole_store_is_checked_in_one_line(tmp_path: Path) -> None:
    assert check_store(*local(tmp_path, durable=False)) == []
    assert set(check_store(plain()[0])) == TAMPERING


def test_the_suite_leaves_nothing_behind(tmp_path: Path) -> None:
    check_store(*local(tmp_path, durable=False))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


class ForgetsTheEnd(PlainStore):
    def get(self, raw_image_id: str, *, run_id: str | None = None) -> bytes:
        return super().get(raw_image_id, run_id=run_id).rstrip(b"\n")


class NamesByTime(PlainStore):
    def put(self, data: bytes, *, run_id: str | None = None) -> str:
        name = f"{super().put(data, run_id=run_id)[:-4]}.{time.monotonic_ns()}"
        self.objects[self.shelf(run_id), name] = data
        return name


class AlwaysPng(PlainStore):
    def put(self, data: bytes, *, run_id: str | None = None) -> str:
        name = f"{sha256_hex(data)}.png"
        self.objects[self.shelf(run_id), name] = data
        return name


class KeepsToItself(PlainStore):
    def __init__(self, objects: Objects, place: str, **options: Any) -> None:
        super().__init__({}, place, **options)


class ListsOnePage(PlainStore):
    def list(self, *, run_id: str | None = None) -> Iterator[str]:
        return iter(list(super().list(run_id=run_id))[:10])


class HidesDeleted(PlainStore):
    def delete(self, raw_image_id: str, *, run_id: str | None = None) -> None:
        if not self.has(raw_image_id, run_id=run_id):
            raise MMRawError("source_unavailable", "no such object")
        super().delete(raw_image_id, run_id=run_id)


class AnswersNothing(PlainStore):
    def get(self, raw_image_id: str, *, run_id: str | None = None) -> bytes:
        with contextlib.suppress(MMRawError):
            return super().get(raw_image_id, run_id=run_id)
        return b""


class TakesAnyName(PlainStore):
    def has(self, raw_image_id: str, *, run_id: str | None = None) -> bool:
        return (self.shelf(run_id), raw_image_id) in self.objects


class StoresNothing(PlainStore):
    def put(self, data: bytes, *, run_id: str | None = None) -> str:
        return super().put(data, run_id=run_id) if data else f"{sha256_hex(data)}.img"


class NoLimits(PlainStore):
    def __init__(self, objects: Objects, place: str, **options: Any) -> None:
        super().__init__(objects, place, **{**options, "limits": Limits()})


class TrustsNames(PlainStore):
    def get(self, raw_image_id: str, *, run_id: str | None = None) -> bytes:
        data = self.objects.get((self.shelf(run_id), raw_image_id))
        return super().get(raw_image_id, run_id=run_id) if data is None else data


class TrustsWhatExists(PlainStore):
    def put(self, data: bytes, *, run_id: str | None = None) -> str:
        name = f"{sha256_hex(data)}.png"
        return name if self.has(name, run_id=run_id) else super().put(data, run_id=run_id)


class OnlyNewNames(PlainStore):
    def get(self, raw_image_id: str, *, run_id: str | None = None) -> bytes:
        if len(raw_image_id) < 64:
            raise MMRawError("source_unavailable", "no such object", "$.raw_image_id")
        return super().get(raw_image_id, run_id=run_id)


class AnyRun(PlainStore):
    def shelf(self, run_id: str | None) -> str:
        return self.place


class OneShelf(PlainStore):
    def shelf(self, run_id: str | None) -> str:
        self.scope.check(run_id)
        return self.place


class UnnamedRunIsTheFirst(PlainStore):
    def shelf(self, run_id: str | None) -> str:
        if self.scope.run_ids and run_id is None:
            run_id = min(self.scope.run_ids)
        return super().shelf(run_id)


class SignedUrls(PlainStore):
    def url(self, raw_image_id: str, *, run_id: str | None = None) -> str:
        return f"{super().url(raw_image_id, run_id=run_id)}?signature=x"


class WrongSizes(PlainStore):
    def entries(self, *, run_id: str | None = None) -> Iterator[StoredObject]:
        return (StoredObject(name, 0, time.time()) for name in self.list(run_id=run_id))


class CollectsAll(PlainStore):
    def delete_older(
        self, raw_image_id: str, *, older_than: float, run_id: str | None = None
    ) -> bool:
        self.delete(raw_image_id, run_id=run_id)
        return True


class RenamesGiven(PlainStore):
    def put_named(self, raw_image_id: str, data: bytes, *, run_id: str | None = None) -> None:
        self.put(data, run_id=run_id)


class WritesInPieces(PlainStore):
    """An object is there before it is whole, and readers do not look."""

    def put(self, data: bytes, *, run_id: str | None = None) -> str:
        name = f"{sha256_hex(data)}.png"
        key = (self.shelf(run_id), name)
        for end in range(0, len(data) + 1, max(1, len(data) // 8)):
            self.objects[key] = data[:end]
            # Lets other threads in, as any disk or network would.
            time.sleep(0)
        self.objects[key] = data
        return name

    def get(self, raw_image_id: str, *, run_id: str | None = None) -> bytes:
        data = self.objects.get((self.shelf(run_id), raw_image_id))
        return super().get(raw_image_id, run_id=run_id) if data is None else data


class TearsWhatIsDeleted(WritesInPieces):
    """Half of an object is left, and taken for the whole by the next put."""

    def put(self, data: bytes, *, run_id: str | None = None) -> str:
        name = f"{sha256_hex(data)}.png"
        self.objects.setdefault((self.shelf(run_id), name), data)
        return name

    def delete(self, raw_image_id: str, *, run_id: str | None = None) -> None:
        key = (self.shelf(run_id), raw_image_id)
        self.objects[key] = self.objects[key][: len(self.objects[key]) // 2]


BROKEN: dict[str, type[PlainStore]] = {
    "what_was_put_is_got": ForgetsTheEnd,
    "names_are_hash_and_extension": AlwaysPng,
    "putting_twice_is_putting_once": NamesByTime,
    "another_handle_sees_what_was_put": KeepsToItself,
    "list_names_every_object_once": ListsOnePage,
    "what_is_deleted_is_gone": HidesDeleted,
    "what_is_absent_is_unavailable": AnswersNothing,
    "names_that_lead_out_are_refused": TakesAnyName,
    "nothing_is_no_image": StoresNothing,
    "sizes_are_bounded": NoLimits,
    "damage_is_refused": TrustsNames,
    "damage_is_mended_by_putting_again": TrustsWhatExists,
    "older_names_are_read_and_the_hash_decides": OnlyNewNames,
    "one_run_refuses_others": AnyRun,
    "several_runs_are_kept_apart": OneShelf,
    "several_runs_must_be_named_and_allowed": UnnamedRunIsTheFirst,
    "urls_end_with_the_name": SignedUrls,
    "listings_tell_size_and_age": WrongSizes,
    "only_old_objects_are_collected": CollectsAll,
    "given_names_are_kept": RenamesGiven,
    "writers_and_readers_do_not_disturb_each_other": WritesInPieces,
    "deletions_tear_nothing": TearsWhatIsDeleted,
}


def test_every_rule_has_a_store_that_breaks_it() -> None:
    assert set(BROKEN) == set(RULES)


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_store_is_caught(rule: str) -> None:
    objects: Objects = {}

    def tamper(place: str, name: str, data: bytes) -> None:
        objects[place, name] = data

    with pytest.raises(BrokenRuleError, match=rule):
        check_rule(rule, lambda place, **given: BROKEN[rule](objects, place, **given), tamper)


class Escaping(PlainStore):
    def has(self, raw_image_id: str, *, run_id: str | None = None) -> bool:
        raise KeyError(raw_image_id)


class Talkative(PlainStore):
    def get(self, raw_image_id: str, *, run_id: str | None = None) -> bytes:
        try:
            return self.objects[self.shelf(run_id), raw_image_id]
        except KeyError as error:
            raise MMRawError("source_unavailable", f"no {raw_image_id}") from error


@pytest.mark.parametrize("broken", [Escaping, Talkative])
def test_foreign_exceptions_and_talkative_errors_are_caught(broken: type[PlainStore]) -> None:
    with pytest.raises(BrokenRuleError):
        check_store(lambda place, **given: broken({}, place, **given))
