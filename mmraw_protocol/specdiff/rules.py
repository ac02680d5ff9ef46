"""Names of changes between two versions of spec/, and whom each change breaks."""

from __future__ import annotations

from typing import Literal

import msgspec

#: reader: new readers reject old documents. writer: old readers reject new documents.
Breaks = Literal["none", "reader", "writer", "both"]


class Rule(msgspec.Struct, frozen=True):
    """A kind of change. Its id never changes its meaning."""

    id: str
    breaks: Breaks
    meaning: str


class Change(msgspec.Struct, frozen=True):
    """One change: its rule, the path (`$id` and JSON pointer, or file and pointer), both sides."""

    rule: str
    path: str
    detail: str = ""

    @property
    def breaks(self) -> Breaks:
        """The sides that it breaks."""
        return RULES[self.rule].breaks


_TABLE: tuple[tuple[str, Breaks, str], ...] = (
    # documents
    ("schema-added", "writer", "a schema of whole documents is new: old readers do not know them"),
    ("schema-removed", "reader", "a schema of whole documents is gone"),
    ("library-added", "none", "a schema that others only refer to is new"),
    ("library-removed", "none", "a schema that others only referred to is gone"),
    ("definition-added", "none", "a definition is new; what refers to it is listed apart"),
    ("definition-removed", "none", "a definition is gone; what referred to it is listed apart"),
    ("documentation-changed", "none", "a title, description, example or hint"),
    # fields of closed objects
    ("field-added-optional", "writer", "old readers reject a field that they do not know"),
    ("field-added-required", "both", "old documents lack it, old readers do not know it"),
    ("field-removed-optional", "reader", "old documents may carry it, new readers do not know it"),
    ("field-removed-required", "both", "old documents carry it, old readers ask for it"),
    ("field-became-required", "reader", "old documents may lack it"),
    ("field-became-optional", "writer", "old readers ask for it"),
    ("one-of-fields-tightened", "reader", "fewer fields satisfy 'at least one of'"),
    ("one-of-fields-loosened", "writer", "more fields satisfy 'at least one of'"),
    # objects as a whole
    ("object-closed", "reader", "an object of any fields became one of named fields"),
    ("object-opened", "writer", "an object of named fields became one of any fields"),
    ("object-kind-changed", "both", "named fields, any fields or a map: another kind of object"),
    ("part-added", "reader", "one more schema must hold (allOf)"),
    ("part-removed", "writer", "one schema less must hold (allOf)"),
    # values
    ("type-changed", "both", "another type, or another kind of rule"),
    ("type-widened", "writer", "an integer became any number"),
    ("type-narrowed", "reader", "any number became an integer"),
    ("null-allowed", "writer", "null became a value"),
    ("null-forbidden", "reader", "null is no longer a value"),
    ("const-changed", "both", "another constant"),
    ("enum-value-added", "writer", "one more value"),
    ("enum-value-removed", "reader", "one value less"),
    ("excluded-value-added", "reader", "one more value is excluded"),
    ("excluded-value-removed", "writer", "one value less is excluded"),
    ("pattern-added", "reader", "a pattern where there was none"),
    ("pattern-removed", "writer", "no pattern where there was one"),
    ("pattern-changed", "both", "another pattern: which texts fit cannot be compared"),
    ("bound-tightened", "reader", "the range of a length, size or number became smaller"),
    ("bound-loosened", "writer", "the range of a length, size or number became larger"),
    ("keyword-changed", "both", "a keyword that the gate does not compare in detail"),
    # families
    ("variant-added", "reader", "a family became built in: its payload is checked now"),
    ("variant-removed", "writer", "a family is no longer built in: any payload passes now"),
    ("variants-changed", "both", "the variants changed in another way"),
    # annotations that readers act on
    ("dialect-added", "writer", "old readers reject a dialect that they do not know"),
    ("dialect-removed", "reader", "a dialect is no longer read"),
    ("dialect-changed", "both", "prefix, encoding, segments, family or fingerprint scheme"),
    ("dialect-writing-changed", "none", "whether a dialect is written; both sides read it"),
    ("default-changed", "both", "what leaves the value out means something else now"),
    ("fingerprint-changed", "both", "layout parameters or their order: fingerprints differ"),
    ("opaque-changed", "both", "whether the rules of opaque payloads hold"),
    ("limit-name-changed", "both", "another limit holds, or none"),
    ("error-of-field-changed", "none", "a refusal has another code; what is rejected stays"),
    ("attribute-changed", "none", "the name in generated code; nothing on the wire"),
    # tables
    ("error-added", "none", "a new error code"),
    ("error-removed", "both", "codes keep their meaning permanently"),
    ("error-status-changed", "both", "another HTTP status"),
    ("error-text-changed", "none", "meaning, cause or remedy: read whether the meaning stays"),
    ("limit-added", "reader", "old documents may be beyond it"),
    ("limit-removed", "writer", "old readers keep to it"),
    ("limit-raised", "writer", "old readers reject beyond the old limit"),
    ("limit-lowered", "reader", "old documents may be beyond it"),
    ("limit-unit-changed", "both", "the number counts something else"),
    ("modality-refused", "reader", "a modality is rejected by name"),
    ("modality-carried", "writer", "a modality is no longer rejected by name"),
    ("modality-changed", "both", "what a rejected modality is recognized by"),
)  # fmt: skip

#: Every rule by its id.
RULES: dict[str, Rule] = {name: Rule(name, breaks, meaning) for name, breaks, meaning in _TABLE}
