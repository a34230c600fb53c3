"""What earlier versions wrote is still read: stores, records, and both sides of exchanges.

Rules: a folder in `kept` is what one version of the formats wrote, and is never changed. A test that fails here means
that files or messages of that version are no longer understood: mend the code, not the files. Altered files are
noticed, so a test that passes has looked.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from crdtstore import Store
from crdtstore.errors import CrdtStoreError
from crdtstore.replication.answer import answer
from crdtstore.replication.delta import read_ask, read_delta
from crdtstore.replication.exchange import exchange
from crdtstore.replication.message import Fault, decode_answer
from crdtstore.replication.pins import Pins
from crdtstore.storage.environment import DATA_NAME
from crdtstore.storage.verify import verify
from crdtstore.version.restore import restore
from tests.formats.__main__ import KEPT, START
from tests.formats.sample import clock_of, contents, entropy

VERSIONS = sorted(path.name for path in KEPT.iterdir())
STARTERS = {"pull": 3, "join": 4}
"""Exchanges that were kept, with the number of the empty store that started each; `push` was started by another one."""

pytestmark = pytest.mark.parametrize("version", VERSIONS)


def load(version: str, name: str) -> Any:
    """A kept file's value."""
    return json.loads((KEPT / version / name).read_text(encoding="utf-8"))


def unpacked(version: str, folder: Path, name: str = "store") -> Path:
    """A kept store as a directory."""
    folder.mkdir()
    (folder / DATA_NAME).write_bytes(gzip.decompress((KEPT / version / f"{name}.mdb.gz").read_bytes()))
    return folder


def test_a_store_opens_and_holds_what_it_held(version: str, tmp_path: Path) -> None:
    with Store.open(unpacked(version, tmp_path / "store"), create=False) as store:
        assert contents(store) == load(version, "store.json")


def test_a_store_writes_on(version: str, tmp_path: Path) -> None:
    with Store.open(unpacked(version, tmp_path / "store"), create=False) as store:
        before = store.applied
        store.apply(entry.record for entry in store.changes(since=before - 1))
        assert store.applied == before
        assert len(list(store.changes(since=before - 2))) == 2


def test_a_store_has_no_findings(version: str, tmp_path: Path) -> None:
    assert [finding.as_dict() for finding in verify(unpacked(version, tmp_path / "store"))] == []


def test_a_backup_is_restored(version: str, tmp_path: Path) -> None:
    restored = restore(unpacked(version, tmp_path / "backup", "backup"), tmp_path / "restored")
    with Store.open(tmp_path / "restored", create=False) as store:
        assert store.origin == restored.origin
        assert store.digest().hex() == load(version, "pull.json")["then"]["digest"]


def test_a_delta_is_imported(version: str) -> None:
    kept = {name: bytes.fromhex(value) for name, value in load(version, "delta.json").items()}
    assert read_ask(io.BytesIO(kept["ask"])) is not None
    with Store.in_memory(clock=clock_of(START)) as store:
        read_delta(store, io.BytesIO(kept["delta"]))
        assert store.digest() == kept["digest"]


def test_records_are_applied(version: str) -> None:
    records = [bytes.fromhex(record) for record in load(version, "records.json")]
    with Store.in_memory(clock=clock_of(START)) as store:
        assert store.apply(records).applied == len(records)
        assert store.digest().hex() == load(version, "pull.json")["then"]["digest"]


@pytest.mark.parametrize("name", STARTERS)
def test_answers_are_understood(version: str, name: str) -> None:
    """The store that starts is given the answers of that version."""
    kept = load(version, f"{name}.json")
    with starter(name) as store:
        replay(store, [bytes.fromhex(given) for _, given in kept["said"]])
        assert contents(store) == kept["then"]


@pytest.mark.parametrize("name", [*STARTERS, "push"])
def test_questions_are_understood(version: str, name: str, tmp_path: Path) -> None:
    """A store answers the questions of that version; what refers to its own answers of then it need not know."""
    with Store.open(unpacked(version, tmp_path / "store"), create=False) as store, closing(Pins()) as pins:
        for ask, _ in load(version, f"{name}.json")["said"][:2]:
            given = answer(store, bytes.fromhex(ask), pins, waited=True)
            assert isinstance(given, bytes)
            assert not isinstance(decode_answer(given), Fault)


def starter(name: str) -> Store:
    """The store that started an exchange, as it was before."""
    return Store.in_memory(
        clock=clock_of(START + 10_000), origin=bytes(15) + bytes([STARTERS[name]]), entropy=entropy()
    )


def replay(store: Store, answers: list[bytes]) -> None:
    """Run an exchange on answers of then."""
    given = iter(answers)
    talk = exchange(store)
    next(talk)
    for answer_of_then in given:
        try:
            talk.send(answer_of_then)
        except StopIteration:
            break
    assert next(given, None) is None, "all answers were needed"


@pytest.mark.parametrize("alter", [lambda data: data[:-1], lambda data: data[:-9] + b"\7" + data[-8:]])
def test_altered_answers_are_noticed(version: str, alter: Callable[[bytes], bytes]) -> None:
    kept = load(version, "join.json")["said"]
    answers = [bytes.fromhex(given) for _, given in kept]
    longest = max(range(len(answers)), key=lambda at: len(answers[at]))
    answers[longest] = alter(answers[longest])
    with starter("join") as store, pytest.raises(CrdtStoreError):
        replay(store, answers)
