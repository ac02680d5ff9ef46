"""The demo's report: one HTML file in which every picture is seen under its patch grid."""

from __future__ import annotations

import html
import io
import json
from collections.abc import Sequence

from ..families import get_adapter
from ..materialize import MaterializedImage
from ..wire._generated.dialects import DEFAULT_DIALECT
from ..wire.base64 import encode_base64
from .refusals import Refusal
from .run import Journey, Step

_STYLE = """
:root { color-scheme: light dark; --fg:#1b1f24; --bg:#ffffff; --soft:#5b6470; --line:#d9dee4;
  --card:#f6f8fa; --good:#116329; --bad:#a40e26; --accent:#0a53be; }
@media (prefers-color-scheme: dark) { :root { --fg:#e6edf3; --bg:#0d1117; --soft:#9aa4af;
  --line:#30363d; --card:#161b22; --good:#56d364; --bad:#ff8182; --accent:#79b8ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 72rem; color: var(--fg);
  background: var(--bg); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .25rem; } h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; }
p { max-width: 46rem; } .soft { color: var(--soft); }
.good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); }
figure { margin: 0; padding: .75rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; }
figure svg { display: block; width: 100%; height: 18rem; }
figcaption { margin-top: .5rem; font-size: .875rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .875rem; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line);
  white-space: nowrap; } td.number, th.number { text-align: right;
  font-variant-numeric: tabular-nums; }
code { font: .8125rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--accent); }
"""

_ROUTES_NOTE = (
    '<p class="soft">Each route is one conversation of two turns. The second request carries '
    "the refs of the first again, as every turn of a rollout does.</p>"
)

#: Longer side of the pictures in the report, in pixels.
_PREVIEW = 720


def write_report(
    journeys: Sequence[Journey], images: Sequence[MaterializedImage], refusals: Sequence[Refusal]
) -> str:
    """The HTML document.

    Args:
        journeys: What `run_demo` gave.
        images: The materialized pictures, in the order of the conversation.
        refusals: What `show_refusals` gave.
    """
    good = all(journey.identical for journey in journeys)
    verdict = (
        '<span class="good">every pixel came back identical</span>'
        if good
        else '<span class="bad">pixels differ</span>'
    )
    count = len(journeys) * len(images)
    parts = [
        "<h1>Pictures over the wire</h1>",
        f"<p>{len(images)} pictures, {len(journeys)} routes, {count} journeys: {verdict}.</p>",
        *(_family_section(journeys, images, family) for family in _families(journeys)),
        "<h2>Routes</h2>",
        _ROUTES_NOTE,
        _routes(journeys),
        "<h2>Refused</h2>",
        _refusals(refusals),
        "<h2>One body as it is posted</h2>",
        _body(journeys),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<title>mmraw demo</title>\n"
        f"<style>{_STYLE}</style>\n</head>\n<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def _families(journeys: Sequence[Journey]) -> list[str]:
    return list(dict.fromkeys(journey.family for journey in journeys))


def _family_section(
    journeys: Sequence[Journey], images: Sequence[MaterializedImage], family: str
) -> str:
    steps = next(journey for journey in journeys if journey.family == family).steps
    figures = "".join(
        _figure(step, image, family) for step, image in zip(steps, images, strict=True)
    )
    return (
        f"<h2>{html.escape(family)}</h2>"
        '<p class="soft">Thin lines are patches, strong lines tokens. A shaded rim is padding. '
        "Pictures are shown as stored: EXIF orientation is not applied.</p>"
        f'<div class="cards">{figures}</div>'
    )


def _figure(step: Step, image: MaterializedImage, family: str) -> str:
    _, rows, columns = step.grid_thw
    layout = get_adapter(family).layout(step.width, step.height)
    merge = round((rows * columns / max(1, _merged_tokens(rows, columns, family))) ** 0.5)
    caption = (
        f"<strong>{html.escape(step.picture)}</strong> "
        f"{step.width}x{step.height} {html.escape(step.format)} {html.escape(step.mode)}, "
        f"{step.encoded_bytes:,} bytes<br>grid {rows} x {columns} patches, "
        f"<strong>{step.num_tokens:,} tokens</strong>, resized to "
        f"{layout.content[0]}x{layout.content[1]}"
    )
    return (
        f"<figure>{_drawing(image, layout.resized, layout.content, (rows, columns), merge)}"
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _merged_tokens(rows: int, columns: int, family: str) -> int:
    merge = getattr(get_adapter(family), "merge_size", 1)
    return rows * columns // merge**2


def _drawing(
    image: MaterializedImage,
    resized: tuple[int, int],
    content: tuple[int, int],
    grid: tuple[int, int],
    merge: int,
) -> str:
    """The picture at the size the processor gives it, and the patches over it."""
    width, height = resized
    rows, columns = grid
    picture = (
        f'<image href="{_preview(image)}" width="{content[0]}" height="{content[1]}" '
        'preserveAspectRatio="none"/>'
    )
    rim = f'<rect width="{width}" height="{height}" fill="#808080" fill-opacity=".35"/>'
    thin = _lines(rows, columns, 1, width, height)
    strong = _lines(rows, columns, merge, width, height)
    stroke = 'fill="none" stroke="#ffffff" vector-effect="non-scaling-stroke"'
    shade = 'fill="none" stroke="#000000" vector-effect="non-scaling-stroke"'
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="the picture under a grid of {rows} by {columns} patches">{rim}{picture}'
        f'<path d="{thin}" {stroke} stroke-opacity=".28" stroke-width=".5"/>'
        f'<path d="{strong}" {shade} stroke-opacity=".45" stroke-width="1.6"/>'
        f'<path d="{strong}" {stroke} stroke-opacity=".75" stroke-width=".8"/></svg>'
    )


def _lines(rows: int, columns: int, step: int, width: int, height: int) -> str:
    across = [f"M0 {height * row / rows:.2f}H{width}" for row in range(0, rows + 1, step)]
    down = [f"M{width * column / columns:.2f} 0V{height}" for column in range(0, columns + 1, step)]
    return "".join(across + down)


def _preview(image: MaterializedImage) -> str:
    """The materialized pixels as a small JPEG, so that the report shows what came back."""
    picture = image.image
    picture.thumbnail((_PREVIEW, _PREVIEW))
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=82)
    return f"data:image/jpeg;base64,{encode_base64(buffer.getvalue())}"


