"""Cases about two stores that write apart and then tell each other everything, in both orders.

Rules: a step names the store, the author and the time of its clock. The stores are compared with what is expected, and
with each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations
from typing import Any

from crdtstore import Increment, ReplaceWithCounter, Set, Store, Update, Upsert
from crdtstore.command.command import FieldCommand
from crdtstore.crdt.actor import parse_actor
from tests.conformance.case import Case
from tests.conformance.match import differences


def replica_problems(case: Case) -> Iterator[str]:
    """What is wrong, for each order in which the stores hear of each other."""
    for order in permutations("AB"):
        now = {"A": 0, "B": 0}
        stores = {name: Store.in_memory(clock=partial(now.__getitem__, name)) for name in now}
        for step in case.request["body"]["steps"]:
            if step.get("exchange"):
                exchange(stores, "AB")
            else:
                now[step["on"]] = step["at"]
                write(stores[step["on"]], step)
        now.update(A=1_000, B=1_000)
        exchange(stores, "".join(order))
        for name, store in stores.items():
            found = {place: fields_at(store, place) for place in case.expect["body"]}
            yield from differences(case.expect["body"], found, f"{name}, {'-'.join(order)}")
        if stores["A"].digest() != stores["B"].digest():
            yield "the stores hold different documents"


def exchange(stores: dict[str, Store], order: str) -> None:
    """Tell each store what the other one wrote."""
    for name in order:
        other = next(store for key, store in stores.items() if key != name)
        other.apply(entry.record for entry in stores[name].changes())


def write(store: Store, step: dict[str, Any]) -> None:
    """Run one step."""
    actor = parse_actor(step["actor"])
    if "upsert" in step:
        place, fields = step["upsert"]
        collection, id_ = place.split("/")
        store.write([Upsert(collection, fields, id=id_)], actor=actor)
        return
    verb = next(verb for verb in ("set", "counter", "increment") if verb in step)
    place, path, value = step[verb]
    collection, id_ = place.split("/")
    makers: dict[str, Callable[[str, Any], FieldCommand]] = {
        "set": Set,
        "counter": ReplaceWithCounter,
        "increment": Increment,
    }
    change = makers[verb](path, value)
    if fields_at(store, place) is None:
        store.write([Upsert(collection, {}, id=id_)], actor=actor)
    store.write([Update(collection, f"_id == '{id_}'", [change])], actor=actor)


def fields_at(store: Store, place: str) -> dict[str, Any] | None:
    """A document's fields."""
    collection, id_ = place.split("/")
    document = store.get(collection, id_)
    return None if document is None else document.fields
