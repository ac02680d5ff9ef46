"""A run as one HTML page that needs nothing else: no script, no font, no other file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from .answers import FAULTS, REASONS, Outcome, shown
from .baseline import Comparison, ExpectedFailure
from .runner import Report
from .sections import by_section, sorted_by_size
from .vectors import Vector

#: Failures that are listed one by one; the tables count them all.
MOST_LISTED = 1000

#: Characters of an input at most.
MOST_INPUT = 1000

_STATUSES = ("passed", "failed", "skipped", "errored")
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #cf222e; --odd: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --good: #4ac26b; --bad: #ff7b72; --odd: #d4a72c; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: left;
  vertical-align: top; }
code { font: 13px/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
.passed { color: var(--good); } .failed, .errored { color: var(--bad); }
.skipped { color: var(--odd); }
.verdict { font-size: 1.15rem; font-weight: 600; }
details pre { white-space: pre-wrap; overflow-wrap: anywhere;
  font: 13px/1.4 ui-monospace, monospace; }
@media (max-width: 40rem) {
  body { margin: 1rem auto; }
  table, tbody, tr, td { display: block; } tr:has(th) { display: none; }
  tr { border-bottom: 2px solid var(--line); padding: .4rem 0; }
  td { border: 0; padding: .1rem 0; overflow-wrap: anywhere; }
  td:empty { display: none; }
  td::before { content: attr(data-name) ": "; font-weight: 600; }
}
"""


def write_page(
    path: Path, report: Report, comparison: Comparison, vectors: Iterable[Vector], passed: bool
) -> None:
    """Writes the page."""
    path.write_text(page(report, comparison, vectors, passed), encoding="utf-8")


def page(report: Report, comparison: Comparison, vectors: Iterable[Vector], passed: bool) -> str:
    """The page's text."""
    about = report.implementation
    title = f"mmraw conformance: {about['name']} {about['version']}"
    verdict = "passed" if passed else "failed"
    asked = {vector.id: vector for vector in vectors}
    notes = {vector.id: escape(vector.note or "") for vector in asked.values()}
    reasons = {name: _expected(entry) for name, entry in comparison.expected.items()}
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="verdict {verdict}">{verdict}</p>',
        (
            f"<p>{escape(about['language'])}; {len(report.outcomes)} vectors in "
            f"{report.seconds:.1f} s; dialects {_names(about['dialects'])}; "
            f"families {_names(about['families'])}</p>"
        ),
        _sections(comparison.new, asked),
        _counts(report.outcomes),
        _faults(report),
        _stale(comparison),
        _failures("Failures", comparison.new, asked, "why it matters", notes),
        _failures("Expected failures", comparison.known, asked, "why it is expected", reasons),
        _skipped(report.outcomes),
        _codes(report.outcomes),
    ]
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body>\n</html>\n"
    )


