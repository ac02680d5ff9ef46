"""A real server of Azure's blob protocol on this machine: Azurite."""

import base64
import hashlib
import hmac
import http.client
import os
import shutil
from email.utils import formatdate
from pathlib import Path

from local_server import LocalServer

ACCOUNT = "tester"
KEY = base64.b64encode(b"a secret of the tests").decode()
CONTAINER = "images"
_MAIN = (
    Path(__file__).parents[1] / "environments/azurite/node_modules/azurite/dist/src/blob/main.js"
)


def missing() -> str | None:
    """Names what is not installed; None if everything is."""
    if shutil.which("node") is None:
        return "node 20 or later is missing"
    return None if _MAIN.exists() else "Azurite is missing: make test-objects brings it"


class AzureServer(LocalServer):
    """One container, `images`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.variables = {**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"}

    def command(self) -> list[str]:
        """Azurite, which talks to nobody but its clients."""
        node = shutil.which("node")
        assert node is not None
        options = ("--silent", "--disableTelemetry", "--skipApiVersionCheck")
        place = ("--blobHost", "127.0.0.1", "--blobPort", str(self.port))
        return [node, str(_MAIN), *options, *place, "--location", str(self.folder)]

    def start(self) -> None:
        """Starts the server, and makes the container."""
        super().start()
        path = f"/{ACCOUNT}/{CONTAINER}"
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
        signed = "".join(f"{name}:{value}\n" for name, value in headers.items())
        # A request by its shared key (learn.microsoft.com, "Authorize with Shared Key").
        text = f"PUT{12 * chr(10)}{signed}/{ACCOUNT}{path}\nrestype:container"
        digest = hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)
        headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("PUT", f"{path}?restype=container", headers=headers)
        assert connection.getresponse().status in (201, 409)
        connection.close()

    def environment(self) -> dict[str, str]:
        """The variables by which any client of Azure's blobs finds this server."""
        return {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "AZURE_STORAGE_ENDPOINT": f"{self.endpoint}/{ACCOUNT}",
        }
