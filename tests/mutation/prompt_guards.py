"""The guards of prompts with images: what is neither compact nor expanded is refused."""

from guard import Guard

EXPANSION = "mmraw_protocol/conversation/expansion.py"
TOKENS = "mmraw_protocol/conversation/family_tokens.py"
PLACEHOLDERS = "mmraw_protocol/conversation/placeholders.py"
#: Vectors first: they end at the first fault.
TESTS = "tests/test_vectors.py tests/test_expansion.py"

GUARDS = [
    Guard(
        "images of a prompt",
        EXPANSION,
        "if len(refs) > limits.features_images:",
        "if False:",
        TESTS,
    ),
    Guard("a ref without target", EXPANSION, "if len(places) < len(spans):", "if False:", TESTS),
    Guard("a stray pad", EXPANSION, "elif token == pad:", "elif False:", TESTS),
    Guard("a stray token", EXPANSION, "if token in strays:", "if False:", TESTS),
    Guard(
        "spans in order",
        EXPANSION,
        "if place.offset < end or place.length < 1 or stop > len(token_ids):",
        "if False:",
        TESTS,
    ),
    Guard(
        "a ref for each span",
        EXPANSION,
        "if parsed is not None and len(parsed) != len(placeholders):",
        "if False:",
        TESTS,
    ),
    Guard("the ref's family", TOKENS, "if ref.family != self._adapter.family:", "if False:", TESTS),
    Guard("the span's length", TOKENS, "if length in (None, len(texts)):", "if True:", TESTS),
    Guard(
        "one token without conventions",
        TOKENS,
        "if length == 1 and self._adapter.info.conventions:",
        "if length == 1:",
        TESTS,
    ),
    Guard(
        "the span's tokens", TOKENS, "if not self._ids.are_tokens(held, texts):", "if False:", TESTS
    ),
    Guard("ids that are known", TOKENS, "        if missing:", "        if False:", TESTS),
    Guard("the form", TOKENS, "if form is not None:", "if False:", TESTS),
    Guard("neighbours", TOKENS, "if text and not (", "if False and not (", TESTS),
    Guard("one neighbour for one span", TOKENS, "done <= position < ", "0 <= position < ", TESTS),
    Guard(
        "one token for an id",
        PLACEHOLDERS,
        "if token_id in self._ids.values():",
        "if False:",
        TESTS,
    ),
    Guard(
        "spans with row ends",
        PLACEHOLDERS,
        "else ids.are_tokens(held, texts)",
        "else True",
        "tests/test_placeholders.py",
    ),
    Guard(
        "spans of one token",
        PLACEHOLDERS,
        "and all(token == first for token in token_ids)",
        "",
        "tests/test_placeholders.py",
    ),
]