def _names(names: Sequence[str]) -> str:
    return escape(", ".join(names) or "none")


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    names = [escape(column, quote=True) for column in columns]
    body = "\n".join(
        "<tr>"
        + "".join(
            f'<td data-name="{name}">{cell}</td>' for name, cell in zip(names, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table>\n<tr>{head}</tr>\n{body}\n</table>"


def _counts(outcomes: Sequence[Outcome]) -> str:
    counts = Counter((found.op, found.status) for found in outcomes)
    ops = sorted({found.op for found in outcomes})
    rows = [
        [f"<code>{escape(op)}</code>", *(_count(counts[op, s], s) for s in _STATUSES)] for op in ops
    ]
    totals = Counter(found.status for found in outcomes)
    rows.append(["<b>all</b>", *(_count(totals[status], status) for status in _STATUSES)])
    return f"<h2>Results by operation</h2>\n{_table(('operation', *_STATUSES), rows)}"


def _sections(found: Sequence[Outcome], asked: dict[str, Vector]) -> str:
    """Renders failures by section and reason, with the simplest vector of each."""
    if not found:
        return ""
    rows = [
        (
            escape(group.section),
            f"{group.reason}: {escape(_meaning(group.reason))}",
            str(group.failures),
            f'<a href="#{escape(group.simplest)}"><code>{escape(group.simplest)}</code></a>',
        )
        for group in by_section(found, asked)
    ]
    columns = ("section of the specification", "reason", "failures", "simplest vector")
    return f"<h2>Where to begin</h2>\n{_table(columns, rows)}"


def _meaning(reason: str) -> str:
    return next(meanings[reason] for meanings in REASONS.values() if reason in meanings)


def _count(count: int, status: str) -> str:
    return f'<span class="{status}">{count}</span>' if count else "0"


def _faults(report: Report) -> str:
    if not report.faults:
        return ""
    rows = [
        (f"<code>{fault.kind}</code>", FAULTS[fault.kind], escape(fault.detail), str(fault.times))
        for fault in report.faults
    ]
    columns = ("fault", "meaning", "first time", "times")
    return f"<h2>Faults of the run as a whole</h2>\n{_table(columns, rows)}"


def _stale(comparison: Comparison) -> str:
    if not comparison.stale:
        return ""
    rows = [(f"<code>{escape(name)}</code>", why) for name, why in comparison.stale.items()]
    return f"<h2>Stale entries of the baseline</h2>\n{_table(('vector', 'why'), rows)}"


def _expected(entry: ExpectedFailure) -> str:
    link = escape(entry.link)
    return f'{escape(entry.reason)} (<a href="{link}">{link}</a>)'


def _failures(
    title: str, found: Sequence[Outcome], asked: dict[str, Vector], last: str, why: dict[str, str]
) -> str:
    """A table whose last column is `why`, which is HTML by the ids of vectors."""
    if not found:
        return ""
    listed = sorted_by_size(found, asked)[:MOST_LISTED]
    rows = [_failure(one, asked[one.id], why[one.id]) for one in listed]
    more = len(found) - len(rows)
    rest = f"<p>and {more} more</p>" if more else ""
    columns = ("vector", "operation", "section", "reason", "detail", last)
    return f"<h2>{title} ({len(found)})</h2>\n{_table(columns, rows)}{rest}"


def _failure(found: Outcome, vector: Vector, why: str) -> tuple[str, ...]:
    meaning = REASONS[found.status][found.reason]
    return (
        f'<code id="{escape(found.id)}">{escape(found.id)}</code>',
        f"<code>{escape(found.op)}</code>",
        escape(vector.spec),
        f'<span class="{found.status}" title="{escape(meaning)}">{found.reason}</span>',
        f"<code>{escape(found.detail)}</code>{_input_of(vector)}",
        why,
    )


def _input_of(vector: Vector) -> str:
    """Renders the input of a vector as a block that unfolds."""
    text = shown(vector.input, MOST_INPUT)
    return f"<details><summary>input</summary><pre>{escape(text)}</pre></details>"


def _skipped(outcomes: Sequence[Outcome]) -> str:
    counts = Counter((found.op, found.reason) for found in outcomes if found.status == "skipped")
    if not counts:
        return ""
    rows = [
        (f"<code>{escape(op)}</code>", REASONS["skipped"][reason], str(count))
        for (op, reason), count in sorted(counts.items())
    ]
    return f"<h2>Skipped</h2>\n{_table(('operation', 'why', 'vectors'), rows)}"


def _codes(outcomes: Sequence[Outcome]) -> str:
    counts = Counter(
        found.detail for found in outcomes if found.status == "passed" and found.detail
    )
    if not counts:
        return ""
    rows = [(escape(detail), str(count)) for detail, count in counts.most_common()]
    table = _table(("code", "vectors"), rows)
    return f"<h2>Refused, with another error code</h2>\n<p>This conforms.</p>\n{table}"
