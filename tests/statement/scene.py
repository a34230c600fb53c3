"""A store in memory for tests of statements, and what stands in it.

Rules: the clock stands still, so a run repeats exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st

from crdtstore import Store, make_actor
from crdtstore.errors import CallerError

if TYPE_CHECKING:
    from crdtstore.query.dql.profile import Profile

KEYS = st.sampled_from(["a", "b", "c", "d e"])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.lists(st.integers(0, 3), max_size=2),
)
VALUES = st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=2), max_leaves=3)
FIELDS = st.dictionaries(KEYS, VALUES)
"""Fields of a document, objects among them."""

IDS = st.one_of(st.integers(0, 3), st.sampled_from(["x", "y"]), st.fixed_dictionaries({"k": st.integers(0, 2)}))


def make_store(site: int = 1) -> Store:
    """An empty store."""
    return Store.in_memory(clock=lambda: 1_700_000_000_000, origin=make_actor(site, 1))


def rows(store: Store, collection: str = "c", profile: Profile = "v5") -> list[dict[str, Any]]:
    """The documents of a collection, by their ids."""
    return store.execute(f"SELECT * FROM {collection}", profile=profile).items


def refused(
    store: Store,
    text: str,
    parameters: dict[str, Any] | None = None,
    *,
    profile: Profile = "v5",
    error: type[CallerError] = CallerError,
) -> CallerError:
    """Run a statement that is refused and changes nothing; its error."""
    before = store.digest(), store.applied
    with pytest.raises(error) as caught:
        store.execute(text, parameters, profile=profile)
    assert (store.digest(), store.applied) == before
    return caught.value


def merged(old: Any, new: Any) -> Any:
    """What a reader sees of two values of one field, the second written later: objects merge."""
    if not isinstance(new, dict):
        return new
    known = old if isinstance(old, dict) else {}
    return {**known, **{key: merged(known.get(key), value) for key, value in new.items()}}
