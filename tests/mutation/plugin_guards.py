"""Guards of the vLLM plugin."""

from guard import Guard

HERE = "mmraw_protocol/integrations/vllm"
SHARED = "mmraw_protocol/integrations/serving"
URLS = f"{HERE}/urls.py"
WALK = "mmraw_protocol/conversation/request_urls.py"
CONNECTOR = f"{HERE}/connector.py"
IMAGES = f"{SHARED}/ref_images.py"
PICTURES = "mmraw_protocol/materialize/awaited.py"
WAITING = "tests/test_awaited_cache.py"
FEATURES = f"{HERE}/features.py"
IDENTITY = f"{SHARED}/identity.py"
PICTURE = f"{SHARED}/picture.py"
RENDERERS = f"{HERE}/renderers.py"
ASGI = f"{HERE}/requests.py"
NAMES = "tests/test_vllm_identity.py"
NAMING = "tests/test_serving_identity.py"
ROUTE = "tests/test_vllm_features.py"
PROCESS = f"{HERE}/process.py"
REQUESTS = "tests/test_vllm_url_requests.py"
ADMISSION = "tests/test_vllm_admission.py"
LOADING = "tests/test_vllm_plugin.py"
OTHERS = "tests/test_serving_other_media.py"

GUARDS = [
    Guard(
        "a uuid beside a ref by url is its hash",
        URLS,
        "check_uuid(uuid, ref.mm_hash, path)",
        "pass",
        f"{REQUESTS} -k beside",
    ),
    Guard(
        "the uuid of an image's inner object counts",
        WALK,
        'yield cast("Document", value).get("url"), _uuids(node, value)',
        'yield cast("Document", value).get("url"), _uuids(node)',
        f"{REQUESTS} -k beside",
    ),
    Guard(
        "arguments of the loader are refused beside refs by url",
        URLS,
        'or loader.get("image")',
        "",
        f"{REQUESTS} -k beside",
    ),
    Guard(
        "a prompt has one target for each content part",
        URLS,
        "if targets != len(entries):",
        "if False:",
        f"{REQUESTS} -k place",
    ),
    Guard(
        "text of a chat holds no target",
        URLS,
        "elif served.target and any(",
        "elif False and any(",
        f"{REQUESTS} -k place",
    ),
    Guard(
        "no ref stands in a part that vllm skips",
        URLS,
        'if entry.get("type") != PART_TYPE and',
        "if False and",
        f"{REQUESTS} -k silence",
    ),
    Guard(
        "hashes of tensors are the client's",
        FEATURES,
        '"features": _raw(_of_client(features))',
        '"features": _raw(features)',
        f"{ROUTE} -k names",
    ),
    Guard(
        "bodies in other encodings are looked at",
        ASGI,
        ', b"\\\\u", b"\\0")',
        ")",
        f"{ROUTE} -k spelt",
    ),
    Guard(
        "the server's convention",
        FEATURES,
        "if slot.placeholder.length != adapter.placeholder_length(slot.ref.payload):",
        "if False:",
        "tests/test_conventions.py -k engine",
    ),
    Guard(
        "models that cannot be foretold take no features",
        FEATURES,
        "if served.no_features is not None:",
        "if False:",
        f"{ROUTE} -k foretold",
    ),
    Guard(
        "uuids of clients are moved",
        IDENTITY,
        "return CLIENTS + name if isinstance(name, str) else name",
        "return name",
        f"{NAMES} -k all_else",
    ),
    Guard(
        "a name is made with the secret",
        IDENTITY,
        "hmac.digest(self.secret,",
        'hmac.digest(b"",',
        f"{NAMING} -k known",
    ),
    Guard(
        "several servers share a secret",
        IDENTITY,
        "if api_servers != 1:",
        "if False:",
        "tests/test_vllm_start.py -k several",
    ),
    Guard(
        "counts of tokens are compared before the engine",
        RENDERERS,
        "count != name.num_tokens",
        "False",
        f"{NAMES} -k count",
    ),
    Guard(
        "prompts are compared before the engine",
        RENDERERS,
        'if expected is not None and cast("list[int]", found["prompt_token_ids"]) != expected:',
        "if False:",
        f"{ROUTE} -k otherwise",
    ),
    Guard(
        "what the engine never got is taken back",
        RENDERERS,
        "cache.invalidate(identity)",
        "pass",
        f"{ROUTE} -k otherwise",
    ),
    Guard(
        "only announced refs are loaded",
        PROCESS,
        "if request is None or text not in request.paths:",
        "if False:",
        f"{LOADING} -k announce",
    ),
    Guard(
        "a server never takes a script's model",
        CONNECTOR,
        "images, request = process.images_of_request(url)",
        "images, request = _images_now(url), process.announced.get()",
        f"{LOADING} -k without_the_endpoint",
    ),
    Guard(
        "refs_only refuses other urls",
        CONNECTOR,
        "    if refs_only:",
        "    if False:",
        f"{LOADING} -k refs_only",
    ),
    Guard(
        "each picture has the identity of its bytes",
        PICTURE,
        "image.info = {INFO: self.name}",
        "image.info = {}",
        f"{LOADING} -k contract",
    ),
    Guard(
        "a request's image is its own once it is changed",
        PICTURE,
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
        "return await asyncio.shield(flight.task)",
        "return await flight.task",
        f"{WAITING} -k leaves",
    ),
    Guard(
        "what nobody waits for is not begun",
        PICTURES,
        "if not flight.waiting:",
        "if False:",
        f"{WAITING} -k leaves",
    ),
    Guard(
        "those who wait for one picture share its making",
        PICTURES,
        "flight = self._flights[key] = _Flight(",
        "flight = _Flight(",
        f"{WAITING} -k many_who",
    ),
    Guard(
        "prompts that are too long are refused before images are read",
        PROCESS,
        "if tokens > prompts * self.most_tokens:",
        "if False:",
        f"{ADMISSION} -k anyway",
    ),
    Guard(
        "a refused image ends the others",
        f"{HERE}/errors.py",
        "request.loads.end(refused)",
        "pass",
        f"{ADMISSION} -k first_refused",
    ),
    Guard(
        "a client that leaves ends its loads",
        ASGI,
        "request.loads.end(asyncio.CancelledError())",
        "None",
        f"{ADMISSION} -k leaves",
    ),
    Guard(
        "a client that has its answer has not left",
        ASGI,
        "if is_told and not answers.are_sent:",
        "if is_told:",
        "tests/test_vllm_operations.py -k has_its_answer",
    ),
    Guard(
        "refs count in vllm's own bound on what a request decodes to",
        CONNECTOR,
        "budget.charge(4 * image.width * image.height)",
        "pass",
        f"{LOADING} -k own_bound",
    ),
    Guard(
        "a ref in a form that a server cannot load is refused",
        IMAGES,
        "if holds_ref(item):",
        "if False:",
        f"{OTHERS} -k another_form",
    ),
    Guard(
        "a server of refs only loads nothing else",
        IMAGES,
        "if item is not None and self.settings.refs_only:",
        "if False:",
        f"{OTHERS} -k refs_only",
    ),
    Guard(
        "the queue has an end",
        f"{SHARED}/admission.py",
        "if not is_begun and self._slots.locked() and self._waiting >= self._queue:",
        "if False:",
        f"{ADMISSION} -k queue",
    ),
    Guard(
        "what is processed is free",
        RENDERERS,
        "request.loads.release()",
        "pass",
        f"{ADMISSION} -k processed",
    ),
    Guard(
        "the images of a request ask for room together",
        f"{SHARED}/admission.py",
        "if not self._reading and self._asking:",
        "if self._asking:",
        f"{ADMISSION} -k together",
    ),
    Guard(
        "images larger than all room are refused",
        f"{SHARED}/admission.py",
        "if self.held + total > most:",
        "if False:",
        f"{ADMISSION} -k more_than_all",
    ),
    Guard(
        "an image has a time",
        IMAGES,
        "asyncio.wait_for(wanted(), self.settings.image_seconds)",
        "wanted()",
        f"{ADMISSION} -k too_long",
    ),
    Guard(
        "the event loop goes before the threads that decode",
        "mmraw_protocol/integrations/serving/ref_images.py",
        "os.nice(_STEPS)",
        "os.nice(0)",
        f"{ADMISSION} -k goes_before",
    ),
]
