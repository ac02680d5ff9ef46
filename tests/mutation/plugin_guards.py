"""Guards of the vLLM plugin."""

from guard import Guard

HERE = "mmraw_protocol/integrations/vllm"
ANNOUNCE = f"{HERE}/announce.py"
CONNECTOR = f"{HERE}/connector.py"
IMAGES = f"{HERE}/ref_images.py"
PICTURES = f"{HERE}/pictures.py"
PROCESS = f"{HERE}/process.py"
REQUESTS = "tests/test_vllm_url_requests.py"
LOADING = "tests/test_vllm_plugin.py"

GUARDS = [
    Guard(
        "no uuid stands beside a ref by url",
        ANNOUNCE,
        "if image.named:",
        "if False:",
        f"{REQUESTS} -k beside",
    ),
    Guard(
        "the uuid of an image's inner object counts",
        ANNOUNCE,
        'yield Image(inner.get("url"), _is_named(node) or _is_named(inner))',
        'yield Image(inner.get("url"), _is_named(node))',
        f"{REQUESTS} -k beside",
    ),
    Guard(
        "arguments of the loader are refused beside refs by url",
        ANNOUNCE,
        'or loader.get("image")',
        "",
        f"{REQUESTS} -k beside",
    ),
    Guard(
        "a prompt has one target for each content part",
        ANNOUNCE,
        "and targets != len(types)",
        "and False",
        f"{REQUESTS} -k place",
    ),
    Guard(
        "text of a chat holds no target",
        ANNOUNCE,
        "elif any(target in text for text in _texts(document)):",
        "elif False:",
        f"{REQUESTS} -k place",
    ),
    Guard(
        "no ref stands in a part that vllm skips",
        ANNOUNCE,
        "if types[-1] != IMAGE_URL and",
        "if False and",
        f"{REQUESTS} -k silence",
    ),
    Guard(
        "refs in features are not left to vllm",
        ANNOUNCE,
        "if any(_is_ref(entry) for entry in entries):",
        "if False:",
        f"{REQUESTS} -k features",
    ),
    Guard(
        "only announced refs are loaded",
        PROCESS,
        "if request is None or text not in request.indices:",
        "if False:",
        f"{LOADING} -k announce",
    ),
    Guard(
        "a server never takes a script's model",
        CONNECTOR,
        "return _media(await process.images_of_server(url).get(url))",
        "return _media(await process.images_of_script(url).get(url))",
        f"{LOADING} -k without_the_endpoint",
    ),
    Guard(
        "refs_only refuses other urls",
        PROCESS,
        "return bool(_served.images.settings.refs_only)",
        "return False",
        f"{LOADING} -k refs_only",
    ),
    Guard(
        "each picture has the identity of its bytes",
        IMAGES,
        "image.getexif()[IMAGE_ID_TAG] = self.identity",
        "image.getexif()[0xA420] = self.identity",
        f"{LOADING} -k contract",
    ),
    Guard(
        "a request's image is its own once it is changed",
        IMAGES,
        "image.readonly = 1",
        "image.readonly = 0",
        f"{LOADING} -k changes",
    ),
    Guard(
        "fingerprints are compared before anything is read",
        IMAGES,
        "        compare_fingerprint(ref, adapter)\n",
        "",
        f"{REQUESTS} -k without_their_bytes",
    ),
    Guard(
        "who leaves cancels nothing for others",
        PICTURES,
        "await asyncio.shield(asyncio.wrap_future(flight.future))",
        "await asyncio.wrap_future(flight.future)",
        f"{LOADING} -k leaves",
    ),
    Guard(
        "what nobody waits for is not begun",
        PICTURES,
        "if not flight.waiting and flight.future.cancel():",
        "if False and flight.future.cancel():",
        f"{LOADING} -k leaves",
    ),
    Guard(
        "those who wait for one picture share its making",
        PICTURES,
        "flight = self._flights[key] = _Flight(future)",
        "flight = _Flight(future)",
        f"{LOADING} -k many_who",
    ),
]
