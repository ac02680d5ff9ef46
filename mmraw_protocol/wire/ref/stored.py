"""The commonest text of all, put together: the v3 ref of a stored image, its fields plain.

What the refs of a run share (labels) and what few images differ in (grids) is proved and encoded
once; a ref is these pieces with its hash and its name between them. Only values of exactly the
types of this package are looked up, since True equals 1 and would find the text of 1.
"""

from __future__ import annotations

from binascii import unhexlify
from functools import lru_cache
from typing import Any, cast

import msgspec

from .._generated.limits import Limits
from .._generated.plain import FINGERPRINT, MM_HASH, MODALITY, PlainRefV3
from .._generated.types import QwenVlPayload
from .._generated.wire import PAYLOADS
from ..base64 import encode_base64
from ..grids import MERGE_SIZE, is_plain_grid
from .inline import PREFIX
from .model import RawMMRef, payload_grid

EXTENSIONS = frozenset({".jpg", ".png", ".gif"})
FAMILY_OF = {kind: name for name, kind in PAYLOADS.items()}
LEAST, MOST = MM_HASH.least, MM_HASH.most
#: Characters of a name whose stem is of digits: as few and as many as a hash has, and ".jpg".
SHORTEST, LONGEST = LEAST + 4, MOST + 4

#: A longer label is no plain one: what is remembered stays small.
_LONGEST_LABEL = 512
#: What is remembered at most, of each kind; then it is begun anew.
_REMEMBERED = 2048
#: Stands where a field's value comes, and is in no plain value.
_GAP = "?"

_Refusal = (
    msgspec.MsgspecError, ValueError, TypeError, AttributeError, KeyError, RecursionError
)  # fmt: skip
_encode = msgspec.json.Encoder().encode
payload_decoders = {kind: msgspec.json.Decoder(kind).decode for kind in PAYLOADS.values()}


#: The JSON of the refs that share their labels, but for mm_hash, payload and raw_image_id: what
#: stands before, between and behind them. First comes the length of the longest label, which is
#: held against the limits.
Template = tuple[int, str, str, str, str]

_templates: dict[tuple[Any, ...], Template] = {}
#: The JSON of a payload by its grid, and the patches of that, to be held against the limits.
grids: dict[tuple[int, int, int], tuple[str, int]] = {}


def write(ref: RawMMRef, limits: Limits) -> str | None:
    """The v3 text of a ref without raw_uri; None where it is not plain."""
    text = json_of(ref.family, ref, limits)
    # Nothing in it makes a `+` or `/`, so that one alphabet is the other.
    return None if text is None else PREFIX + encode_base64(text.encode()).rstrip("=")


def json_of(family: str, ref: RawMMRef | PlainRefV3, limits: Limits) -> str | None:
    """The canonical JSON of a ref without raw_uri; None where it is not plain."""
    payload, mm_hash = ref.payload, ref.mm_hash
    name: Any = ref.raw_image_id
    try:
        labels = (type(payload), family, ref.fingerprint, ref.modality, ref.run_id)
        template = _templates.get(labels) or template_of(*labels)
        if template is None:
            return None
        longest, head, behind_hash, behind_payload, tail = template
        # Digits come in pairs here, as in every digest.
        if (
            longest > limits.name_chars
            or not (type(mm_hash) is type(name) is str and LEAST <= len(mm_hash) <= MOST)
            or not SHORTEST <= len(name) <= LONGEST
            or len(name) > limits.raw_image_id_bytes
            or unhexlify(mm_hash).hex() != mm_hash
        ):
            return None
        if name.removeprefix(mm_hash) not in EXTENSIONS:
            digits = stem(name)
            if unhexlify(digits).hex() != digits:
                return None
        grid = payload_text(payload, limits)
        if grid is None:
            return None
    except _Refusal:
        return None
    return f"{head}{mm_hash}{behind_hash}{grid}{behind_payload}{name}{tail}"


def stem(name: str) -> str:
    """A name without its usual extension; it is left to prove that this is hex digits.

    Raises:
        ValueError: It has another.
    """
    if name[-4:] not in EXTENSIONS:
        raise ValueError
    return name[:-4]


def template_of(
    kind: Any, family: Any, fingerprint: Any, modality: Any, run_id: Any
) -> Template | None:
    """What refs with these labels and this type of payload share; None where they are not plain.

    Raises:
        TypeError: Where a label is not even a value that can be looked up.
    """
    labels = (kind, family, fingerprint, modality, run_id)
    template = _templates.get(labels)
    if template is None:
        if FAMILY_OF.get(kind) != family:
            return None
        longest = longest_label(run_id, fingerprint, modality, family)
        if not 0 < longest <= _LONGEST_LABEL:
            return None
        # The schema's own names and their order, from the one struct that has them.
        blank = RawMMRef(
            family=family,
            fingerprint=fingerprint,
            mm_hash=_GAP,
            modality=modality,
            payload=cast(Any, msgspec.Raw(_GAP.encode())),
            raw_image_id=_GAP,
            run_id=run_id,
        )
        head, behind_hash, behind_payload, tail = _encode(blank).decode().split(_GAP)
        template = (longest, head, behind_hash, behind_payload, tail)
        _remember(_templates, labels, template)
    return template


@lru_cache(maxsize=1024)
def longest_label(run_id: Any, fingerprint: Any, modality: Any, family: Any) -> int:
    """Length of the longest label, 0 where one is not plain; a run repeats them in every ref."""
    labels = (run_id, fingerprint, modality, family)
    if not all(isinstance(label, str) and label.isascii() for label in labels):
        return 0
    if run_id.startswith(("run_", ".")) or not run_id or not modality:
        return 0
    if not FINGERPRINT.least <= len(fingerprint) <= FINGERPRINT.most:
        return 0
    if fingerprint.encode("ascii").translate(None, FINGERPRINT.allowed):
        return 0
    if f"{run_id}{modality}".encode("ascii").translate(None, MODALITY.allowed):
        return 0
    return max(len(run_id), len(modality), len(family))


def payload_text(payload: Any, limits: Limits) -> str | None:
    """The JSON of a payload that a caller made; None where its type allows it not.

    Raises:
        ValueError, TypeError, AttributeError: Where something in it is not what it should be.
    """
    if type(payload) is not QwenVlPayload:
        data = _encode(payload)
        again = payload_decoders[type(payload)](data)
        is_plain = again == payload and is_plain_grid(payload_grid(again), limits)
        return data.decode() if is_plain else None
    rows: Any = payload.image_grid_thw
    (grid,) = rows
    t, h, w = grid
    if not (type(rows) is type(grid) is tuple and type(t) is type(h) is type(w) is int):
        return None
    found = grids.get(grid)
    if found is None:
        patches = t * h * w
        if t <= 0 or h <= 0 or w <= 0 or h % MERGE_SIZE or w % MERGE_SIZE:
            return None
        if patches > limits.grid_patches:
            return None
        found = (_encode(payload).decode(), patches)
        _remember(grids, grid, found)
    text, patches = found
    return text if patches <= limits.grid_patches else None


def _remember(memo: dict[Any, Any], key: Any, value: Any) -> None:
    if len(memo) >= _REMEMBERED:
        memo.clear()
    memo[key] = value
