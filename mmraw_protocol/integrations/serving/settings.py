"""Settings of a server, from the environment or a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, cast

import msgspec

from ...conversation.environment import image_dir
from ...families import Adapter, families
from ...images.decode import Isolation
from ...images.isolation import IsolatedDecoder
from ...images.pixels import Frames
from ...materialize import Materializer, cache_bytes_from_environment
from ...stores import AssetStore, open_store
from ...system.shown import Shown
from ...wire._generated.limits import DEFAULT_LIMITS, Limits
from ...wire.errors import MMRawError
from .admission import FILES, room_for
from .environment import PREFIX, given_values
from .metrics import default_metrics

Identity = Literal["secret", "mm_hash"]
Count = Annotated[int, msgspec.Meta(ge=1)]
Amount = Annotated[int, msgspec.Meta(ge=0)]
#: Characters of a secret, at least.
_SECRET = 16
_DAY = 86_400.0


class Settings(Shown, msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a server; each is MMRAW_<NAME> in the environment.

    docs/vllm-operation.md says more of each, in "Settings".

    Attributes:
        store: Directory or URL of the image store. Without it, VF_RENDERER_IMAGE_OFFLOAD_DIR or
            `assets/images` below PRIME_RL_RUN_DIR; where none is set, only inline refs are taken.
        store_create: Make a store's directory where it is missing, instead of refusing to start.
        run_id: The one run whose refs may use the store; None takes refs of any run.
        run_ids: The runs below `store` that may be used (comma-separated in the environment).
        store_options: What `open_store` takes besides (JSON in the environment).
        cache_bytes: Most bytes of decoded images to keep, 0 for none. Without it,
            PRIME_RL_MM_MATERIALIZE_CACHE_GB, or 2 GiB.
        families: The families that are allowed; None allows the one that the model is of.
        family: The model's family, where it cannot be told from the model's type.
        refs_only: Refuse every other URL that loads media, and tensors.
        isolation: Which images are decoded in processes of their own: `process` all, `auto` those
            that would take more memory here than `decode_rgb` promises, `off` none.
        frames: `single` refuses animations, `first` takes their first frame.
        secret: What the names of pictures in the server's caches are made with; None makes one.
        epoch: Enters those names; changed where the model's vision tower changes.
        identity: `mm_hash` names a picture by its hash instead, for routers that know no other.
        workers: Threads that read and decode images.
        inflight_bytes: Most bytes of images on their way to the model, over all requests.
        inflight_images: Most images that are read and decoded at a time.
        queue: Most images that wait for that; past it, requests get HTTP 503 with Retry-After.
        image_seconds: Most seconds that an image may take, waiting for others included.
        max_body_bytes: Most bytes of a request; None takes the limit `features_bytes`.
        limits: Limits by their names in limits.json (JSON in the environment); others keep their
            defaults.
    """

    store: str | None = None
    store_create: bool = False
    run_id: str | None = None
    run_ids: tuple[str, ...] | None = None
    store_options: dict[str, Any] = {}
    cache_bytes: Amount | None = None
    families: tuple[str, ...] | None = None
    family: str | None = None
    refs_only: bool = False
    isolation: Isolation = "auto"
    frames: Frames = "single"
    secret: Annotated[str, msgspec.Meta(min_length=_SECRET)] | None = None
    epoch: str = ""
    identity: Identity = "secret"
    workers: Annotated[int, msgspec.Meta(ge=1, le=256)] = 4
    inflight_bytes: Count = 2 << 30
    inflight_images: Count = 64
    queue: Amount = 256
    image_seconds: Annotated[float, msgspec.Meta(gt=0, le=_DAY)] = 30.0
    max_body_bytes: Count | None = None
    limits: Limits = DEFAULT_LIMITS

    def __post_init__(self) -> None:
        if min(cast("tuple[int, ...]", msgspec.structs.astuple(self.limits))) < 1:
            raise ValueError("limits start at 1")
        named = {*(self.families or ()), self.family} - {None}
        if named and named - {*families()}:
            raise ValueError("unknown family")

    def _shown(self) -> Mapping[str, object]:
        return {name: value for name, value in super()._shown().items() if name != "secret"}

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """The settings of the file that MMRAW_CONFIG names, overridden by other MMRAW_* variables.

        Raises:
            MMRawError: unsupported_option, naming the setting.
        """
        variables = os.environ if environment is None else environment
        values = given_values(variables, cls.__struct_fields__)
        found = cls(**{name: _typed(name, value) for name, value in values.items()})
        if found.identity == "mm_hash" and found.epoch:
            message = f"{PREFIX}EPOCH has no effect where {PREFIX}IDENTITY is mm_hash"
            raise MMRawError("unsupported_option", message)
        return found

    @property
    def body_limit(self) -> int:
        """The most bytes of a request's body."""
        return self.limits.features_bytes if self.max_body_bytes is None else self.max_body_bytes

    def check_room(self, processed: int = 0) -> None:
        """Checks that the largest image that the limits allow fits into the budget of all images.

        Args:
            processed: Bytes that the server's processor makes of it.

        Raises:
            MMRawError: unsupported_option.
        """
        limits, files = self.limits, self.inflight_bytes // FILES
        need = room_for(limits.image_pixels, processed)[0]
        need += max(0, limits.inline_image_bytes - files)
        if need > self.inflight_bytes - files:
            least = -(-need * FILES // (FILES - 1))
            message = (
                f"{PREFIX}INFLIGHT_BYTES is {self.inflight_bytes}, and an image of "
                f"{limits.image_pixels} pixels (image_pixels in {PREFIX}LIMITS) needs {least}"
            )
            raise MMRawError("unsupported_option", message)

    def decoder(self) -> IsolatedDecoder | Isolation:
        """The processes that decode every image, or when others than this one do."""
        if self.isolation != "process":
            return self.isolation
        return IsolatedDecoder(processes=self.workers, limits=self.limits, frames=self.frames)

    @property
    def cache_size(self) -> int:
        """The most bytes of decoded images to keep."""
        return cache_bytes_from_environment() if self.cache_bytes is None else self.cache_bytes

    def materializer(self, adapter: Adapter) -> Materializer:
        """Returns the materializer for the served model's layout; it keeps no images itself.

        Raises:
            MMRawError: what `check_family` and `open_store` raise.
        """
        self.check_family(adapter.family)
        return Materializer(
            self.open_store(),
            limits=self.limits,
            cache_bytes=0,
            adapters={adapter.family: adapter},
            families=[adapter.family],
            frames=self.frames,
            isolation=self.decoder(),
            stage=default_metrics().stage,
        )

    def check_family(self, family: str) -> None:
        """Checks that the served model's family is allowed.

        Raises:
            MMRawError: unsupported_option.
        """
        if self.families is not None and family not in self.families:
            message = f"{PREFIX}FAMILIES leaves out the model's family, {family}"
            raise MMRawError("unsupported_option", message)

    def open_store(self) -> AssetStore | None:
        """The store that these settings name, or None.

        Raises:
            MMRawError: unsupported_option, and what `mmraw_protocol.stores.open_store` raises.
        """
        place = self.store or image_dir()
        if place is None:
            if self.run_id is None and self.run_ids is None:
                return None
            raise MMRawError("unsupported_option", f"{PREFIX}RUN_ID and RUN_IDS need a store")
        runs: dict[str, Any] = {"run_id": self.run_id, "run_ids": self.run_ids}
        given = {**runs, "limits": self.limits, "create": self.store_create}
        if given.keys() & self.store_options.keys():
            message = f"{PREFIX}STORE_OPTIONS: runs, limits and create have settings of their own"
            raise MMRawError("unsupported_option", message)
        failed: MMRawError | None = None
        try:
            store = open_store(place, **given, **self.store_options)
            if not self.store_create:
                _check_there(store, self.run_ids or (self.run_id,))
            return store
        except MMRawError as error:
            failed = error
        hint = f"; {PREFIX}STORE_CREATE=true makes it" if failed.code == "store_invalid" else ""
        raise MMRawError(failed.code, f"{PREFIX}STORE: {failed.message}{hint}")


def _check_there(store: AssetStore, runs: Iterable[str | None]) -> None:
    """Refuses a store that does not answer; one that may be read and not listed is there."""
    for run_id in runs:
        try:
            next(iter(store.list(run_id=run_id)), None)
        except MMRawError as error:
            if error.code != "store_permission":
                raise


_EXPECTED = {
    "cache_bytes": "expected a whole number of bytes from 0",
    "frames": "expected single or first",
    "identity": "expected secret or mm_hash",
    "image_seconds": "expected a number of seconds above 0, at most a day",
    "inflight_bytes": "expected a whole number of bytes from 1",
    "inflight_images": "expected a whole number from 1",
    "isolation": "expected auto, process or off",
    "limits": "expected an object of limits from 1, by their names in limits.json",
    "max_body_bytes": "expected a whole number of bytes from 1",
    "queue": "expected a whole number from 0",
    "refs_only": "expected true or false",
    "run_ids": "expected names of runs",
    "store_create": "expected true or false",
    "secret": f"expected at least {_SECRET} characters",
    "store_options": "expected an object",
    "workers": "expected a whole number from 1 to 256",
}


def _typed(name: str, value: Any) -> Any:
    """The value of one setting by its type; text from the environment is converted."""
    if name == "limits" and isinstance(value, dict):
        names = set(cast("dict[str, Any]", value))
        value = cast(Any, value) if names <= set(Limits.__struct_fields__) else None
    try:
        return getattr(msgspec.convert({name: value}, Settings, strict=False), name)
    except msgspec.ValidationError:
        pass
    expected = _EXPECTED.get(name, "expected text")
    if name in ("families", "family"):
        expected = f"the families are {', '.join(families())}"
    message = f"{PREFIX}{name.upper()}: {expected}"
    raise MMRawError("unsupported_option", message)
