"""The server's side: a toy model behind POST /inference/v1/generate that checks before it looks."""

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tokens import PAD

from mmraw_protocol import Materializer, MMRawError, open_store, parse_features
from mmraw_protocol.conversation.placeholders import check_placeholders
from mmraw_protocol.integrations.vllm.errors import features_error


def see(materializer: Materializer, request: dict[str, Any]) -> str:
    """The mean colour of the newest picture: right only if the pixels are."""
    features = parse_features(request["features"])
    prompt = request["token_ids"]
    for modality, places in features.mm_placeholders.items():
        check_placeholders(prompt, places, pad_token_id=PAD, modality=modality)
    pixels = b""
    for slot in features.slots():
        pixels = materializer.materialize(
            slot.ref,
            mm_hash=slot.mm_hash,
            modality=slot.modality,
            placeholder_length=slot.placeholder.length,
        ).rgb
    means = [sum(pixels[channel::3]) // (len(pixels) // 3) for channel in range(3)]
    return "#" + bytes(means).hex()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    materializer: Materializer

    def do_POST(self) -> None:
        """Answers a generate request."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            choice = {"index": 0, "token_ids": list(see(self.materializer, request).encode())}
            self.answer(200, {"request_id": "toy", "choices": [choice]})
        except MMRawError as error:
            self.answer(*features_error(error))

    def answer(self, status: int, document: dict[str, Any]) -> None:
        """Sends JSON."""
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing for each request."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", required=True)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    Handler.materializer = Materializer(open_store(options.store, run_id="exp42"))
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    print(f"listening on port {server.server_port}", flush=True)
    server.serve_forever()
