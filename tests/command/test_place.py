"""A refused command says which of its parts is refused: one fault is planted at a known place, and found there."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from crdtstore import Store
from crdtstore.command import place as module
from crdtstore.command.command import Command, Increment, Remove, Set, SetAttachment, Update, Upsert
from crdtstore.command.place import place_in
from crdtstore.errors import CallerError
from crdtstore.limits import DEPTH_MAX, PATH_BYTES_MAX

FAULTS: tuple[Any, ...] = (float("nan"), 2**63, [1, float("inf")], {"a": [2**64]}, ["\ud800"])
"""Values that no document may hold; where one is an object, the fault stands in it."""


def make_value(random: Random, depth: int) -> Any:
    """A value that may stand anywhere."""
    if depth and random.random() < 0.5:
        return {f"k{number}": make_value(random, depth - 1) for number in range(random.randrange(4))}
    return random.choice((1, "text", None, 2.5, [1, {"a": 2}], {}))


def plant(random: Random, fields: dict[str, Any], place: tuple[str, ...]) -> tuple[str, ...]:
    """Plant a fault somewhere in an object; returns where it is."""
    below = [key for key, value in fields.items() if isinstance(value, dict) and value]
    if below and random.random() < 0.6:
        key = random.choice(below)
        return plant(random, fields[key], (*place, key))
    key = random.choice((*fields, "new key"))
    fields[key] = fault = random.choice(FAULTS)
    return (*place, key, "a") if isinstance(fault, dict) else (*place, key)


def wrongly_placed(runs: int) -> list[tuple[Command, object]]:
    """Upserts whose fault is not found where it was planted."""
    wrong: list[tuple[Command, object]] = []
    for number in range(runs):
        random = Random(number)
        fields = {f"f{field}": make_value(random, 3) for field in range(random.randrange(1, 5))}
        types = {"f0": "counter"} if isinstance(fields["f0"], int) else {}
        good = Upsert("c", dict(fields), id=1, value_types=types)
        if place_in(good) != ():
            wrong.append((good, ()))
        place = plant(random, fields, ("value",))
        bad = Upsert("c", fields, id=1, value_types=types if place[1] != "f0" else {})
        if place_in(bad) != place:
            wrong.append((bad, place))
    return wrong


def test_a_planted_fault_is_found_where_it_is() -> None:
    assert wrongly_placed(2_000) == []


def test_the_check_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where objects are not looked into, faults in them are said to be in the whole."""
    monkeypatch.setattr(module, "DEPTH_MAX", 0)
    assert wrongly_placed(200) != []


@pytest.mark.parametrize(
    ("command", "place"),
    [
        (Upsert("", {}), ("collection",)),
        (Upsert("c", {}, id=None), ("id",)),
        (Upsert("c", {"_id": [1]}), ("value", "_id")),
        (Upsert("c", {"a": 1}, value_types={"a": "list"}), ("valueTypeOverrides", "a")),
        (Upsert("c", {"a": 1}, value_types={"a..b": "counter"}), ("valueTypeOverrides", "a..b")),
        (Upsert("c", {"a": {"b": "x"}}, value_types={"a.b": "counter"}), ("value", "a", "b")),
        (Upsert("c", {"a": {"id": 1}}, value_types={"a": "attachment"}), ("value", "a")),
        (Upsert("c", {"a": {"k" * PATH_BYTES_MAX: 1}}), ("value", "a", "k" * PATH_BYTES_MAX)),
        (Upsert("c", {"_id": 1}, id=2), ()),
        (Update("c", "a = 1", [Set("a", 1)]), ("query",)),
        (Update("c", "true", [Set("a", 1), Set("a[0]", 1)]), ("commands", 1, "path")),
        (Update("c", "true", [SetAttachment("a", {"id": ""})]), ("commands", 0, "value")),
        (Update("c", "true", [Increment("a", "one")]), ("commands", 0, "value")),
        (Update("c", "true", [Set("a", {"b": float("nan")})]), ("commands", 0, "value")),
        (Remove("c" * 256, "true"), ("collection",)),
        (Remove("c", "a == "), ("query",)),
        (Remove("c", "a == $args.x"), ("query",)),
    ],
)
def test_each_part_has_its_place(command: Command, place: tuple[str | int, ...]) -> None:
    assert place_in(command) == place


def test_an_error_tells_it() -> None:
    deep: dict[str, Any] = {}
    inner = deep
    for _ in range(DEPTH_MAX + 10):
        inner["d"] = inner = {}
    with Store.in_memory() as store:
        for value, place in (({"n": {"m": 2**70}}, ("value", "n", "m")), (deep, ("value", *["d"] * (DEPTH_MAX + 1)))):
            with pytest.raises(CallerError) as caught:
                store.write([Upsert("c", {"n": 1}), Upsert("c", value)])
            assert (caught.value.data["command"], caught.value.data["place"]) == (1, place)
        assert store.applied == 0
