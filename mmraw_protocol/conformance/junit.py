"""A run as JUnit XML, which every CI system shows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

from .answers import FAULTS, REASONS, Outcome
from .baseline import Comparison, ExpectedFailure
from .runner import Report

#: Characters that XML 1.0 cannot contain, not even as an escape.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(path: Path, report: Report, comparison: Comparison) -> None:
    """One suite per operation, one case per vector; faults and stale entries in suites apart.

    A failure of the baseline is a skipped case that says why it is expected.
    """
    known = {found.id: comparison.expected[found.id] for found in comparison.known}
    root = ET.Element("testsuites", name="mmraw conformance")
    root.set("time", f"{report.seconds:.3f}")
    for op in sorted({found.op for found in report.outcomes}):
        rows = [found for found in report.outcomes if found.op == op]
        _suite(root, op, (_case(found, known.get(found.id)) for found in rows))
    _suite(
        root,
        "run",
        (
            _made(fault.kind, "failure", FAULTS[fault.kind], f"{fault.detail} ({fault.times}x)")
            for fault in report.faults
        ),
    )
    _suite(
        root,
        "baseline",
        (_made(name, "failure", "stale", why) for name, why in comparison.stale.items()),
    )
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _suite(root: ET.Element, name: str, cases: Iterable[ET.Element]) -> None:
    rows = list(cases)
    if not rows:
        return
    suite = ET.SubElement(root, "testsuite", name=name, tests=str(len(rows)))
    for tag, count in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(count, str(sum(case.find(tag) is not None for case in rows)))
    for case in rows:
        case.set("classname", f"mmraw.{name}")
        suite.append(case)


def _case(found: Outcome, known: ExpectedFailure | None) -> ET.Element:
    if found.status == "passed":
        return ET.Element("testcase", name=found.id)
    tag = {"failed": "failure", "errored": "error", "skipped": "skipped"}[found.status]
    meaning = f"{found.reason}: {REASONS[found.status][found.reason]}"
    if known is not None:
        why = f"expected failure: {known.reason} ({known.link}); {meaning}"
        return _made(found.id, "skipped", why, found.detail)
    return _made(found.id, tag, meaning, found.detail)


def _made(name: str, tag: str, message: str, detail: str) -> ET.Element:
    case = ET.Element("testcase", name=name)
    child = ET.SubElement(case, tag, message=message)
    child.text = _NOT_XML.sub("?", detail)
    return case
