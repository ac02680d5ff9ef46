"""The results as JSON, as a table, and as log-log charts."""

from __future__ import annotations

import json
import math
from html import escape
from pathlib import Path
from typing import Any

from .cases import Figure
from .growth import Series

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728")
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 400, 70, 20, 40, 50


def write(result: dict[str, Any], folder: Path, group: str | None = None) -> None:
    """results.json and one SVG a chart in `folder`/performance; the table in performance.md.

    What one group alone measured takes the place of its rows and charts in what is there.
    """
    place = folder / "performance"
    place.mkdir(parents=True, exist_ok=True)
    if group is not None and (place / "results.json").exists():
        before = json.loads((place / "results.json").read_text(encoding="utf-8"))
        result = merged(before, result, group)
    (place / "results.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, chart in result["growth"].items():
        (place / f"{name}.svg").write_text(svg(**chart), encoding="utf-8")
    page = folder / "performance.md"
    if page.exists():
        text = page.read_text(encoding="utf-8")
        head, tail = text.split(BEGIN)[0], text.split(END)[1]
        page.write_text(f"{head}{BEGIN}\n{markdown(result)}{END}{tail}", encoding="utf-8")


def merged(before: dict[str, Any], result: dict[str, Any], group: str) -> dict[str, Any]:
    """All results, with those of one group that was measured alone."""
    new = {row["work"]: row for row in result["figures"]}
    rows = [new.pop(row["work"], row) for row in before["figures"]]
    alone = {"rounds": result["rounds"]}
    alone |= {name: result["machine"][name] for name in ("load_before", "load_after")}
    return {
        **before,
        "figures": [*rows, *new.values()],
        "growth": {**before["growth"], **result["growth"]},
        "alone": {**before.get("alone", {}), group: alone},
    }


def figure_row(figure: Figure) -> dict[str, Any]:
    """A figure as JSON."""
    return {**figure._asdict(), "reached": figure.reached}


def markdown(result: dict[str, Any]) -> str:
    """Machine, table and floors."""
    machine = result["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    load = f"{machine['load_before']} before, {machine['load_after']} after"
    about = (
        f"Machine: {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"{machine['system']}; {machine['python']}, {packages}; load {load}; "
        f"{result['rounds']} rounds."
    )
    for group, run in result.get("alone", {}).items():
        about += (
            f" Group {group} was measured again by itself: load {run['load_before']} before, "
            f"{run['load_after']} after; {run['rounds']} rounds."
        )
    lines = [
        about,
        "",
        "| work | measured | quartiles | one call | target | met |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["figures"]:
        low, high = row["spread"]
        sign = "at most" if row["at_most"] else "at least"
        stretch = f" (stretch {row['stretch']:g})" if row["stretch"] else ""
        unit = {
            "us": " µs",
            "x faster": " x",
            "x the floor": " x",
            "of the bound": " of the bound",
        }[row["unit"]]
        lines.append(
            f"| {row['work']}, against: {row['baseline']} | **{row['value']:.3g}{unit}** "
            f"| {low:.3g} to {high:.3g} | {duration(row['seconds'])} "
            f"| {sign} {row['target']:g}{unit}{stretch} | {'yes' if row['reached'] else 'no'} |"
        )
    lines += ["", "| floor | one call |", "|---|---|"]
    lines += [f"| {name} | {duration(seconds)} |" for name, seconds in result["floors"].items()]
    return "\n".join(lines) + "\n"


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def svg(title: str, across: str, series: list[Series]) -> str:
    """A log-log chart: one line a series, seconds upward."""
    points = [point for _, rows in series for point in rows]
    lowest_x, highest_x = _decades([x for x, _ in points])
    lowest_y, highest_y = _decades([y for _, y in points])

    def x_of(value: float) -> float:
        share = (math.log10(value) - lowest_x) / (highest_x - lowest_x)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y_of(value: float) -> float:
        share = (math.log10(value) - lowest_y) / (highest_y - lowest_y)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
            f'font-family="sans-serif" font-size="12"><title>{escape(title)}</title>'
        ),
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="20" font-size="14">{escape(title)}</text>',
        f'<text x="{_WIDTH // 2}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(across)}</text>',
    ]
    for power in range(lowest_x, highest_x + 1):
        x = x_of(10**power)
        parts.append(f'<path d="M{x:.1f} {_TOP}V{_HEIGHT - _BOTTOM}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">'
            f"{10**power:,}</text>"
        )
    for power in range(lowest_y, highest_y + 1):
        y = y_of(10.0**power)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>')
        label = duration(10.0**power)
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    for number, (name, rows) in enumerate(series):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in rows)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="3" fill="{colour}"/>'
            for x, y in rows
        ]
        parts.append(
            f'<text x="{_LEFT + 10}" y="{_TOP + 16 + 16 * number}" fill="{colour}">'
            f"{escape(name)}</text>"
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _decades(values: list[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)
