"""The clients of object stores, as obstore makes them."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from ..wire.errors import MMRawError
from ..wire.extras import extra_module
from .aws_profile import endpoint_of, profile_options
from .place import Place


def client_for(place: Place, timeout: float, retries: int, retry_seconds: float) -> Any:
    """obstore's store for a place's bucket; nothing is requested yet.

    Args:
        place: Scheme and bucket; the prefix is left to the caller.
        timeout: Seconds that one request may take.
        retries: How often it is repeated.
        retry_seconds: Seconds after which nothing is repeated any more.

    Raises:
        MMRawError: missing_dependency, store_invalid, store_permission.
    """
    obstore = extra_module("obstore.store", "object-store", "for object stores")
    if place.scheme == "memory":
        return obstore.MemoryStore()
    kind: Any = {"s3": obstore.S3Store, "gs": obstore.GCSStore, "az": obstore.AzureStore}
    options, endpoint = _cloud_options(place.scheme)
    client = None
    try:
        client = kind[place.scheme](
            place.bucket,
            **options,
            client_options={
                "timeout": timedelta(seconds=timeout),
                "connect_timeout": timedelta(seconds=min(5.0, timeout)),
                # Plain http only if the user named such an endpoint.
                "allow_http": endpoint.startswith("http://"),
            },
            retry_config={
                "max_retries": retries,
                "retry_timeout": timedelta(seconds=retry_seconds),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=5),
                },
            },
        )
    except Exception:  # noqa: BLE001
        # Its words may repeat what the environment holds.
        client = None
    if client is None:
        message = "the environment's settings for this object store are incomplete or contradict"
        raise MMRawError("store_invalid", message)
    return client


def _cloud_options(scheme: str) -> tuple[dict[str, Any], str]:
    """The options that obstore does not read from the environment, and the endpoint, if set."""
    if scheme == "gs":
        return _google_options()
    if scheme == "az":
        names = ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")
        return {}, next((os.environ[name] for name in names if os.environ.get(name)), "")
    options = profile_options()
    config = options.setdefault("config", {})
    # One key at a time is what we delete, and what every S3-compatible server understands.
    config["disable_bulk_delete"] = True
    return options, config.get("endpoint") or endpoint_of()


def _google_options() -> tuple[dict[str, Any], str]:
    """An emulator is named and spoken to as by Google's own clients: without credentials."""
    emulator = os.environ.get("STORAGE_EMULATOR_HOST", "")
    if not emulator:
        return {}, os.environ.get("GOOGLE_BASE_URL", "")
    url = emulator if "://" in emulator else f"http://{emulator}"
    # obstore leaves out credentials of readers only; a token of any text keeps it from asking.
    return {"config": {"base_url": url.rstrip("/"), "bearer_token": "none"}}, url
