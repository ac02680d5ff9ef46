"""Clients that mean harm, or are merely broken, beside clients that are not.

One server, with small budgets, stands all of it. After each attack the good clients have their
tokens, the server has answered nothing with 500, and its memory has stayed within what is set.
"""

import json
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import msgspec
import pytest
from conftest import Start, token_id
from exchange import GENERATE, RUN, generate_body
from pictures import KINDS, encode, picture
from PIL import Image
from server import VllmServer
from urls import CHAT, Urls, data_url, tokens_of, user

from mmraw_protocol import build_features, format_ref, get_adapter, mm_data, parse_ref
from mmraw_protocol.conversation.messages import pack_images
from mmraw_protocol.stores import LocalStore

MIB = 1 << 20
INFLIGHT, CACHE = 512 * MIB, 32 * MIB
#: The tolerance for allocators' rounding and the requests' own bytes.
SLACK = 128 * MIB
MOST_BODY = 8 * MIB
CLIENTS = 64
SMALL = KINDS["jpeg"](picture(160, 96, 7))
#: Small files of 16.8 million pixels each; none is the same.
LARGE = [encode(Image.new("RGB", (4096, 4096), (n, 2 * n, 3 * n)), "PNG") for n in range(4)]
TEXT = {"model": "tiny", "messages": [{"role": "user", "content": "say"}], "max_tokens": 1}

Attack = Callable[[Urls], None]
ATTACKS: list[Attack] = []


def attack(function: Attack) -> Attack:
    """Adds one to the list."""
    ATTACKS.append(function)
    return function


@pytest.fixture(scope="module")
def attacked(start: Start, store: LocalStore) -> Urls:
    """A client of the server that is attacked."""
    settings = {"MMRAW_INFLIGHT_BYTES": str(INFLIGHT), "MMRAW_CACHE_BYTES": str(CACHE)}
    settings["MMRAW_MAX_BODY_BYTES"] = str(MOST_BODY)
    options = ['--limit-mm-per-prompt={"image": 4}', "--mm-processor-cache-gb=0.05"]
    options += ['--allowed-origins=["*"]', "--enable-request-id-headers"]
    return client_of(start("qwen", *options, **settings), store)


def client_of(server: VllmServer, store: LocalStore) -> Urls:
    """A client of a Qwen3-VL."""
    adapter = get_adapter("qwen_vl", server.model)
    return Urls(server, adapter, token_id(server.model, adapter.pad_token), store)


def good(urls: Urls) -> list[int]:
    """An honest client's answer."""
    return tokens_of(urls.chat([user(urls.ref(SMALL), "what is it?")], max_tokens=4))


def lying(urls: Urls, data: bytes) -> str:
    """An inline ref that says that its image is small."""
    ref = parse_ref(urls.inline(data))
    return format_ref(msgspec.structs.replace(ref, payload=urls.adapter.layout(64, 64).payload))


def begun(urls: Urls) -> float:
    """The number of images that the server has begun to read."""
    return urls.server.metric("mmraw_image_seconds_count")


def refused(answer: httpx.Response) -> str:
    """The message of what is the client's fault."""
    assert answer.status_code == 400, answer.text
    return answer.json()["error"]["message"]


def features_of(urls: Urls, images: list[bytes]) -> dict[str, Any]:
    """An honest request with inline refs in features; its prompt is a span for each image."""
    parts = [{"type": "image_url", "image_url": {"url": data_url(data)}} for data in images]
    messages = [{"role": "user", "content": parts}]
    packed = pack_images(messages, urls.adapter, storage="inline")
    counts = [urls.adapter.placeholder_length(image.description.payload) for image in packed]
    token_ids, offsets = list[int](), list[int]()
    for count in counts:
        offsets.append(len(token_ids) + 1)
        token_ids += [5, *[urls.target] * count, 6]
    features = build_features(mm_data(packed, offsets), run_id=RUN)
    return generate_body(token_ids, features)


@attack
def many_large_images_in_one_small_request(urls: Urls) -> None:
    before = begun(urls)
    body = features_of(urls, [LARGE[n % 4] for n in range(30)])
    assert "limit_exceeded" in refused(urls.server.post(GENERATE, body))
    many = user(*(urls.inline(LARGE[n % 4]) for n in range(30)))
    assert "limit_exceeded" in refused(urls.chat([many]))
    assert begun(urls) == before


