"""The tokens that a server writes for an image, in prompts of one line of checkpoints.

Source: spec/families/<name>/family.json, keys placeholder, vllm, sglang and lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ..families import Adapter
from ..families.built_in import BuiltInAdapter, span_of_rows
from ..wire._generated.families import Expansion, FamilyInfo
from ..wire._generated.types import PlaceholderRange
from ..wire.errors import MMRawError
from ..wire.ref import RawMMRef
from .placeholders import TokenIds

#: Servers whose expansions the families' folders have, as keys of family.json.
ENGINES = ("vllm", "sglang")
DEFAULT_ENGINE = "vllm"


class FamilyTokens:
    """The target, the span and the tokens around it, as texts and as ids.

    Args:
        adapter: Of a built-in family.
        vocabulary: Ids by token; None takes those that are published for the adapter's line.
        form: A form of prompts of the family, which is refused with its reason.
        engine: The server, `vllm` or `sglang`.

    Raises:
        MMRawError: unknown_family, unsupported_option.
    """

    def __init__(
        self,
        adapter: Adapter,
        vocabulary: Mapping[str, int] | None,
        form: str | None,
        engine: str = DEFAULT_ENGINE,
    ) -> None:
        if not isinstance(adapter, BuiltInAdapter):
            message = "expected an adapter of a built-in family, which knows how prompts expand"
            raise MMRawError("unknown_family", message, "$.family")
        self._adapter = cast("BuiltInAdapter[Any, Any]", adapter)
        info, tokens = self._adapter.info, self._adapter.tokens
        expansion = _expansion_of(info, engine)
        if form is not None:
            _refuse_form(form, expansion.refused)
        if not expansion.target:
            message = f"expected a family whose expansion by {engine} is known, got another"
            raise MMRawError("unsupported_option", message, "$.engine")
        # The table names the tokens of the family's first line.
        in_line = {text: t for text, t in zip(info.placeholder, tokens, strict=True) if text}
        texts = expansion.target, expansion.before, expansion.after
        self.target, self.before, self.after = (in_line.get(text, text) for text in texts)
        self.pad = tokens.token
        given = info.lines[self._adapter.line].token_ids if vocabulary is None else vocabulary
        self._texts = [self.target, self.before, self.pad, tokens.row_end, tokens.end, self.after]
        self._ids = TokenIds({text: given[text] for text in self._texts if text in given})

    def id_of(self, text: str) -> int | None:
        """The id of a token; None if it is not known, or not yet."""
        return self._ids.get(text)

    def check_known(self, *texts: str) -> None:
        """The ids of these tokens are known; by default of all that vLLM writes.

        Raises:
            MMRawError: missing_field.
        """
        wanted = dict.fromkeys(text for text in texts or self._texts if text)
        missing = [text for text in wanted if self.id_of(text) is None]
        if missing:
            message = f"expected the ids of {', '.join(missing)} in vocabulary, got none"
            raise MMRawError("missing_field", message, "$.vocabulary")

    def ids_of(self, texts: Sequence[str]) -> list[int]:
        """The ids of tokens that are known; a text that is empty is no token."""
        ids = {text: self.id_of(text) for text in {*texts}}
        return [cast(int, ids[text]) for text in texts if text]

    def span(self, ref: RawMMRef, index: int, length: int | None = None) -> list[str]:
        """The texts of an image's span.

        Args:
            ref: The image's.
            index: Its place among the refs and placeholders, for the error's path.
            length: The span's length, which is compared if it is given.

        Raises:
            MMRawError: unknown_family, what `parse_payload` raises, placeholder_mismatch.
        """
        if ref.family != self._adapter.family:
            message = "expected a ref of the prompt's family, got one of another"
            raise MMRawError("unknown_family", message, f"$.refs[{index}].family")
        texts = self._expanded(ref.payload, f"$.refs[{index}]")
        if length in (None, len(texts)):
            return texts
        # Of several conventions, one token means one for the whole image.
        if length == 1 and self._adapter.info.conventions:
            return [self.pad]
        message = f"expected a span of {len(texts)} tokens, as the ref gives, got {length}"
        raise MMRawError("placeholder_mismatch", message, f"$.placeholders[{index}]")

    def _expanded(self, payload: Any, path: str) -> list[str]:
        failed: MMRawError | None = None
        try:
            return self._adapter.expanded_span(self._adapter.parse_payload(payload))
        except MMRawError as error:
            failed = error
        raise failed.with_path_prefix(path)

    def check_span(self, held: Sequence[int], texts: list[str] | None, path: str) -> None:
        """The tokens of a span are an image's; without texts, those of some image.

        Raises:
            MMRawError: span_mismatch.
        """
        if texts is None:
            texts = self._some_span(held)
        if not self._ids.are_tokens(held, texts):
            message = "expected the image's tokens in its span, got others"
            raise MMRawError("span_mismatch", message, path)

    def _some_span(self, held: Sequence[int]) -> list[str]:
        """The texts of the span of this length whose first row is as long as that of `held`."""
        tokens = self._adapter.tokens
        if not tokens.row_end:
            return [tokens.token] * len(held)
        width = next((at for at, token in enumerate(held) if token != held[0]), len(held))
        return span_of_rows(tokens, max(1, len(held) // (width + 1)), width)

    def stretch(
        self, token_ids: Sequence[int], place: PlaceholderRange, done: int, path: str
    ) -> tuple[int, int]:
        """Returns begin and end of what vLLM writes for the image with this span.

        Args:
            token_ids: The whole prompt.
            place: The span.
            done: Where the stretch of the previous image ends.
            path: Of the placeholder, for the error.

        Raises:
            MMRawError: span_mismatch.
        """
        stop = place.offset + place.length
        for position, text in ((place.offset - 1, self.before), (stop, self.after)):
            inside = done <= position < len(token_ids)
            if text and not (inside and self._ids.is_token(token_ids[position], text)):
                message = "expected the tokens that the server writes around the span, got others"
                raise MMRawError("span_mismatch", message, path)
        return place.offset - bool(self.before), stop + bool(self.after)


def _expansion_of(info: FamilyInfo, engine: str) -> Expansion:
    """Returns how a server expands the family's images."""
    if engine not in ENGINES:
        message = f"expected one of the engines {', '.join(ENGINES)}"
        raise MMRawError("unsupported_option", message, "$.engine")
    return cast("Expansion", getattr(info, engine))


def _refuse_form(form: str, refused: Mapping[str, str]) -> None:
    """Refuses a form of prompts, with the reason if the family's folder has one."""
    message = "the family has no form of this name; leave it out for the form of its folder"
    if form in refused:
        message = f"this form cannot be expanded or compacted: {refused[form]}"
    raise MMRawError("unsupported_option", message, "$.form")
