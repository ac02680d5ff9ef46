"""The rules that every store keeps, as checks that any store can be put through.

For the author of a store of one's own, in one line:

    check_store(lambda place, **options: MyStore(f"/some/root/{place}", **options))

or, with pytest, one test for each rule:

    @pytest.mark.parametrize("rule", RULES)
    def test_my_store(rule: str) -> None:
        check_rule(rule, open_my_store, tamper)

`open_store(place, **options)` opens the store at a place, empty when the name is new, the same
objects when it is not. The options are `run_id`, `run_ids` and `limits`, as `open_store` has them.
`tamper(place, raw_image_id, data)` writes bytes under a name directly, not through the store;
without it the rules about damaged objects are left out.
"""

from __future__ import annotations

from . import rules as rules  # registers them
from .subject import RULES, TAMPERING, BrokenRuleError, OpenStore, Subject, Tamper

__all__ = ["RULES", "TAMPERING", "BrokenRuleError", "check_rule", "check_store"]


def check_store(open_store: OpenStore, tamper: Tamper | None = None) -> list[str]:
    """Tries every rule on a store.

    Args:
        open_store: Opens the store at a place, see above.
        tamper: Writes directly, see above.

    Returns:
        The rules that were left out, since they need `tamper`.

    Raises:
        BrokenRuleError: with a line for each broken rule.
    """
    broken: list[str] = []
    for name in RULES:
        try:
            check_rule(name, open_store, tamper)
        except BrokenRuleError as error:
            broken.append(str(error))
    if broken:
        raise BrokenRuleError("\n".join(broken))
    return sorted(TAMPERING) if tamper is None else []


def check_rule(name: str, open_store: OpenStore, tamper: Tamper | None = None) -> None:
    """Tries one rule on a store.

    Raises:
        BrokenRuleError: saying what was expected.
    """
    if name in TAMPERING and tamper is None:
        return
    subject = Subject(open_store, tamper)
    try:
        RULES[name](subject)
    except BrokenRuleError as error:
        raise BrokenRuleError(f"{name}: {error}") from None
    except Exception as error:
        raise BrokenRuleError(f"{name}: {type(error).__name__} escaped: {error}") from error
    finally:
        subject.clean()
