"""Several API servers and several engines of one deployment."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import Models, Start, token_id
from pictures import KINDS, picture
from urls import Urls, data_url, user

from mmraw_protocol import get_adapter
from mmraw_protocol.stores import LocalStore

REQUESTS = 32
PICTURES = [KINDS["jpeg"](picture(160 + 32 * n, 96, n)) for n in range(4)]
CASES = {
    "api-servers": ("--api-server-count=2",),
    "data-parallel": ("--data-parallel-size=2", "--api-server-count=2"),
}


@pytest.mark.parametrize("case", CASES)
def test_every_server_and_engine_gives_the_tokens_of_the_data_urls(
    start: Start, models: Models, store: LocalStore, case: str
) -> None:
    server = start("qwen", *CASES[case], MMRAW_SECRET="a secret of this test")
    adapter = get_adapter("qwen_vl", models.get("qwen"))
    urls = Urls(server, adapter, token_id(server.model, adapter.pad_token), store)
    stock = [urls.chat_tokens([user(data_url(data), "what is it?")]) for data in PICTURES]
    refs = [urls.ref(data) for data in PICTURES]

    def tokens(index: int) -> list[int]:
        return urls.chat_tokens([user(refs[index % 4], "what is it?")])

    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(tokens, range(REQUESTS))]
    assert found == stock * (REQUESTS // 4)
    # Each process keeps pictures of its own.
    misses = server.metric("mmraw_images_total", cache="miss")
    assert 4 <= misses <= 8
