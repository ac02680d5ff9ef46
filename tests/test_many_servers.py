"""Servers of one machine that share a cache directory: what one has read, the others need not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from vllm_package import install
from vllm_stand_in import Server, request_of, stored

from mmraw_protocol.integrations.vllm import process
from mmraw_protocol.stores import LocalStore

_PROGRAM = """
import json, sys
import pytest
from vllm_package import install
from vllm_stand_in import Server
install(pytest.MonkeyPatch())
store, cache, body = sys.argv[1:]
server = Server(store, store_options={"cache_dir": cache})
answer = server.post(json.loads(body))
sys.stdout.write(str(answer.status))
"""


def test_what_one_process_has_read_the_others_find_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)
    store, cache = LocalStore(tmp_path / "store", run_id="exp42"), str(tmp_path / "cache")
    body = request_of(stored(store))
    here = Server(store, store_options={"cache_dir": cache})
    try:
        assert here.post(body).status == 200
    finally:
        process.serve(None)
    # The bucket has gone: what another process gives is what this one kept.
    for path in (tmp_path / "store").iterdir():
        path.unlink()
    command = [sys.executable, "-c", _PROGRAM, str(store.root), cache, json.dumps(body)]
    places = os.pathsep.join(map(str, Path(__file__).resolve().parents[:2]))
    environment = {**os.environ, "PYTHONPATH": places}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (found.stdout, found.stderr) == ("200", "")
