"""Texts on prompts from a family.json, for spec/README.md and for the family's page.

Tokens are in blocks of code and never in a table: a bar within a cell is written in several ways.
"""

from __future__ import annotations

from .subset import Json

#: The span on the wire by placeholder convention.
_LENGTHS = {"single": "1", "expanded": "num_tokens"}
_PARTS = ("before", "token", "row_end", "end", "after")
_TITLES = ("before", "placeholder token", "row end", "last row's end", "after")


def placeholder_length(info: Json) -> str:
    """Describes the length of the span on the wire, for a table."""
    placeholder = info["placeholder"]
    if placeholder["row_end"]:
        return "num_tokens + h"
    lengths = [f"{_LENGTHS[name]} ({name})" for name in placeholder["conventions"]]
    return ", ".join(lengths) or "num_tokens"


def vllm_span(info: Json) -> str:
    """The span that vLLM's answer names, seen from the one on the wire, for a table."""
    vllm = info["vllm"]
    length = "num_tokens + h" if info["placeholder"]["row_end"] else "num_tokens"
    around = sum(map(bool, (vllm["before"], vllm["after"])))
    offset = "offset - 1" if vllm["before"] else "offset"
    return f"{offset}, {length}{f' + {around}' if around else ''}"


def prompt_tokens(families: dict[str, Json]) -> str:
    """The tokens around and within the span, a row for each family and each line that differs."""
    rows: list[tuple[str, ...]] = [("family", *_TITLES)]
    for name, info in families.items():
        rows.append((name, *_tokens(info["placeholder"])))
        for line, about in info["lines"].items():
            if _tokens(about["placeholder"]) != _tokens(info["placeholder"]):
                rows.append((f"{name} ({line})", *_tokens(about["placeholder"])))
    return block(rows)


def _tokens(placeholder: Json) -> tuple[str, ...]:
    return tuple(placeholder[part] or "-" for part in _PARTS)


def expansions(families: dict[str, Json]) -> str:
    """The target of each server, and what it writes in its place, a row for each family."""
    rows: list[tuple[str, ...]] = [("family", "vLLM's target", "becomes", "SGLang's", "becomes")]
    for name, info in families.items():
        rows.append((name, *_expansion(info["vllm"]), *_expansion(info["sglang"])))
    return block(rows)


def _expansion(engine: Json) -> tuple[str, str]:
    if not engine["target"]:
        return "-", "-"
    return engine["target"], f"{engine['before']} SPAN {engine['after']}".strip()


def refusals(info: Json) -> list[str]:
    """The forms of a family that cannot be expanded or compacted, each with the reason."""
    refused = [*info["vllm"]["refused"].items(), *info["sglang"]["refused"].items()]
    # A token such as <image> would be a tag in a page.
    return [f"`{form}`: {reason.replace('<', '&lt;')}" for form, reason in refused]


def block(rows: list[tuple[str, ...]]) -> str:
    """An indented block of code with its columns aligned."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "".join(f"    {line.rstrip()}\n" for line in lines) + "\n"
