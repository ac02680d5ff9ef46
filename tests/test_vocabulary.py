"""The check of terms that `make check` runs over all files."""

import pytest
import vocabulary


@pytest.mark.parametrize("term", ["knob", "key_twice", "Short way", "held against", "Refused By"])
def test_a_banned_term_is_reported_with_its_line_and_the_term_to_use(term: str) -> None:
    (fault,) = vocabulary.faults("docs/a.md", f"One line.\nA {term} here.\n")
    found, _, instead = fault.partition("; use: ")
    assert (found, instead in vocabulary.TERMS) == (f"docs/a.md:2: {term}", True)


def test_a_term_within_a_longer_word_is_another_word() -> None:
    assert not [*vocabulary.faults("docs/a.md", "doorknobs, launchpads, my_fastpaths")]


def test_a_term_may_be_allowed_in_some_files() -> None:
    assert [*vocabulary.faults("docs/a.md", "pads")]
    assert not [*vocabulary.faults("mmraw_protocol/a.py", "pads")]