def _routes(journeys: Sequence[Journey]) -> str:
    head = (
        "<tr><th>family</th><th>storage</th><th>dialect</th><th>turns</th>"
        '<th class="number">prompt tokens</th><th class="number">body bytes</th>'
        '<th class="number">characters per ref</th><th class="number">pack ms</th>'
        '<th class="number">build ms</th><th class="number">parse ms</th>'
        '<th class="number">materialize ms</th><th>pixels</th></tr>'
    )
    return f'<div class="scroll"><table>{head}{"".join(map(_route, journeys))}</table></div>'


def _route(journey: Journey) -> str:
    texts = (journey.family, journey.storage, journey.dialect, _turns(journey))
    numbers = (
        f"{journey.prompt_tokens:,}",
        f"{len(journey.body):,}",
        f"{sum(step.ref_chars for step in journey.steps) // len(journey.steps):,}",
        f"{journey.pack_seconds * 1e3:.1f}",
        f"{journey.build_seconds * 1e3:.2f}",
        f"{journey.parse_seconds * 1e3:.2f}",
        f"{sum(step.materialize_seconds for step in journey.steps) * 1e3:.1f}",
    )
    verdict = ("good", "identical") if journey.identical else ("bad", "differ")
    cells = "".join(f"<td>{html.escape(text)}</td>" for text in texts)
    cells += "".join(f'<td class="number">{number}</td>' for number in numbers)
    return f'<tr>{cells}<td class="{verdict[0]}">{verdict[1]}</td></tr>'


def _turns(journey: Journey) -> str:
    return " then ".join(f"{count} images" for count in journey.turns)


def _refusals(refusals: Sequence[Refusal]) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(item.title)}</td><td><code>{html.escape(item.code)}</code></td>"
        f"<td><code>{html.escape(item.path)}</code></td><td>{html.escape(item.message)}</td></tr>"
        for item in refusals
    )
    head = "<tr><th>what was tried</th><th>code</th><th>place</th><th>message</th></tr>"
    return f'<div class="scroll"><table>{head}{rows}</table></div>'


def _body(journeys: Sequence[Journey]) -> str:
    stored = (journey for journey in journeys if journey.storage == "offload")
    journey = next(journey for journey in stored if journey.dialect == DEFAULT_DIALECT)
    text = json.dumps(json.loads(journey.body), indent=2)
    title = f"{journey.family}, offload, {journey.dialect}: {len(journey.body):,} bytes"
    return (
        f"<details><summary>{html.escape(title)}</summary>"
        f'<pre class="scroll"><code>{html.escape(text)}</code></pre></details>'
    )
