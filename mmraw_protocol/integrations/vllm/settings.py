"""What the server's owner decides, by environment or by a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import msgspec

from ...conversation.environment import image_dir
from ...families import Adapter
from ...images.decode import Isolation
from ...images.isolation import IsolatedDecoder
from ...images.pixels import Frames
from ...materialize import Materializer, cache_bytes_from_environment
from ...stores import AssetStore, open_store
from ...system.shown import Shown
from ...wire._generated.limits import DEFAULT_LIMITS, Limits
from ...wire.errors import MMRawError
from ...wire.json import parse_json

PREFIX = "MMRAW_"
FILE = "MMRAW_CONFIG"

Identity = Literal["secret", "mm_hash"]
#: Characters of a secret, at least.
_SECRET = 16


class Settings(Shown, msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a server; each is MMRAW_<NAME> in the environment.

    Attributes:
        store: Directory or URL of the image store. Without it, VF_RENDERER_IMAGE_OFFLOAD_DIR or
            `assets/images` below PRIME_RL_RUN_DIR; where none is set, only inline refs are taken.
        run_id: The one run whose refs may use the store; None takes refs of any run.
        run_ids: The runs below `store` that may be used (comma-separated in the environment).
        store_options: What `open_store` takes besides (JSON in the environment).
        cache_bytes: Most bytes of decoded images to keep, 0 for none. Without it,
            PRIME_RL_MM_MATERIALIZE_CACHE_GB, or 2 GiB.
        families: The families that are allowed; None allows the one that the model is of.
        family: The model's family, where it cannot be told from the model's type.
        refs_only: Refuse every other URL that loads media, and tensors.
        isolation: `process` decodes in processes of their own, one for each worker, so that a
            decoder that crashes or hangs costs one image and not the server. `auto` decodes in
            threads of the server's process, and in other processes only what would take more than
            8 bytes a pixel and 32 MiB in this one. `off` starts no process.
        frames: `single` refuses animations, `first` takes their first frame.
        secret: What the names of pictures in vLLM's caches are made with; the same for all servers
            that share a cache. None makes one when a server starts, if it is alone.
        epoch: Enters those names; changed where the model's vision tower changes.
        identity: `mm_hash` names a picture by its hash instead, for routers that know no other.
        workers: Threads that read and decode images.
        max_body_bytes: Most bytes of a request, refused while reading; None takes the limit
            `features_bytes`.
        limits: Limits by their names in limits.json (JSON in the environment); others keep their
            defaults.
    """

    store: str | None = None
    run_id: str | None = None
    run_ids: tuple[str, ...] | None = None
    store_options: dict[str, Any] = {}
    cache_bytes: int | None = None
    families: tuple[str, ...] | None = None
    family: str | None = None
    refs_only: bool = False
    isolation: Isolation = "auto"
    frames: Frames = "single"
    secret: str | None = None
    epoch: str = ""
    identity: Identity = "secret"
    workers: int = 4
    max_body_bytes: int | None = None
    limits: Limits = DEFAULT_LIMITS

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= 256:
            raise ValueError("workers is a number from 1 to 256")
        for name in ("cache_bytes", "max_body_bytes"):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name} is not negative")
        if self.secret is not None and len(self.secret) < _SECRET:
            raise ValueError("secret is too short")

    def _shown(self) -> Mapping[str, object]:
        return {name: value for name, value in super()._shown().items() if name != "secret"}

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """The settings of the file that MMRAW_CONFIG names, overridden by other MMRAW_* variables.

        Raises:
            MMRawError: unsupported_option, naming the setting.
        """
        variables = os.environ if environment is None else environment
        values = _file_values(variables[FILE]) if variables.get(FILE) else {}
        values |= _environment_values(variables)
        for name in values:
            if name not in cls.__struct_fields__:
                names = ", ".join(cls.__struct_fields__)
                raise MMRawError("unsupported_option", f"{FILE}: the settings are {names}")
        return cls(**{name: _typed(name, value) for name, value in values.items()})

    @property
    def body_limit(self) -> int:
        """Most bytes of a request's body."""
        return self.limits.features_bytes if self.max_body_bytes is None else self.max_body_bytes

    def decoder(self) -> IsolatedDecoder | Isolation:
        """The processes that decode every image, or when others than this one do."""
        if self.isolation != "process":
            return self.isolation
        return IsolatedDecoder(processes=self.workers, limits=self.limits, frames=self.frames)

    @property
    def cache_size(self) -> int:
        """Most bytes of decoded images to keep."""
        return cache_bytes_from_environment() if self.cache_bytes is None else self.cache_bytes

    def materializer(self, adapter: Adapter) -> Materializer:
        """What verifies and decodes images under the served model's layout; it keeps none itself.

        Raises:
            MMRawError: what `open_store` raises.
        """
        allowed = self.families is None or adapter.family in self.families
        return Materializer(
            self.open_store(),
            limits=self.limits,
            cache_bytes=0,
            adapters={adapter.family: adapter},
            families=[adapter.family] if allowed else [],
            frames=self.frames,
            isolation=self.decoder(),
        )

    def open_store(self) -> AssetStore | None:
        """The store that these settings name, or None.

        Raises:
            MMRawError: unsupported_option, and what `mmraw_protocol.stores.open_store` raises.
        """
        place = self.store or image_dir()
        if place is None:
            return None
        given = {"run_id": self.run_id, "run_ids": self.run_ids, "limits": self.limits}
        if given.keys() & self.store_options.keys():
            message = f"{PREFIX}STORE_OPTIONS: runs and limits have settings of their own"
            raise MMRawError("unsupported_option", message)
        return open_store(place, **given, **self.store_options)


def _file_values(path: str) -> dict[str, Any]:
    text: bytes | None = None
    try:
        text = Path(path).read_bytes()
    except OSError:
        text = None
    if text is None:
        raise MMRawError("unsupported_option", f"the file that {FILE} names cannot be read")
    document = parse_json(text)
    if not isinstance(document, dict):
        raise MMRawError("unsupported_option", f"the file that {FILE} names is no JSON object")
    return cast("dict[str, Any]", document)


def _environment_values(variables: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in Settings.__struct_fields__:
        text = variables.get(PREFIX + name.upper(), "").strip()
        if not text:
            continue
        if name in ("run_ids", "families"):
            values[name] = [part.strip() for part in text.split(",") if part.strip()]
        elif name in ("limits", "store_options"):
            values[name] = _json(name, text)
        else:
            values[name] = text
    return values


def _json(name: str, text: str) -> Any:
    failed: MMRawError | None = None
    try:
        return parse_json(text)
    except MMRawError as error:
        failed = error
    raise MMRawError(failed.code, f"{PREFIX}{name.upper()}: {failed.message}")


_EXPECTED = {
    "cache_bytes": "expected a whole number of bytes from 0",
    "families": "expected names of families",
    "frames": "expected single or first",
    "identity": "expected secret or mm_hash",
    "isolation": "expected auto, process or off",
    "limits": "expected an object of limits by their names in limits.json",
    "max_body_bytes": "expected a whole number of bytes from 0",
    "refs_only": "expected true or false",
    "run_ids": "expected names of runs",
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
    message = f"{PREFIX}{name.upper()}: {_EXPECTED.get(name, 'expected text')}"
    raise MMRawError("unsupported_option", message)
