"""Client IDs: exactly 16 bytes, spelled one way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore.crdt.actor import format_actor, make_actor, parse_actor, site_and_epoch
from crdtstore.errors import MalformedClientId


@given(st.binary(min_size=16, max_size=16))
def test_round_trip(actor: bytes) -> None:
    """Any 16 bytes are an actor, site 0 too."""
    assert parse_actor(format_actor(actor)) == actor
    assert make_actor(*site_and_epoch(actor)) == actor


def test_published_example() -> None:
    """Site 5, epoch 0, as the API's introduction prints it."""
    assert format_actor(make_actor(5, 0)) == "AAAAAAAAAAUAAAAAAAAAAA=="
    assert site_and_epoch(parse_actor("AAAAAAAAAAAAAAAAAAAAew==")) == (0, 123)


@pytest.mark.parametrize(
    "text",
    ["", "AAAAAAAAAAU=", "AAAAAAAAAAUAAAAAAAAAAA", "AAAAAAAAAAUAAAAAAAAAAB==", "AAAAAAAAAAUAAAAAAAAAAA==\n", "ä" * 24,
     "-_AAAAAAAAUAAAAAAAAAAA==", "AAAAAAAAAAUAAAAAAAAAAAA="],
)  # fmt: skip
def test_refused(text: str) -> None:
    """Wrong lengths, alphabets, padding, stray bits."""
    with pytest.raises(MalformedClientId):
        parse_actor(text)
