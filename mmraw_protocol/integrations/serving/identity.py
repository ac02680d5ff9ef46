"""Names under which a server files pictures of refs, and under which it files clients' pictures.

Servers take what a client names an image by (a uuid, a hash) for the identity of what comes with
it, whatever that is. So no value of a client's is taken as it is: it gets a prefix, and no identity
of a ref has that prefix.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ...wire.errors import MMRawError

if TYPE_CHECKING:
    from ...materialize import MaterializedImage
    from .settings import Settings

#: Begins every name that a client chose.
CLIENTS = "client-"
#: Under this name a picture's `info` has its `Name`.
INFO = "mmraw"
#: A change of how bytes become pixels changes this.
_PIXEL_RULE = "mmraw:rgb:v1"


class Name(msgspec.Struct, frozen=True):
    """The name of a ref's picture.

    Attributes:
        identity: What the server files it under.
        num_tokens: How many tokens its image has.
    """

    identity: str
    num_tokens: int


class Naming(msgspec.Struct, frozen=True):
    """The way in which pictures of refs are named.

    Attributes:
        secret: What nobody else can make a name without; None takes mm_hash for the name.
        epoch: Changed where the same pixels mean other embeddings.
    """

    secret: bytes | None
    epoch: str

    def __repr__(self) -> str:
        return f"Naming(epoch={self.epoch!r})"

    def name(self, image: MaterializedImage) -> Name:
        """The name of a verified image."""
        adapter = image.adapter
        tokens = adapter.num_tokens(image.ref.payload)
        if self.secret is None:
            return Name(image.ref.mm_hash, tokens)
        fields = [_PIXEL_RULE, adapter.family, adapter.fingerprint(), image.sha256, self.epoch]
        return Name(hmac.digest(self.secret, "\n".join(fields).encode(), "sha256").hex(), tokens)


def naming_of(settings: Settings, api_servers: int, *, prefixes_clients: bool = True) -> Naming:
    """The naming that the settings ask for.

    Args:
        settings: Of the server.
        api_servers: How many processes name pictures.
        prefixes_clients: Whether the names that clients send get a prefix, as `of_client` writes.

    Raises:
        MMRawError: unsupported_option (several servers would each make a secret of their own, or a
            client could send the name of another client's picture).
    """
    if settings.identity == "mm_hash":
        if not prefixes_clients:
            message = "expected MMRAW_IDENTITY=secret: here clients can send a name that they know"
            raise MMRawError("unsupported_option", message)
        return Naming(None, settings.epoch)
    if settings.secret is not None:
        return Naming(settings.secret.encode(), settings.epoch)
    if api_servers != 1:
        message = (
            "MMRAW_SECRET is needed where several API servers run: they file the same pictures, "
            "and a secret that each made for itself would file every picture several times"
        )
        raise MMRawError("unsupported_option", message)
    return Naming(secrets.token_bytes(32), settings.epoch)


def naming_in_words(settings: Settings) -> str:
    """Describes how pictures are named, for a log: never the secret."""
    if settings.identity != "secret":
        return f"{settings.identity} (known to everybody)"
    return "secret" if settings.secret is not None else "secret (made for this process)"


def name_of(item: Any) -> Name | None:
    """The name of a picture, or of an item that holds one; None where it is no picture of a ref."""
    picture = cast("dict[str, Any]", item).get("image") if isinstance(item, dict) else item
    info = getattr(picture, "info", None)
    found = cast("dict[str, Any]", info).get(INFO) if isinstance(info, dict) else None
    return found if isinstance(found, Name) else None


def of_client(name: Any) -> Any:
    """Returns the name under which a client's name is filed; leave other values to the server."""
    return CLIENTS + name if isinstance(name, str) else name
