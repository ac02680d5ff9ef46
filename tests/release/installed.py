"""Installs the wheel into empty environments, alone and with each extra, and tries it there.

`python tests/release/installed.py dist/*.whl`; versions are those of the lock files.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("tests/environments/integrations.lock", "requirements-dev.lock")

#: extra -> a program that must run with it; "" is the wheel with msgspec alone. `vision` is part of
#: most others, and tests/newcomer installs `cli`.
TRIALS = {
    "": "from mmraw_protocol import parse_ref, schemas; assert 'urn:mmraw:ref:v3' in schemas(); "
    "from mmraw_protocol.wire.schemas import bundles; assert 'ref-v3' in bundles()",
    "client": "import mmraw_protocol.integrations.client",
    "object-store": "from mmraw_protocol import open_store; s = open_store('memory://'); "
    "assert s.get(s.put(b'x')) == b'x'",
    "arrow": "from mmraw_protocol.files import batches; import pyarrow as a; "
    "assert batches.validate_batch(a.record_batch([a.array(['x'])], ['t'])).num_rows == 0",
    "testing": "from mmraw_protocol.testing import refs; refs('v3')",
    "vllm": "from mmraw_protocol.integrations.serving.settings import Settings; Settings.load({})",
    "transformers": "import transformers, mmraw_protocol.integrations.transformers",
    "zstd": "from mmraw_protocol.wire.compression import compression_of as c; "
    "assert c(b'\\x28\\xb5\\x2f\\xfd').name == 'zstd'",
    "renderers": "import renderers, mmraw_protocol.integrations.renderers",
}


def constraints(folder: Path) -> Path:
    """The locks' versions without their hashes, as pip takes constraints; the last one wins."""
    pins: dict[str, str] = {}
    for lock in LOCKS:
        for name, rest in re.findall(r"^([\w.-]+)(==[^\\\n]+)", (ROOT / lock).read_text(), re.M):
            pins[name.lower()] = rest.strip()
    file = folder / "constraints.txt"
    file.write_text("".join(f"{name}{rest}\n" for name, rest in sorted(pins.items())))
    return file


def trial(wheel: Path, extra: str, folder: Path) -> str:
    """Installs, runs the vectors and the extra's program; says what was seen."""
    place = folder / (extra or "core")
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    wanted = f"{wheel}[{extra}]" if extra else str(wheel)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-c", constraints(folder), wanted], check=True)
    subprocess.run([python, "-c", TRIALS[extra]], check=True, stdout=subprocess.DEVNULL, cwd=place)
    doctor = [place / "bin" / "mmraw", "doctor", "--json"]
    done = subprocess.run(doctor, check=True, capture_output=True, text=True, cwd=place)
    report = json.loads(done.stdout)
    if extra and None in report["extras"][extra].values():
        raise SystemExit(f"doctor misses a package of [{extra}]")
    vectors = report["vectors"]
    if not extra:
        freeze = subprocess.run([*pip[:3], "freeze"], check=True, capture_output=True, text=True)
        packages = {line.split("==")[0].split(" ")[0] for line in freeze.stdout.splitlines()}
        if packages != {"mmraw-protocol", "msgspec"}:
            raise SystemExit(f"the core needs msgspec alone, found {sorted(packages)}")
    return f"{vectors['passed']} vectors passed, {vectors['skipped']} skipped"


def main() -> int:
    """One line for each environment."""
    wheel = Path(sys.argv[1]).resolve()
    extras = sys.argv[2:] or list(TRIALS)
    with tempfile.TemporaryDirectory() as folder:
        for extra in ("" if name == "core" else name for name in extras):
            print(f"{extra or 'msgspec alone'}: {trial(wheel, extra, Path(folder))}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
