"""Tries docs/oncall.md row by row: `python oncall.py docs/oncall.md`.

The page's own quotations are what must be printed; the inputs stand here. A row without an input
here fails, and so does an input whose row is gone.
"""

import base64
import contextlib
import io
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from mmraw_protocol import build_features, get_adapter, mm_data, open_store, pack_images
from mmraw_protocol.cli import main
from mmraw_protocol.demo import example_pictures

Run = tuple[int, str]
STORE = "run_exp42/assets/images"


def mmraw(*arguments: str) -> Run:
    """Exit code and output of a command."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            code = main(arguments)
        except SystemExit as exit_:  # from argparse
            code = int(exit_.code or 0)
    return code, output.getvalue()


def on_file(command: str, text: str, *options: str) -> Run:
    """The same on a file with a text."""
    Path("input.txt").write_text(text, newline="")
    return mmraw(command, "input.txt", *options)


def bodies() -> tuple[dict[str, Any], dict[str, Any]]:
    """The features of one picture, stored and inline."""
    coffee = {"type": "image", "image": str(example_pictures()[0])}
    messages = [{"role": "user", "content": [coffee]}]
    adapter, store = get_adapter("qwen_vl"), open_store(STORE, run_id="exp42")
    stored = pack_images(messages, adapter, store=store)
    inline = pack_images(messages, adapter, storage="inline")
    one, other = (build_features(mm_data(it, [5]), run_id="exp42") for it in (stored, inline))
    return one, other


def changed(ref: str, **fields: object) -> str:
    """A v3 ref with other fields."""
    body = ref.rpartition(":")[2]
    value = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    text = json.dumps({**value, **fields}, sort_keys=True, separators=(",", ":"))
    return "mmraw:v3:" + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def inputs() -> dict[str, list[str]]:
    """Inputs that people have, by the first words of the page's row."""
    body, whole = bodies()
    (ref,), (inline,) = body["kwargs_data"]["image"], whole["kwargs_data"]["image"]
    short = json.loads(json.dumps(body))
    short["mm_placeholders"]["image"][0]["length"] = 10
    escaped = json.dumps({"body": json.dumps({"ref": ref})})
    kimi = {"grid_thws": [[1, 2, 2]], "num_media_tokens": 1}
    return {
        "a line of a log": [f"ERROR ref={ref} x", f"'{ref}'", escaped, f"GET /?ref={ref}&n=1"],
        "a ref that was cut off": [ref[:-40], ref + "abc"],
        "a ref with padding": [
            ref + "==",
            ref[:76] + "\n" + ref[76:],
            changed(ref, family="??>>??>>")[:9]
            + base64.b64encode(b'{"family":"??>>??>>"}').decode(),
        ],
        "a field that does not exist": [changed(ref, mm_hsh="0" * 32)],
        "another family's payload": [changed(ref, payload=kimi), changed(ref, family="qwen2_vl")],
        "a grid that cannot be": [changed(ref, payload={"image_grid_thw": [[1, 24, 37]]})],
        "an image that was swapped": [
            changed(inline, mm_hash="0" * 32),
            changed(inline, payload={"image_grid_thw": [[1, 4, 4]]}),
            changed(ref, mm_hash="0" * 32),
        ],
        "a placeholder of another length": [json.dumps(short)],
    }


