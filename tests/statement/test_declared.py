"""Declared types: the short ways give what taking every document apart gives, where types live side by side too."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, Final

import pytest

from crdtstore import Store
from crdtstore.errors import CallerError
from crdtstore.query import tree
from crdtstore.query.dql.profile import Profile
from crdtstore.statement import declared, rows

VALUES: Final[tuple[Any, ...]] = (None, 1, 2.5, "a", True, [1, "a"], {"x": 1}, {"x": {"y": 1}}, {})
SOURCES: Final = ("c", "COLLECTION c (a MAP)", "COLLECTION c (a COUNTER, b MAP (x MAP))", "COLLECTION c (a REGISTER)")
CONDITIONS: Final = (
    "true",
    "a = 1",
    "a != 1 OR b = 'a'",
    "a >= 1 AND b IS NOT MISSING",
    "a IS MISSING",
    "NOT (a = 1)",
    "a = {'x': 1}",
    "a.x = 1 AND _id >= 3",
    "1 IN a OR a IN [1, 'a']",
    "a = b",
    "a.x.y = 1",
    "is_number(a)",
    "b LIKE 'a%' OR array_contains(a, 'a')",
    "_id IN [1, 2, 40]",
)


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """Two stores wrote the same documents, each of other types, and one knows what both did."""
    with Store.in_memory() as one, Store.in_memory() as other:
        for seed, each in enumerate((one, other)):
            write(each, Random(seed))
        one.apply([entry.record for entry in other.changes()])
        yield one


def write(store: Store, random: Random) -> None:
    """Write fields of random types, in random profiles."""
    for _ in range(150):
        source, profile = random.choice(SOURCES), random.choice(("v4", "v5"))
        document = {"_id": random.randrange(40), **{name: random.choice(VALUES) for name in ("a", "b")}}
        try:
            store.execute(
                f"INSERT INTO {source} DOCUMENTS (:d) ON ID CONFLICT DO UPDATE",
                {"d": document},
                profile=profile,  # type: ignore[arg-type]
            )
        except CallerError:  # a value that its type does not take
            continue


@pytest.mark.parametrize("profile", ["v4", "v5"])
@pytest.mark.parametrize("source", SOURCES)
def test_short_ways_give_what_taking_documents_apart_gives(
    store: Store, source: str, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"SELECT * FROM {source} WHERE {condition} ORDER BY _id" for condition in CONDITIONS]
    found = [store.execute(text, profile=profile).items for text in texts]
    monkeypatch.setattr(declared, "is_plain", lambda *_: False)
    monkeypatch.setattr(rows, "is_sure", lambda _: False)
    for text, each in zip(texts, found, strict=True):
        assert each == store.execute(text, profile=profile).items, text


def test_the_world_has_what_the_short_ways_are_about(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    plain: list[bool] = []
    is_plain = declared.is_plain

    def watched(*given: Any) -> bool:
        plain.append(is_plain(*given))
        return plain[-1]

    monkeypatch.setattr(declared, "is_plain", watched)
    shown = {source: store.execute(f"SELECT * FROM {source}", profile="v4").items for source in SOURCES}
    assert {True, False} == set(plain)
    assert len({str(each) for each in shown.values()}) == len(SOURCES) - 1  # a REGISTER is what v4 takes a field for
    assert any(store.conflicts("c", number) for number in range(40))
    # Without what it says of rivals the tree would miss some.
    rivals = [text for text in CONDITIONS if is_missed(store, text, monkeypatch)]
    assert rivals


def is_missed(store: Store, condition: str, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether a row would be missed if the tree did not ask for rivals."""
    text = f"SELECT _id FROM COLLECTION c (a COUNTER) WHERE {condition} ORDER BY _id"
    found = store.execute(text, profile="v4").items
    with monkeypatch.context() as patched:
        patched.setattr(tree, "Conflicted", lambda _: tree.Literal(value=False))
        return store.execute(text, profile="v4").items != found
