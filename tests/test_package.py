"""The names at the top of the package."""

import pytest

import mmraw_protocol


@pytest.mark.parametrize("name", mmraw_protocol.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(mmraw_protocol, name) is not None
    assert name in dir(mmraw_protocol)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = mmraw_protocol.nonsense  # pyright: ignore[reportAttributeAccessIssue]
