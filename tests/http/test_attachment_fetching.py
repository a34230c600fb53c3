"""Files that are not here are fetched from other stores: once for all who wait, checked, and not beyond bounds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from crdtstore import limits
from crdtstore.attachments.fetching import Fetcher
from crdtstore.auth import api_key
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.client.attachments import PeerFiles
from crdtstore.command.command import Upsert
from crdtstore.errors import CrdtStoreError, Overloaded, PeerUnreachable, UnknownAttachment
from crdtstore.http.server import application
from crdtstore.replication.local import sync
from crdtstore.storage.attachment_files import folder_of
from crdtstore.store import Store
from tests.faults.attachment_work import id_of
from tests.http.calling import Answered, call, serving

DATA = b"hello" * 100_000
ID = id_of(DATA)


class Source:
    """Another store that gives these pieces, once it may."""

    def __init__(self, *pieces: bytes, error: CrdtStoreError | None = None) -> None:
        self.pieces = pieces
        self.error = error
        self.asked = 0
        self.may = threading.Event()
        self.may.set()

    def fetch(self, _id: str, take: Callable[[bytes], object]) -> bool:
        self.asked += 1
        assert self.may.wait(60)
        for piece in self.pieces:
            take(piece)
        if self.error is not None:
            raise self.error
        return bool(self.pieces)


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.in_memory() as store:
        yield store


def fetcher(store: Store, *sources: Source) -> Fetcher:
    made = store.attachments.fetcher
    made.sources = sources
    return made


def files_of(store: Store) -> int:
    return sum(1 for path in folder_of(store.storage).rglob("*") if path.is_file())


def test_a_file_is_fetched_once_for_all_who_wait(store: Store) -> None:
    source = Source(DATA[:100], DATA[100:])
    source.may.clear()
    futures = [fetcher(store, source).submit(ID, len(DATA)) for _ in range(10)]
    source.may.set()
    for future in futures:
        future.result(60)
    assert source.asked == 1
    with store.attachments.open(ID) as file:
        assert file.read() == DATA


WRONG = {
    "other bytes": Source(b"x" * len(DATA)),
    "cut short": Source(DATA[:-1]),
    "too long": Source(DATA, b"x"),
    "broke off": Source(DATA[:100], error=PeerUnreachable("It broke off.")),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_is_not_the_file_is_not_kept(store: Store, wrong: Source) -> None:
    with pytest.raises(PeerUnreachable):
        fetcher(store, Source(), wrong).submit(ID, len(DATA)).result(60)
    assert files_of(store) == 0
    fetcher(store, wrong, Source(DATA)).submit(ID, len(DATA)).result(60)
    assert files_of(store) == 1


def test_what_nobody_has_is_not_asked_for_again_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source()
    with pytest.raises(UnknownAttachment):
        fetcher(store, source).submit(ID).result(60)
    with pytest.raises(UnknownAttachment):
        fetcher(store, source).submit(ID)
    assert source.asked == 1
    monkeypatch.setattr(limits, "FETCH_MISSED_SECONDS", 0.0)
    with pytest.raises(UnknownAttachment):
        fetcher(store, source).submit(ID).result(60)
    assert source.asked == 2
    for id_ in ("", "x"):
        with pytest.raises(UnknownAttachment):
            fetcher(store, source).submit(id_)
    with pytest.raises(UnknownAttachment):
        fetcher(store).submit(ID)


def test_fetches_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FETCHES_MAX", 2)
    source = Source()
    source.may.clear()
    futures = [fetcher(store, source).submit(id_of(data)) for data in (b"a", b"b")]
    with pytest.raises(Overloaded):
        fetcher(store, source).submit(id_of(b"c"))
    source.may.set()
    assert {type(future.exception(60)) for future in futures} == {UnknownAttachment}


# --- over HTTP ---


@contextmanager
def a_peer() -> Iterator[tuple[Store, str, str]]:
    """A store with the file behind a server: the store, its address, a key there."""
    with pytest.MonkeyPatch.context() as patch, Store.in_memory() as theirs:
        patch.setattr(api_key, "SCRYPT_N", 2)
        ring = KeyRing(theirs)
        key = ring.create("peer", Permission.full())
        theirs.attachments.put([DATA])
        token = {"id": ID, "len": len(DATA)}
        theirs.write([Upsert("c", {"f": token}, id="1", value_types={"f": "attachment"})])
        with serving(application(theirs, ring)) as (host, port):
            yield theirs, f"http://{host}:{port}", key


def test_a_reader_gets_what_a_peer_has(store: Store) -> None:
    with a_peer() as (theirs, url, their_key):
        sync(store, theirs)
        ring = KeyRing(store)
        root = ring.create("root", Permission.full())
        some = ring.create("some", Permission(read=frozenset({"c"})))
        served = application(store, ring)

        def ask(key: str, query: str = "", id_: str = ID) -> Answered:
            return call(served, "GET", f"/api/v4/attachments/{id_}{query}", None, {"authorization": f"Bearer {key}"})

        assert ask(root).status == 404
        store.attachments.fetcher.sources = [PeerFiles(url, their_key)]
        assert ask(root, "?local=true").status == 404
        assert ask(some, "?collection=c&document=2").status == 404
        assert files_of(store) == 0
        assert ask(some, "?collection=c&document=1").body == DATA
        assert files_of(store) == 1
        assert ask(root, id_=id_of(b"nobody's")).status == 404
        store.attachments.fetcher.sources = [PeerFiles(url, "wrong" + their_key[5:])]
        answered = ask(root, id_=id_of(b"other"))
        assert (answered.status, answered.code) == (502, "peer-unreachable")
    store.attachments.fetcher.sources = [PeerFiles(url, their_key, seconds=1)]
    assert ask(root, id_=id_of(b"another")).status == 502
    assert ask(root).body == DATA