@attack
def large_images_that_say_that_they_are_small(urls: Urls) -> None:
    bad = [lying(urls, data) for data in LARGE]
    pairs = [user(*bad[at : at + 2]) for at in (0, 1, 2, 0)]
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(lambda pair: urls.chat([pair]), pairs):
            assert "grid_mismatch" in refused(answer)
    # Together they would take more than all may hold.
    assert "MMRAW_INFLIGHT_BYTES" in refused(urls.chat([user(*bad)]))


@attack
def many_requests_for_one_slow_image(urls: Urls) -> None:
    before = begun(urls)
    slow = [user(lying(urls, LARGE[0]))]
    with ThreadPoolExecutor(16) as pool:
        for answer in pool.map(lambda _: urls.chat(slow), range(16)):
            assert "grid_mismatch" in refused(answer)
    # They wait for each other, and not each for itself.
    assert begun(urls) - before < 16


@attack
def clients_that_hang_up(urls: Urls) -> None:
    bodies = [{"model": "tiny", "messages": [user(lying(urls, data))]} for data in LARGE]
    bodies += [features_of(urls, [LARGE[0]])]
    counted = urls.server.metric("mmraw_disconnects_total")
    for body in [*bodies, *bodies, *bodies]:
        with connection(urls.server) as client:
            client.sendall(request_bytes(CHAT, json.dumps(body).encode()))
            # A reset, not a farewell.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert good(urls)
    left = urls.server.metric("mmraw_disconnects_total") - counted
    print(f"{left:.0f} clients left")
    assert 0 < left <= 3 * len(bodies)


@attack
def bodies_that_never_end(urls: Urls) -> None:
    body = json.dumps({"model": "tiny", "messages": [user(urls.inline(LARGE[0]))]}).encode()
    with ExitStack() as stack:
        for _ in range(CLIENTS):
            client = stack.enter_context(connection(urls.server))
            client.sendall(request_bytes(CHAT, body)[:-10])
        assert good(urls)


@attack
def bodies_that_are_too_long(urls: Urls) -> None:
    body = json.dumps({"model": "tiny", "messages": [user("a" * MOST_BODY)]}).encode()
    headers = {"content-type": "application/json", "origin": "https://example.org"}
    headers["x-request-id"] = "long"
    # With its length said before, and in chunks.
    for content in (body, [body]):
        for path in (CHAT, GENERATE):
            given = content if isinstance(content, bytes) else iter(content)
            answer = urls.server.http.post(path, content=given, headers=headers)
            assert (answer.status_code, answer.headers["x-request-id"]) == (413, "long")
            assert answer.headers["access-control-allow-origin"] == "*"


@attack
def refs_that_push_out_what_chat_has_sent(urls: Urls) -> None:
    known = picture(320, 320, 1)
    chat = [user(data_url(encode(known, "PNG")), "what is it?")]
    first = urls.chat_tokens(chat)
    for seed in range(40):
        tokens_of(urls.chat([user(urls.ref(encode(picture(320, 320, seed), "PNG")), "?")]))
    assert urls.chat_tokens(chat) == first


@attack
def another_picture_under_the_name_of_a_ref(urls: Urls) -> None:
    before = good(urls)
    name = urls.fields(SMALL).mm_hash
    part = user(data_url(encode(picture(64, 64, 99), "PNG")))["content"][0]
    urls.chat([{"role": "user", "content": [{**part, "uuid": name}]}])
    assert good(urls) == before


@attack
def requests_that_cannot_be_served(urls: Urls) -> None:
    before = begun(urls)
    ref = urls.ref(KINDS["png"](picture(2000, 2000, 3)))
    post = urls.server.http.post
    body = {"model": "tiny", "messages": [user(ref)]}
    assert urls.server.post(CHAT, {**body, "model": "other"}).status_code == 404
    kind = {"content-type": "text/plain"}
    assert 400 <= post(CHAT, content=json.dumps(body), headers=kind).status_code < 500
    assert "limit_exceeded" in refused(urls.chat([user(ref, ref, ref)]))
    assert "--limit-mm-per-prompt" in refused(urls.chat([user(*[urls.ref(SMALL)] * 5)]))
    beyond = generate_body([5] * 9000, features_of(urls, [SMALL])["features"])
    assert "max_model_len" in refused(urls.server.post(GENERATE, beyond))
    assert "lengths_differ" in refused(urls.chat([user(ref, "<|image_pad|>")]))
    assert begun(urls) == before


