"""Rows of rollouts as samples: token ids and images, in whatever form a row carries these.

A row is an object with a prompt's `token_ids`. Its images are, in this order of preference, a
`features` body, `mm_refs`, `content_parts` beside the `mm_placeholders` of the answer, or the image
parts of `messages`. A row with none of them has no images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from itertools import accumulate
from typing import Any, cast

from ..conversation.expansion import expand_prompt
from ..conversation.found import Conversation
from ..conversation.messages import PackedImage, mm_data, pack_found
from ..conversation.placeholders import stray_tokens
from ..conversation.reading import read_conversation
from ..conversation.url_conversion import content_parts_to_features, mm_refs_to_features
from ..families.conventions import payload_lengths
from ..wire._generated.messages import ANSWERS, CONVERSATIONS
from ..wire._generated.types import PlaceholderRange
from ..wire.check import expected
from ..wire.errors import MMRawError
from ..wire.features import MAPS, Features, build_features, parse_features
from ..wire.json import parse_json
from .batches import IMAGE_ROWS
from .single_tokens import MASKED, expand_row, has_single_tokens
from .tensors import TENSOR_NAMES
from .transformers import TensorMaker

__all__ = ["RowReader"]

#: The run of refs that are made of messages here; the images are inline, no store is asked for it.
_RUN = "messages"
_IN_TOKENS = "$.token_ids"
#: The path of errors in a row with messages.
_BESIDE = tuple(f"$.{name}" for name in (*CONVERSATIONS, *ANSWERS, "image", "video", "audio"))


class RowReader:
    """Makes samples of rows.

    Args:
        maker: Makes the tensors.
        token_ids: The field of the prompt's token ids.
        features: The field of the features body.
        pad_token_id: The family's placeholder token. By default it is what a row's placeholders
            hold; rows without images must then hold none of those published for the family.
        mask_token_id: Stands in for placeholder tokens that the policy sampled, as `loss_mask` or
            `labels` tell; they carry no loss then, and `masked_tokens` has their positions. None
            rejects such rows. Placeholder tokens of the prompt without image are always rejected.
        tokenize: The prompt of `messages` with one target for each image, as a chat template
            writes it; for rows without token ids.
    """

    def __init__(
        self,
        maker: TensorMaker,
        *,
        token_ids: str = "token_ids",
        features: str = "features",
        pad_token_id: int | None = None,
        mask_token_id: int | None = None,
        tokenize: Callable[[list[Any]], Sequence[int]] | None = None,
    ) -> None:
        self.maker = maker
        self.token_ids = token_ids
        self.features = features
        self.pad_token_id = pad_token_id
        self.mask_token_id = mask_token_id
        self.tokenize = tokenize
        self._forms: dict[str, Callable[[dict[str, Any], list[int]], Any]] = {
            features: self._of_features,
            "mm_refs": self._of_mm_refs,
            "content_parts": self._of_content_parts,
            "messages": self._of_messages,
        }

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row as `collate` takes it; one with one token for an image is expanded.

        Returns:
            `input_ids` (int64, one for each token), `num_images`, `image_rows` (how many rows each
            tensor of its images has), what `maker` returns, and the row's other fields.

        Raises:
            MMRawError: missing_field, invalid_type, and what reading the images and `maker` raise,
                with the field's path.
        """
        rest = dict(row)
        tokens = self._tokens(rest)
        form = next((name for name in self._forms if rest.get(name) is not None), None)
        failed: MMRawError | None = None
        try:
            found = None
            if form is not None:
                found = self._forms[form](rest, tokens)
            parsed = parse_features(found or _none(), limits=self.maker.limits)
            rest.pop(self.features, None)
            rest, tokens = self._masked(rest, tokens, parsed)
            if has_single_tokens(parsed, self.maker.adapter):
                # Positions in errors are those of the row.
                self.maker.check_tokens(parsed, tokens, self.pad_token_id)
                rest, tokens, parsed = expand_row(rest, tokens, parsed, self.maker.adapter)
            return {**rest, **self._sample(tokens, parsed)}
        except MMRawError as error:
            failed = error
        raise self._placed(failed, form or self.features)

    def _sample(self, tokens: list[int], features: Features) -> dict[str, Any]:
        torch: Any = import_module("torch")
        made = self.maker(features, token_ids=tokens, pad_token_id=self.pad_token_id)
        return {
            "input_ids": torch.tensor(tokens, dtype=torch.int64),
            "num_images": sum(map(len, features.refs.values())),
            IMAGE_ROWS: {name: len(made[name]) for name in made if name in TENSOR_NAMES},
            **made,
        }

    def _placed(self, error: MMRawError, form: str) -> MMRawError:
        """The error with its path in the row."""
        if error.path.startswith(_IN_TOKENS):
            path = f"$.{self.token_ids}{error.path.removeprefix(_IN_TOKENS)}"
            return MMRawError(error.code, error.message, path)
        # A column of any name is in the row, too.
        beside = error.path.startswith(_BESIDE) or error.code == "image_part_unknown"
        in_row = form == "messages" and beside
        return error if in_row else error.with_path_prefix(f"$.{form}")

    def _tokens(self, row: dict[str, Any]) -> list[int]:
        """The prompt; empty where it is made of messages.

        Raises:
            MMRawError: missing_field, invalid_type.
        """
        given = row.pop(self.token_ids, None)
        if given is None and self.tokenize is not None and row.get("messages") is not None:
            return []
        if given is None:
            message = f"expected token ids in the field {self.token_ids}, which is absent"
            raise MMRawError("missing_field", message)
        tokens = cast("list[Any]", given)
        if not isinstance(given, list) or not all(type(token) is int for token in tokens):
            raise MMRawError("invalid_type", expected("token ids, a list of integers", given))
        return tokens

    def _of_features(self, row: dict[str, Any], _: list[int]) -> Any:
        return row.pop(self.features)

    def _of_mm_refs(self, row: dict[str, Any], _: list[int]) -> dict[str, Any]:
        return mm_refs_to_features(
            row.pop("mm_refs"), adapters=self._adapters, limits=self.maker.limits
        )

    def _of_content_parts(self, row: dict[str, Any], _: list[int]) -> dict[str, Any]:
        places = row.pop("mm_placeholders", None)
        if places is None:
            message = "expected the answer's mm_placeholders, which content_parts need; got none"
            raise MMRawError("missing_field", message)
        return content_parts_to_features(
            _decoded(row.pop("content_parts")),
            _decoded(places),
            adapters=self._adapters,
            limits=self.maker.limits,
        )

    @property
    def _adapters(self) -> dict[str, Any]:
        return {self.maker.adapter.family: self.maker.adapter}

    def _of_messages(self, row: dict[str, Any], tokens: list[int]) -> dict[str, Any]:
        """Refs of the images in the messages, placed where the prompt has their tokens."""
        maker = self.maker
        beside = {*CONVERSATIONS, *ANSWERS} - {"messages"} if tokens else {""}
        # A column beside the messages has images too. Images of answers are in a prompt that is
        # given, or in none; one that is made of the messages would lose them.
        given = {k: v for k, v in row.items() if k not in beside}
        conversation = read_conversation({**given, "messages": _decoded(given["messages"])})
        packed = pack_found(
            conversation.images,
            maker.adapter,
            storage="inline",
            store=maker.materializer.store,
            run_id=None,
            limits=maker.limits,
            preparation=maker.preparation,
        )
        for image in packed:
            maker.layouts.add(image.where.layout_parameters)
        if not tokens and self.tokenize is not None:
            return self._expanded(packed, self.tokenize(_messages_of(conversation)), tokens)
        pads = maker.image_tokens(parse_features(_none()), [], self.pad_token_id).pads
        spans: list[PlaceholderRange] = []
        position = 0
        for image in packed:
            found = next((at for at in range(position, len(tokens)) if tokens[at] in pads), None)
            if found is None:
                message = (
                    f"expected {len(packed)} placeholders, one for each image; got {len(spans)}"
                )
                raise MMRawError("lengths_differ", message, image.where.path)
            lengths = payload_lengths(maker.adapter, image.description.payload)
            is_expanded = tokens[found + 1 : found + 2] and tokens[found + 1] in pads
            length = max(lengths) if is_expanded else min(lengths)
            spans.append(PlaceholderRange(offset=found, length=length))
            position = found + length
        return self._body(packed, spans)

    def _expanded(
        self, packed: Sequence[PackedImage], compact: Sequence[int], tokens: list[int]
    ) -> dict[str, Any]:
        """Fills `tokens` with a prompt whose targets are replaced by their images' tokens."""
        maker = self.maker
        body = self._body(packed, None)
        refs = [ref for texts in body["kwargs_data"].values() for ref in texts]
        prompt = expand_prompt(
            list(compact), refs, maker.adapter, vocabulary=maker.vocabulary, limits=maker.limits
        )
        tokens += prompt.token_ids
        return self._body(packed, prompt.placeholders)

    def _body(
        self, packed: Sequence[PackedImage], spans: Sequence[PlaceholderRange] | None
    ) -> dict[str, Any]:
        """Refs of images with their spans, which may be of another convention than the adapter's.

        None puts the images one behind another.
        """
        lengths = [image.description.placeholder_length for image in packed]
        offsets = list(accumulate(lengths, initial=0))[:-1]
        body = build_features(mm_data(packed, offsets), run_id=_RUN, limits=self.maker.limits)
        if spans is None:
            return body
        places = [{"length": span.length, "offset": span.offset} for span in spans]
        return {**body, "mm_placeholders": dict.fromkeys(body["mm_placeholders"], places)}

    def _masked(
        self, row: dict[str, Any], tokens: list[int], features: Features
    ) -> tuple[dict[str, Any], list[int]]:
        """Row and prompt without the placeholder tokens that the policy sampled."""
        if self.mask_token_id is None:
            return row, tokens
        places = [slot.placeholder for slot in features.slots()]
        known = self.maker.image_tokens(features, tokens, self.pad_token_id).pads
        strays = [at for at in stray_tokens(tokens, places, known) if _is_sampled(row, at)]
        if not strays:
            return row, tokens
        tokens, row = list(tokens), {**row, MASKED: strays}
        for name, none in (("loss_mask", 0), ("labels", -100)):
            if name in row:
                row[name] = list(row[name])
                for position in strays:
                    row[name][position] = none
        for position in strays:
            tokens[position] = self.mask_token_id
        return row, tokens


def _decoded(value: Any) -> Any:
    """A value that may be JSON text, as in a column of a table.

    Raises:
        MMRawError: what `parse_json` raises.
    """
    return parse_json(value) if isinstance(value, str) else value


def _messages_of(conversation: Conversation) -> list[Any]:
    """The messages of a row; images of a column are parts in them, as chat templates read them."""
    parts = [
        {"type": "image", "image": image.source} if image.in_column else image.part
        for image in conversation.images
    ]
    return conversation.with_images(parts)


def _is_sampled(row: Mapping[str, Any], position: int) -> bool:
    """True if the row says that the policy sampled the token: it carries loss."""
    mask, labels = row.get("loss_mask"), row.get("labels")
    if mask is not None:
        return position < len(mask) and bool(mask[position])
    return labels is not None and position < len(labels) and labels[position] != -100


def _none() -> dict[str, Any]:
    return {name: {} for name in MAPS}
