"""An HTTP proxy that stands between client and server and does harm on demand."""

import http.client
import select
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Most seconds to hold an answer back; the client gives up long before.
HOLD = 30.0


class Answer:
    """The server's answer, and ways to change it."""

    def __init__(
        self, handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes
    ) -> None:
        self._handler = handler
        self.status = status
        self.headers = headers
        self.body = body

    def send(self, *, status: int | None = None, body: bytes | None = None, size: int = -1) -> None:
        """Sends status, headers and body; `size` is what Content-Length says, if not the truth."""
        content = self.body if body is None else body
        self._handler.send_response_only(self.status if status is None else status)
        for name, value in self.headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self._handler.send_header(name, value)
        length = self.headers.get("Content-Length", "0") if not content else len(content)
        self._handler.send_header("Content-Length", str(length if size < 0 else size))
        self._handler.end_headers()
        self._handler.wfile.write(content)
        self._handler.wfile.flush()

    def hold(self) -> None:
        """Says nothing more until the client hangs up."""
        select.select([self._handler.connection], [], [], HOLD)
        self._handler.close_connection = True

    def hang_up(self) -> None:
        """Ends the connection."""
        self._handler.close_connection = True


Fault = Callable[[Answer], None]


def slow(answer: Answer) -> None:
    """No answer within any patience."""
    answer.hold()


def slow_body(answer: Answer) -> None:
    """Half the body, and then nothing."""
    answer.send(body=answer.body[: len(answer.body) // 2], size=len(answer.body))
    answer.hold()


def cut_body(answer: Answer) -> None:
    """Half the body, and then the connection breaks."""
    answer.send(body=answer.body[: len(answer.body) // 2], size=len(answer.body))
    answer.hang_up()


def short_body(answer: Answer) -> None:
    """Half the body, said to be the whole."""
    answer.send(body=answer.body[: len(answer.body) // 2])


def wrong_bytes(answer: Answer) -> None:
    """As many bytes as there should be, and other ones."""
    answer.send(body=bytes(byte ^ 1 for byte in answer.body))


def unavailable(answer: Answer) -> None:
    """503, as a server under load says."""
    answer.send(status=503, body=b"<Error><Code>SlowDown</Code></Error>")


def full(answer: Answer) -> None:
    """507, as a server without room says."""
    answer.send(status=507, body=b"<Error><Code>XMinioStorageFull</Code></Error>")


def reset(answer: Answer) -> None:
    """The connection breaks before an answer."""
    answer.hang_up()


def enormous(answer: Answer) -> None:
    """A body of a terabyte is announced."""
    answer.send(body=answer.body, size=10**12)
    answer.hold()


class FaultyProxy:
    """Passes requests on and hurts the answers that a test names.

    Attributes:
        requests: (method, path) of every request so far.
        sent: Bytes of bodies of GET that the server gave, by the proxy's count.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._faults: list[tuple[str, Fault]] = []
        self._always: dict[str, Fault] = {}
        self._lock = threading.Lock()
        self.requests: list[tuple[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        """Stops."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def hurt(self, method: str, fault: Fault, times: int = 1) -> None:
        """The next `times` answers to that method are hurt."""
        with self._lock:
            self._faults += [(method, fault)] * times

    def hurt_always(self, method: str, fault: Fault) -> None:
        """Every answer to that method is hurt."""
        self._always[method] = fault

    def heal(self) -> None:
        """No more faults; the count starts again."""
        with self._lock:
            self._faults.clear()
            self._always.clear()
            self.requests.clear()

    def count(self, method: str) -> int:
        """Counts the requests of that method."""
        with self._lock:
            return sum(name == method for name, _ in self.requests)

    def _fault_for(self, method: str, path: str) -> Fault | None:
        with self._lock:
            self.requests.append((method, path))
            for index, (name, fault) in enumerate(self._faults):
                if name == method:
                    del self._faults[index]
                    return fault
            return self._always.get(method)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size)
                fault = proxy._fault_for(self.command, self.path)
                try:
                    answer = proxy._ask(self, body)
                except OSError:
                    self.close_connection = True
                    return
                try:
                    (fault or Answer.send)(answer)
                except OSError:
                    self.close_connection = True

            do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = pass_on  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                """Tests speak by failing."""

        return Handler

    def _ask(self, handler: BaseHTTPRequestHandler, body: bytes) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self._target, timeout=HOLD)
        try:
            # The headers as they are, Host above all: it is part of the signature.
            connection.putrequest(
                handler.command, handler.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in handler.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            content = answer.read()
            return Answer(handler, answer.status, dict(answer.headers), content)
        finally:
            connection.close()
