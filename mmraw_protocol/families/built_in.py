"""The common part of the adapters of built-in families: all that spec/families/<name>/ says."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar, cast

import msgspec

from ..wire._generated.checks import PAYLOAD_CHECKS
from ..wire._generated.families import FAMILIES, FamilyInfo, Placeholder
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.errors import MMRawError
from ..wire.json import check_json_value, to_builtins
from ..wire.ref import Payload
from .conventions import SINGLE
from .family import Config, FamilyAdapter
from .grid import Grid, check_grid

Typed = TypeVar("Typed", bound=msgspec.Struct)


def span_of_rows(tokens: Placeholder, h: int, w: int) -> list[str]:
    """The texts of a span of `h` rows of `w` placeholder tokens; both are at least 1."""
    return [*([*[tokens.token] * w, tokens.row_end] * h)[:-1], tokens.end]


class BuiltInAdapter(FamilyAdapter[Config], Generic[Config, Typed]):
    """The adapter of a built-in family; its module adds the arithmetic.

    Args:
        config: The layout parameters.
        placeholder: One of the family's placeholder conventions; None for the first.
        line: The line of checkpoints, which decides the tokens of a prompt; None for the first.

    Raises:
        MMRawError: invalid_config (parameters that no image processor takes), unsupported_option.
    """

    info: ClassVar[FamilyInfo]

    def __init_subclass__(cls, family: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        if family:
            cls.info = FAMILIES[family]
            cls.family = family

    def __init__(
        self, config: Config, placeholder: str | None = None, line: str | None = None
    ) -> None:
        conventions = self.info.conventions
        if placeholder is not None and placeholder not in conventions:
            message = f"expected no placeholder convention: family {self.family} has one alone"
            if conventions:
                message = f"expected placeholder {' or '.join(conventions)}, got another"
            raise MMRawError("unsupported_option", message)
        refusal = self.refusal_of(config)
        if refusal is not None:
            message, name = refusal
            raise MMRawError("invalid_config", message, f"$.{name}")
        super().__init__(config)
        self.line = line or next(iter(self.info.lines))
        self.placeholder = placeholder or next(iter(conventions), None)

    @staticmethod
    def refusal_of(config: Any) -> tuple[str, str] | None:
        """Why no image processor takes these parameters, and the parameter; None if one does."""
        return None

    @property
    def feature_modality(self) -> str:
        """The modality under which the inference server files the image."""
        return self.info.feature_modality

    @property
    def tokens(self) -> Placeholder:
        """The tokens of an image in a prompt of its line."""
        return self.info.lines[self.line].placeholder

    @property
    def pad_token(self) -> str:
        """The placeholder token."""
        return self.tokens.token

    @property
    def identity(self) -> str:
        """Family, fingerprint and placeholder convention."""
        return ":".join(filter(None, (super().identity, self.placeholder)))

    @property
    def merge_size(self) -> int:
        """Patches per token along one side."""
        raise NotImplementedError

    def parse_payload(self, payload: Any, *, limits: Limits = DEFAULT_LIMITS) -> Typed:
        """The typed payload, its grid checked under this configuration's merge size.

        Raises:
            MMRawError: what the schema of the payload says.
        """
        typed = self.typed(payload, limits=limits)
        path = f"$.payload.{self.info.grid_key}"
        check_grid(self._grid(typed), merge_size=self.merge_size, limits=limits, path=path)
        return typed

    def typed(self, payload: Any, *, limits: Limits = DEFAULT_LIMITS) -> Typed:
        """`payload` as the family's struct, whether it is typed already or a decoded object.

        Raises:
            MMRawError: what the schema of the payload says.
        """
        if not isinstance(payload, self.info.payload):
            document = to_builtins(payload)
            check_json_value(document, path="$.payload")
            PAYLOAD_CHECKS[self.family](document, "$.payload", limits)
            payload = msgspec.convert(document, self.info.payload)
        return cast(Typed, payload)

    def _grid(self, typed: Typed) -> Grid:
        """The row of a payload; one of two sides is of one frame."""
        row = cast("tuple[int, ...]", getattr(typed, self.info.grid_key)[0])
        return cast(Grid, row if len(row) == 3 else (1, *row))

    def grid_thw(self, payload: Payload) -> Grid:
        """The grid that a payload names."""
        return self._grid(self.typed(payload))

    def num_tokens(self, payload: Payload) -> int:
        """Tokens that an image of this payload becomes: t * h * w / merge_size^2."""
        t, h, w = self.grid_thw(payload)
        return t * h * w // self.merge_size**2

    def placeholder_length(self, payload: Payload) -> int:
        """Tokens that represent it in the prompt, by the placeholder convention of the adapter."""
        return len(self.span(payload))

    def prompt_text(self, payload: Payload) -> str:
        """The text that represents it in the prompt."""
        return f"{self.tokens.before}{''.join(self.span(payload))}{self.tokens.after}"

    def span(self, payload: Payload) -> list[str]:
        """The placeholder's tokens, `placeholder_length` of them."""
        return [self.pad_token] if self.placeholder == SINGLE else self.expanded_span(payload)

    def expanded_span(self, payload: Payload) -> list[str]:
        """The placeholder's tokens if each token of the image has one, as a model takes them."""
        tokens = self.tokens
        if not tokens.row_end:
            return [tokens.token] * self.num_tokens(payload)
        _, h, w = self.grid_thw(payload)
        return span_of_rows(tokens, h, w)
