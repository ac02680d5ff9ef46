"""A real server of Google's storage protocol on this machine: fake-gcs-server.

It knows the XML interface, which obstore speaks, for reading, listing and deleting. Writing it
knows by the JSON interface alone, so the proxy before it says that one request in those words.
"""

import http.client
import importlib.util
import json
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from faulty_proxy import Answer, FaultyProxy
from local_server import LocalServer

BUCKET = "images"
_INSTALL = Path(__file__).parents[1] / "environments/install.py"


def program() -> Path | None:
    """The path of the server in its environment; None if that was not made."""
    spec = importlib.util.spec_from_file_location("environments_install", _INSTALL)
    assert spec is not None
    assert spec.loader is not None
    install: Any = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = install
    spec.loader.exec_module(install)
    found = install.environment_of("gcs").glob("lib/*/site-packages/*/vendor/*/bin/*")
    return next(iter(sorted(found)), None)


class GoogleServer(LocalServer):
    """One bucket, `images`, behind a proxy that translates."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.proxy = _Translator(self.port)

    def command(self) -> list[str]:
        """The server; requests for its public host are those of the XML interface."""
        name = program()
        assert name is not None
        place = ("-scheme", "http", "-host", "127.0.0.1", "-port", str(self.port))
        store = ("-backend", "filesystem", "-filesystem-root", str(self.folder / "objects"))
        host = self.proxy.endpoint.removeprefix("http://")
        return [str(name), *place, *store, "-public-host", host, "-external-url", self.endpoint]

    def start(self) -> None:
        """Starts the server, and makes the bucket."""
        super().start()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", "/storage/v1/b?project=tests", json.dumps({"name": BUCKET}))
        assert connection.getresponse().status in (200, 409)
        connection.close()

    def kill(self) -> None:
        """Ends server and proxy."""
        super().kill()
        self.proxy.close()

    def environment(self) -> dict[str, str]:
        """The variable by which any client of Google's storage finds this server."""
        return {"STORAGE_EMULATOR_HOST": self.proxy.endpoint}


class _Translator(FaultyProxy):
    def _ask(self, handler: BaseHTTPRequestHandler, body: bytes) -> Answer:
        if handler.command != "PUT":
            return super()._ask(handler, body)
        bucket, _, key = handler.path.removeprefix("/").partition("/")
        handler.command = "POST"
        handler.path = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={key}"
        answer = super()._ask(handler, body)
        if answer.status == 200:
            said = json.loads(answer.body)
            answer.headers = {"ETag": said["etag"], "x-goog-generation": said["generation"]}
            answer.body = b""
        return answer
