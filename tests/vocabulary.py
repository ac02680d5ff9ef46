"""Terms that this project does not use, with the term to use: `python tests/vocabulary.py`."""

import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: A pattern of whole words in either case, by the term to use instead.
TERMS = {
    "layout parameters": "knobs?",
    "fast path, strict parser": "fastpath|(?:short|careful) way",
    "built-in family": "listed famil(?:y|ies)",
    "placeholder tokens": "pads",
    "duplicate key": "key twice|(?:is_|holds_)?key_twice",
    "untrusted input": "strangers?",
    "rejected, reported": "(?:refused|told) by|(?:is|are|was|were) told|held (?:to|against)",
    "again, anyone who": "anew|whoever",
    "sandbox": "jail",
    "worker pool, worker": "crew|mates?",
    "elide": "set_aside",
    "exceeds_depth, exceeds_value_count": "is_deeper|holds_more",
    "mentions_tensor_key, value budget": "(?:names|holds)_processed|check_few_values",
    "eligible, to_builtins, ASCII": "(?:is|are)_plain|plain_json|plain ASCII",
}
#: Places where a term may stand all the same: term to use, files, reason.
ALLOWED = (
    ("placeholder tokens", "*.py", "a local name for ids, and what an image processor does"),
    ("placeholder tokens", "*.ts", "what an image processor does"),
    ("layout parameters", "CHANGELOG.md", "a key under the name that it had"),
)
#: Generated, recorded, or about these terms.
SKIPPED = ("*.lock", "*.jsonl", "*generated/*", "docs/reference/*", "*/bundled/*", "*vocabulary.py")


def faults(name: str, text: str) -> Iterator[str]:
    """Each banned term in a file, as `file:line: term; use: another`."""
    for instead, pattern in TERMS.items():
        if any(instead == term and fnmatch(name, files) for term, files, _ in ALLOWED):
            continue
        for match in re.finditer(rf"\b(?:{pattern})\b", text, re.IGNORECASE):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{name}:{line}: {match[0]}; use: {instead}"


def main() -> int:
    """Prints every fault in the hand-written files that git has; 1 where there is one."""
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, check=True).stdout
    found: list[str] = []
    for name in names.decode().splitlines():
        if (ROOT / name).is_file() and not any(fnmatch(name, glob) for glob in SKIPPED):
            found += faults(name, (ROOT / name).read_bytes().decode("utf-8", "ignore"))
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