@attack
def text_in_odd_encodings(urls: Urls) -> None:
    text = json.dumps(TEXT)
    for body in (
        text.encode("utf-16"),
        text.encode("utf-32-le"),
        text.replace("}]", '}], "temperature": NaN').encode(),
        text.replace("say", "\\ud800").encode(),
        b"\xef\xbb\xbf" + text.encode(),
        b"[" * 100_000,
        b"",
    ):
        answer = urls.server.http.post(
            CHAT, content=body, headers={"content-type": "application/json"}
        )
        assert "mmraw" not in answer.text
        assert answer.status_code < 500, answer.text


@attack
def odd_spellings_of_routes(urls: Urls) -> None:
    body = {"model": "tiny", "messages": [user(lying(urls, LARGE[0]))]}
    # Where vLLM takes one of these for its route, the refs are checked there.
    for path in (
        "//v1/chat/completions",
        "/v1/chat/completions/",
        "/v1/chat//completions",
        "/V1/chat/completions",
        "/v1/chat/%63ompletions",
        "/v1/./chat/completions",
        "/v1/chat/completions?a=b",
        "/v1/chat/completions%00",
        "/v1/chat/completions/render",
    ):
        answer = urls.server.http.post(path, json=body, follow_redirects=True)
        assert 400 <= answer.status_code < 500, (path, answer.text)


def connection(server: VllmServer) -> socket.socket:
    """A connection of a client that speaks for itself."""
    port = int(server.url.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def request_bytes(path: str, body: bytes) -> bytes:
    """The bytes that such a client sends."""
    head = f"POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
    return head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body


@pytest.fixture(scope="module")
def expected(attacked: Urls) -> list[int]:
    """The tokens of the good clients; everything has been used once, as on a server that runs."""
    found = good(attacked)
    attacked.chat([user(lying(attacked, LARGE[0]))])
    return found


@pytest.mark.parametrize("act", ATTACKS, ids=lambda function: function.__name__)
def test_good_clients_get_their_tokens_beside(
    attacked: Urls, expected: list[int], act: Attack
) -> None:
    server = attacked.server
    idle = server.reset_peak()
    with ThreadPoolExecutor(17) as pool:
        attacking = pool.submit(act, attacked)
        found = [*pool.map(lambda _: good(attacked), range(CLIENTS))]
        attacking.result()
    assert found == [expected] * CLIENTS
    peak = server.peak_bytes()
    print(f"idle {idle // MIB} MiB, peak {peak // MIB} MiB")
    assert peak <= idle + INFLIGHT + CACHE + SLACK
    # The work that the attack began ends, and nothing of it is held.
    assert any(server.metric("mmraw_in_flight") == 0 for _ in range(100))
    assert server.metric("mmraw_cache_bytes") <= CACHE
    assert server.metric("http_requests_total", status="2xx") >= CLIENTS
    assert server.metric("http_requests_total", status="5xx") == 0
    assert server.is_healthy()


def test_past_a_full_queue_clients_are_told_to_come_again(start: Start, store: LocalStore) -> None:
    urls = client_of(start("qwen", MMRAW_INFLIGHT_IMAGES="1", MMRAW_QUEUE="2"), store)
    tokens = good(urls)
    images = [Image.new("RGB", (4096, 4096), (n, n, n)) for n in range(12)]
    slow = [user(lying(urls, encode(image, "PNG"))) for image in images]
    with ThreadPoolExecutor(20) as pool:
        answers = pool.map(lambda message: urls.chat([message]), slow)
        # A kept image waits for nothing.
        assert [*pool.map(lambda _: good(urls), range(8))] == [tokens] * 8
        busy = [answer for answer in answers if "grid_mismatch" not in answer.text]
    assert 0 < len(busy) < len(slow)
    assert {(answer.status_code, answer.headers["retry-after"]) for answer in busy} == {(503, "1")}
    refusals = urls.server.metric("mmraw_refused_requests_total", code="server_unavailable")
    assert refusals == len(busy)
    assert "grid_mismatch" in refused(urls.chat([slow[0]]))
    assert urls.server.metric("mmraw_in_flight") == 0
    assert urls.server.is_healthy()
