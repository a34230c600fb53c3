"""A store that another process reads while this one writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crdtstore.command.command import Remove, Upsert
from crdtstore.errors import NotAStore
from crdtstore.store import Store
from tests.store.reader import Reader
from tests.version.stores import log, now, open_store, origin_of


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Store]:
    """The store that is written to."""
    with open_store("lmdb", tmp_path / "store") as made:
        yield made


def test_a_reader_sees_what_the_writer_wrote(writer: Store, tmp_path: Path) -> None:
    """New documents, new fields, new collections, new authors and removals, as soon as the write returned."""
    with Reader(tmp_path / "store") as reader:
        assert (reader.ask("applied"), reader.ask("collections"), reader.ask("get", "c", 1)) == (0, [], None)
        writer.write([Upsert("c", {"x": 1}, id=1)])
        assert reader.ask("get", "c", 1) == {"x": 1}
        writer.write([Upsert("c", {"fresh": {"y": 2}}, id=1), Upsert("d", {"z": 1}, id="s")], actor=origin_of(9))
        assert reader.ask("get", "c", 1) == {"fresh": {"y": 2}, "x": 1}
        assert reader.ask("collections") == ["c", "d"]
        assert reader.ask("find", "d") == ["s"]
        assert reader.ask("json", "c", [1, 2]) == ['{"fresh":{"y":2},"x":1}', None]
        assert reader.ask("digest") == writer.digest().hex()
        assert reader.ask("changes", 0) == [record.hex() for record in log(writer)]
        writer.write([Remove("c", "true")])
        assert (reader.ask("collections"), reader.ask("get", "c", 1)) == (["d"], None)
        assert reader.ask("applied") == 3
        mine, theirs = writer.stats().as_dict(), reader.ask("stats")
        assert theirs.pop("read_only") is True
        assert theirs.pop("retained") == []
        assert {name: value for name, value in mine.items() if name in theirs} == theirs


def test_a_reader_sees_deliveries(writer: Store, tmp_path: Path) -> None:
    """What came from another store too."""
    with Reader(tmp_path / "store") as reader, Store.in_memory(clock=now) as other:
        assert reader.ask("get", "c", 1) is None
        other.write([Upsert("c", {"x": [1, 2]}, id=1)], actor=origin_of(5))
        writer.apply(log(other))
        assert reader.ask("get", "c", 1) == {"x": [1, 2]}


def test_a_reader_writes_nothing(writer: Store, tmp_path: Path) -> None:
    """Every kind of write is refused, and says why."""
    with Reader(tmp_path / "store") as reader:
        assert {reader.ask(method) for method in ("write", "apply", "setting")} == {"store-read-only"}
    assert writer.applied == 0


def test_a_reader_waits_for_what_is_there(writer: Store, tmp_path: Path) -> None:
    """A txn id that another process wrote counts as applied."""
    with Reader(tmp_path / "store") as reader:
        assert reader.ask("wait", 1, 0) == "version-not-available"
        writer.write([Upsert("c", {"x": 1}, id=1)])
        assert reader.ask("wait", 1, 0) == 1
        assert reader.ask("wait", 2, 0) == "version-not-available"


def test_a_missing_store_is_not_made(tmp_path: Path) -> None:
    """Not by a reader, not by who does not create."""
    for options in ({"read_only": True}, {"create": False}):
        with pytest.raises(NotAStore):
            Store.open(tmp_path / "none", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "none").exists()
