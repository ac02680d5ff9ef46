"""Credentials of an AWS profile, through botocore, which knows every kind (sso, assumed roles, …).

obstore itself reads the AWS_* variables, web identities, containers and instance roles.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from ..wire.errors import MMRawError
from ..wire.extras import extra_module

#: With one of these set, the environment itself says where credentials come from.
_IN_ENVIRONMENT = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)
#: Seconds for which one answer of botocore is used; botocore renews credentials before that.
_KEEP = timedelta(minutes=5)


def profile_options(environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The options of obstore's S3 store from the user's profile; empty if no profile counts.

    Raises:
        MMRawError: missing_dependency (AWS_PROFILE is set and botocore is not installed),
            store_permission (the profile has no credentials).
    """
    values = os.environ if environment is None else environment
    if any(values.get(name) for name in _IN_ENVIRONMENT):
        return {}
    if not values.get("AWS_PROFILE") and not _has_shared_file(values):
        return {}
    session = _session(required=bool(values.get("AWS_PROFILE")))
    return {} if session is None else _options_of(session, values)


def _has_shared_file(values: Mapping[str, str]) -> bool:
    name = values.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials"
    return Path(name).expanduser().is_file()


def _session(*, required: bool) -> Any:
    """A botocore session, or None if botocore is not installed and not needed."""
    purpose = "for AWS_PROFILE, or set AWS_ACCESS_KEY_ID"
    try:
        return extra_module("botocore.session", "aws-profile", purpose).Session()
    except MMRawError:
        if required:
            raise
    return None


def _options_of(session: Any, values: Mapping[str, str]) -> dict[str, Any]:
    credentials: Any = None
    config: dict[str, Any] = {}
    try:
        credentials = session.get_credentials()
        config = session.get_scoped_config()
    except Exception:  # noqa: BLE001
        # An unknown profile, a broken file, an expired login: what botocore says names paths.
        credentials = None
    if credentials is None:
        message = "the AWS profile gives no credentials"
        raise MMRawError("store_permission", message)
    chosen: dict[str, str] = {}
    if config.get("region") and not (values.get("AWS_REGION") or values.get("AWS_DEFAULT_REGION")):
        chosen["region"] = str(config["region"])
    if config.get("endpoint_url") and not endpoint_of(values):
        chosen["endpoint"] = str(config["endpoint_url"])
    return {"config": chosen, "credential_provider": _provider(credentials)}


def _provider(credentials: Any) -> Any:
    def provide() -> dict[str, Any]:
        frozen = credentials.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(timezone.utc) + _KEEP,
        }

    return provide


def endpoint_of(environment: Mapping[str, str] | None = None) -> str:
    """The endpoint that the environment names, or an empty text."""
    values = os.environ if environment is None else environment
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"):
        if values.get(name):
            return values[name]
    return ""