def table(page: str, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading."""
    text = page.partition(f"## {heading}\n")[2]
    rows = re.findall(r"^\| (.*) \|$", text.partition("\n## ")[0], re.M)
    return [row.split(" | ") for row in rows[1:]]


def missing(quoted: str, shown: str) -> bool:
    """True if words of the page are not in the output; numbers and names may be others."""
    pattern = re.sub(r"\d+", r"\\d+", re.escape(quoted))
    return re.search(pattern, shown) is None


def check_rows(page: str) -> list[str]:
    """The table of what a person gets."""
    faults: list[str] = []
    tried = inputs()
    for have, read in table(page, "What you have, and what you get"):
        (name,) = [name for name in tried if have.startswith(name)] or [None]
        if name is None:
            faults.append(f"no input is tried for the row: {have}")
            continue
        runs = [on_file("inspect", text) for text in tried.pop(name)]
        found = "line and column" in read
        shown = "\n".join(text for _, text in runs)
        if any(code != (0 if found else 1) for code, _ in runs):
            faults.append(f"{have}: exit codes {[code for code, _ in runs]}\n{shown}")
        if found and any("line 1, column" not in text for _, text in runs):
            faults.append(f"{have}: no line and column\n{shown}")
        if not found and any("docs/reference/wire/errors.md#" not in text for _, text in runs):
            faults.append(f"{have}: no section of Errors\n{shown}")
        faults += [
            f"{have}: {quoted!r} is not in\n{shown}"
            for quoted in re.findall(r"`([^`]+)`", read)
            if missing(quoted, shown)
        ]
    return faults + [f"no row of the page is about: {name}" for name in tried]


def check_options(page: str) -> list[str]:
    """The options that verify more, and the verdict that names what was verified."""
    (ref,) = bodies()[0]["kwargs_data"]["image"]
    other = changed(ref, payload={"image_grid_thw": [[1, 4, 4]]})
    run = ("--run-id", "exp42")
    tried = {
        "--store": [
            (0, ref, ("--store", STORE, *run)),
            (1, other, ("--store", STORE, *run)),
        ],
        "--run-id": [
            (1, ref, ("--run-id", "exp43")),
            (0, ref, ("--runs", "exp42,exp43")),
        ],
        "--config": [(0, ref, ("--config", "qwen3_vl")), (1, ref, ("--config", "qwen2_vl"))],
        "--verify": [(0, ref, ("--store", STORE, *run, "--verify")), (1, ref, ("--verify",))],
    }
    faults: list[str] = []
    shown = ""
    for option, _ in table(page, "Verify more"):
        for code, text, options in tried[option.split("`")[1].split()[0]]:
            for command in ("inspect", "validate"):
                if command == "validate" and options == ("--verify",):
                    continue
                if command == "validate" and "--verify" in options:
                    options = options[:-1]
                got, said = on_file(command, text + "\n", *options)
                shown += said
                if got != code:
                    faults.append(f"{command} {options}: exit code {got}, not {code}\n{said}")
    shown += mmraw("inspect", ref, "--store", STORE)[1]
    (verdict,) = re.findall(r"`(verified: [^`]+)`", page)
    if verdict not in shown:
        faults.append(f"{verdict!r} is not in\n{shown}")
    return faults


def check_commands(page: str) -> list[str]:
    """Exit codes, `mmraw fingerprint` and `mmraw diff-config` as they stand."""
    (ref,) = bodies()[0]["kwargs_data"]["image"]
    (fingerprint,) = re.findall(r"mmraw fingerprint (\w+)", page)
    config: dict[str, Any] = {
        "patch_size": 14,
        "merge_size": 2,
        "temporal_patch_size": 2,
        "min_pixels": 3136,
    }
    config["image_processor_type"] = "Qwen2VLImageProcessor"
    for name, pixels in (("renderer", 1003520), ("server", 12845056)):
        Path(name).mkdir()
        file = Path(name, "preprocessor_config.json")
        file.write_text(json.dumps({**config, "max_pixels": pixels}))
    tried = [
        (0, "ok", ("inspect", ref)),
        (1, "", ("inspect", "nothing of ours")),
        (2, "usage:", ("inspect", "--no-such-option")),
        (0, "line", ("fingerprint", fingerprint)),
        (1, "max_pixels", ("diff-config", "renderer/", "server/")),
    ]
    faults: list[str] = []
    for code, word, arguments in tried:
        got, said = mmraw(*arguments)
        if got != code or word not in said:
            faults.append(f"{arguments}: exit code {got}\n{said}")
    got, said = on_file("materialize", ref, "--store", STORE, "--run-id", "exp42")
    if got:
        faults.append(f"materialize: {said}")
    return faults


def check() -> int:
    """Prints each sentence that is untrue; 1 where one is."""
    page = Path(sys.argv[1]).read_text("utf-8")
    faults = check_rows(page) + check_options(page) + check_commands(page)
    shutil.rmtree(STORE)
    print(*faults, sep="\n\n", end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(check())
