"""Feeds and live queries of a store under rules tell of nothing that is not seen, neither before nor after."""

from __future__ import annotations

from random import Random
from time import monotonic

import pytest

from crdtstore import Store
from crdtstore.command.command import Remove, Set, Update, Upsert
from crdtstore.query.legacy import parse
from crdtstore.query.rules import Rules

RULE = "owner == 'me'"


def act(store: Store, random: Random) -> None:
    """Change some documents."""
    owner = random.choice(("me", "you"))
    id_ = random.randrange(5)
    match random.randrange(4):
        case 0:
            store.write([Upsert("c", {"owner": owner, "n": random.randrange(9)}, id=id_)])
        case 1:
            store.write([Update("c", f"_id == {id_}", [Set("owner", owner)])])
        case 2:
            store.write([Remove("c", f"_id == {id_}")])
        case 3:
            store.write([Upsert("c", {"n": random.randrange(9)}, id=other) for other in range(3)])


def told(runs: range) -> list[object]:
    """Copies that were kept by the feed or by a live query and are not what a reader sees."""
    wrong: list[object] = []
    for number in runs:
        random = Random(f"told {number}")
        with Store.in_memory() as store:
            held = store.under(Rules({"c": parse(RULE)}))
            copy: dict[object, object] = {}
            with held.events(since=0, seconds=60) as events, held.observe("c", order=["n"], limit=3) as live:
                for _ in range(12):
                    act(store, random)
                # What everybody sees, so that it is the last event.
                store.write([Upsert("c", {"owner": "me", "n": 5}, id="last")])
                for event in events:
                    if event.new is None:
                        copy.pop(event.id, None)
                    else:
                        copy[event.id] = event.new.fields
                    shown = [image for image in (event.old, event.new) if image is not None]
                    if any(image.fields.get("owner") != "me" for image in shown):
                        wrong.append((number, event))
                    if event.id == "last":
                        break
                seen = {each.id: each.fields for each in held.find("c").documents}
                deadline = monotonic() + 60
                while live.query.txn < store.applied and monotonic() < deadline:
                    live.next(0.01)
                assert live.query.result is not None
                rows = [row.document.fields for row in live.query.result.rows]
            if copy != seen or rows != [each.fields for each in store.find("c", RULE, order=["n"], limit=3).documents]:
                wrong.append((number, copy, seen, rows))
    return wrong


def test_nothing_is_told_of_what_is_not_seen() -> None:
    assert told(range(40)) == []


def test_a_rule_that_is_forgotten_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rules, "shows", lambda *_: True)
    assert told(range(10)) != []
