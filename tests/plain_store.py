"""A third party's store, as small as the protocol allows: a dict. Its faults can be switched on."""

from collections.abc import Iterator

from mmraw_protocol import DEFAULT_LIMITS, Limits, MMRawError
from mmraw_protocol.stores import name_for, verify_object
from mmraw_protocol.stores.base import check_new_object
from mmraw_protocol.stores.runs import RunScope
from mmraw_protocol.wire.hashes import sha256_hex
from mmraw_protocol.wire.ref import check_raw_image_id

Objects = dict[tuple[str, str], bytes]


class PlainStore:
    def __init__(
        self,
        objects: Objects,
        place: str,
        *,
        run_id: str | None = None,
        run_ids: list[str] | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.objects = objects
        self.place = place
        self.scope = RunScope.of(run_id, run_ids)
        self.limits = limits

    def shelf(self, run_id: str | None) -> str:
        return "/".join((self.place, *self.scope.parts(run_id)))

    def put(self, data: bytes, *, run_id: str | None = None) -> str:
        check_new_object(data, self.limits)
        name = name_for(data, sha256_hex(data))
        self.objects[self.shelf(run_id), name] = data
        return name

    def get(self, raw_image_id: str, *, run_id: str | None = None) -> bytes:
        check_raw_image_id(raw_image_id)
        data = self.objects.get((self.shelf(run_id), raw_image_id))
        if data is None:
            raise MMRawError("source_unavailable", "no such object", "$.raw_image_id")
        if len(data) > self.limits.inline_image_bytes:
            raise MMRawError("limit_exceeded", "the object is too large")
        return verify_object(data, raw_image_id)

    def has(self, raw_image_id: str, *, run_id: str | None = None) -> bool:
        check_raw_image_id(raw_image_id)
        return (self.shelf(run_id), raw_image_id) in self.objects

    def delete(self, raw_image_id: str, *, run_id: str | None = None) -> None:
        check_raw_image_id(raw_image_id)
        self.objects.pop((self.shelf(run_id), raw_image_id), None)

    def list(self, *, run_id: str | None = None) -> Iterator[str]:
        shelf = self.shelf(run_id)
        return iter([name for place, name in sorted(self.objects) if place == shelf])

    def url(self, raw_image_id: str, *, run_id: str | None = None) -> str:
        check_raw_image_id(raw_image_id)
        return f"plain://{self.shelf(run_id)}/{raw_image_id}"

    def check_run(self, run_id: str | None) -> None:
        self.scope.check(run_id)
