"""`mmraw doctor`: what is installed, whether store and vLLM fit, whether the vectors hold."""

from __future__ import annotations

import argparse
import os
import platform
import re
from importlib import metadata
from typing import Any

from .. import __version__
from ..conformance.selftest import self_test
from ..wire.errors import MMRawError
from .options import add_store, store_of
from .output import error_dict, print_json, print_table
from .vllm import server_report, vllm_report

EXAMPLE = "mmraw doctor --store outputs/run_exp42/assets/images"

_REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)[^;]*; .*extra == [\"']([A-Za-z0-9_.-]+)[\"']")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    add_store(parser)
    parser.add_argument(
        "--server",
        nargs="?",
        const="",
        metavar="CHECKPOINT",
        help="check the MMRAW_* settings of a vLLM server too, for a checkpoint where one is named",
    )


def run(args: argparse.Namespace) -> int:
    """Prints the findings; 1 where something that was asked for cannot work."""
    test = self_test()
    store = _store(args)
    vllm = vllm_report(os.environ)
    server = None if args.server is None else server_report(os.environ, args.server)
    report = {
        "mmraw_protocol": __version__,
        "python": platform.python_version(),
        "msgspec": metadata.version("msgspec"),
        "extras": _extras(),
        "store": store,
        "vllm": vllm,
        "server": server,
        "vectors": {"passed": test.passed, "skipped": test.skipped, "failed": test.failed},
    }
    if args.json:
        print_json(report)
    else:
        _print(report)
    unfit = server is not None and (server["state"] == "refused" or vllm["state"] != "on")
    return 1 if test.failed or "error" in store or vllm["state"] == "cannot work" or unfit else 0


def _extras() -> dict[str, dict[str, str | None]]:
    """extra -> package -> installed version, None where it is missing."""
    extras: dict[str, dict[str, str | None]] = {}
    for requirement in metadata.requires("mmraw-protocol") or []:
        match = _REQUIREMENT.match(requirement)
        if match is not None and match.group(2) != "all":
            name, extra = match.groups()
            extras.setdefault(extra, {})[name] = _version(name)
    return dict(sorted(extras.items()))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _store(args: argparse.Namespace) -> dict[str, Any]:
    """Reports whether the store that is named can be opened and listed; nothing is written."""
    try:
        store = store_of(args, create=False)
        if store is None:
            return {"state": "none named"}
        store.check_run(args.run_id)
        any(True for _ in store.list(run_id=args.run_id))
    except MMRawError as error:
        return {"state": "refused", "error": error_dict(error)}
    return {"state": "reachable"}


def _print(report: dict[str, Any]) -> None:
    rows = [(name, "", report[name]) for name in ("mmraw_protocol", "python", "msgspec")]
    for extra, packages in report["extras"].items():
        missing = [name for name, version in packages.items() if version is None]
        present = [f"{name} {version}" for name, version in packages.items() if version is not None]
        state = f"install mmraw-protocol[{extra}]" if missing else "ready"
        detail = ", ".join([*present, *(f"no {name}" for name in missing)])
        rows.append((f"extra {extra}", state, detail))
    store = report["store"]
    error = store.get("error")
    rows.append(("store", store["state"], f"{error['code']}: {error['message']}" if error else ""))
    rows.append(("vLLM plugin", report["vllm"]["state"], report["vllm"]["detail"]))
    if report["server"] is not None:
        rows.append(("vLLM server", report["server"]["state"], report["server"]["detail"]))
    vectors = report["vectors"]
    failed = vectors["failed"]
    detail = f"{vectors['passed']} passed, {len(failed)} failed, {vectors['skipped']} skipped"
    rows.append(("vectors", "FAILED" if failed else "ready", detail))
    print_table(("what", "state", "detail"), rows)
    for name in failed[:20]:
        print(f"failed: {name}")
