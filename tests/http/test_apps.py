"""Several apps on one server: each finds its own store, and nothing of another.

Rules: what separates the apps is tried over a real socket too. A planted server that keeps all apps in one store shows
that the checks see what they look for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from crdtstore import Store, limits
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.key_form import FIXED_PART
from crdtstore.auth.permission import Permission
from crdtstore.errors import CallerError, LimitExceeded
from crdtstore.http.apps import ROOTS, Apps, is_id
from crdtstore.http.server import Application, application
from tests.http.calling import Answered, answers, as_raw, call, connect, exchange, headers_for, raw, serving, upsert
from tests.http.samples import SAMPLES

ROOT = "rootrootroot" + FIXED_PART + "R" * 33
STRANGER = "strangerstra" + FIXED_PART + "S" * 33
FIND = {"collection": "c", "query": "true"}
TURNS = 1_000_000


@contextmanager
def opened(directory: Path) -> Iterator[tuple[Store, KeyRing]]:
    """Open a store with the root key."""
    with Store.open(directory) as store:
        keyring = KeyRing(store)
        keyring.adopt(ROOT, "root", Permission.full())
        yield store, keyring


@pytest.fixture
def apps(tmp_path: Path) -> Iterator[Apps]:
    """Two apps, and a place where further ones may be made."""
    directories = {name: tmp_path / name for name in ("one", "two")}
    (tmp_path / "made").mkdir()
    with Apps(directories, opened, root_key=ROOT, made_in=tmp_path / "made") as apps:
        yield apps


@pytest.fixture
def several(apps: Apps) -> Application:
    return Application(apps)


def write(application_: Application, prefix: str, key: str = ROOT, **more: str) -> Answered:
    """Write one document into an app."""
    return call(application_, "POST", f"{prefix}/api/v4/store/write", upsert("a", n=1), headers_for(key, **more))


def find(application_: Application, prefix: str, key: str = ROOT, **more: str) -> Answered:
    """Read all documents of an app."""
    return call(application_, "POST", f"{prefix}/api/v4/store/find", FIND, headers_for(key, **more))


def own_key(apps: Apps, name: str) -> str:
    """Make a key that is one app's alone; the app is open."""
    return apps.opened[name].keyring.create("own", Permission.full())


def public(answered: Answered) -> tuple[Any, ...]:
    """All that is said to a caller."""
    return answered.status, sorted(answered.headers.items()), answered.body


# --- which app ---


def test_an_app_is_named_by_path_and_by_host(several: Application) -> None:
    assert write(several, "/one").status == 200
    assert [len(find(several, "/one").json["documents"]), len(find(several, "/two").json["documents"])] == [1, 0]
    for host, count in (("one.localhost", 1), ("TWO.localhost:8080", 0)):
        assert len(find(several, "", host=host).json["documents"]) == count


def test_the_path_is_heeded_more_than_the_host(several: Application) -> None:
    write(several, "/one")
    assert len(find(several, "/one", host="two.localhost").json["documents"]) == 1


def test_every_route_is_there_in_an_app(several: Application) -> None:
    for sample in SAMPLES:
        headers = headers_for(ROOT, **{"content-type": sample.content_type})
        answered = call(several, sample.method, f"/one{sample.target}", sample.body, headers)
        assert answered.status != 401, sample
        assert b"There is no such route" not in answered.body, sample


def test_a_server_of_several_apps_serves_none_to_who_names_none(several: Application) -> None:
    assert public(find(several, "")) == public(find(several, "/one", STRANGER))


@pytest.mark.parametrize("name", [None, "own"])
def test_one_store_is_served_without_its_id_and_with_it(
    store: Store, keyring: KeyRing, key: str, name: str | None
) -> None:
    app = application(store, keyring, app=name)
    expected = (200, 404, 403) if name is None else (200, 200, 200)
    assert (
        find(app, "", key).status,
        find(app, "/own", key).status,
        find(app, "", key, host="own.localhost").status,
    ) == expected
    assert find(app, "/other", key).status == 404
    assert find(app, "", key, host="other.localhost").status == (403 if name is None else 401)


@pytest.mark.parametrize("named", [False, True])
def test_the_hosts_hold_on(store: Store, keyring: KeyRing, key: str, *, named: bool) -> None:
    app = application(store, keyring, app="own" if named else None, hosts={"example.org", "10.0.0.1", "[::1]"})
    for host, status in (
        ("example.org", 200),
        ("10.0.0.1", 200),
        ("own.example.org", 200 if named else 403),
        ("own.own.example.org", 403),
        ("own.10.0.0.1", 403),
        ("own.localhost", 403),
        ("own.evil.test", 403),
        ("evil.test", 403),
        (".example.org", 401 if named else 403),
    ):
        assert find(app, "", key, host=host).status == status, host


# --- what is told ---


def test_who_is_not_known_cannot_tell_which_apps_there_are(several: Application, apps: Apps, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "data.mdb").write_bytes(b"no store")
    apps.directories["broken"] = broken
    write(several, "/one")
    foreign = own_key(apps, "one")
    for key in (STRANGER, "no key", ROOT[:-1] + "x", foreign):
        for path in ("/api/v1", "/api/v4/store/find", "/api/v5/store/execute", "/admin/stats", "/nowhere", ""):
            said = {
                str(public(call(several, method, f"/{name}{path}", body, headers_for(key))))
                for name in ("two", "broken", "absent", "Not-an-id", "%6fne")
                for method, body in (("POST", FIND),)
            }
            assert len(said) == 1, (key, path)
            assert "401" in said.pop()
    assert find(several, "/broken").status == 500, "the operator is told"


def test_a_refusal_tells_no_transaction_of_an_app(several: Application) -> None:
    write(several, "/one")
    assert "x-ditto-txn-id" not in find(several, "/one", STRANGER).headers
    assert find(several, "/one").headers["x-ditto-txn-id"] == "1"
    assert call(several, "POST", "/one/nowhere", {}, headers_for(ROOT)).headers["x-ditto-txn-id"] == "1"


def test_nothing_is_opened_for_what_is_no_key(several: Application, apps: Apps) -> None:
    find(several, "/one", "no key")
    assert apps.opened == {}
    find(several, "/one", STRANGER)
    assert list(apps.opened) == ["one"]


# --- nothing of one app means anything in another ---


def check_apart(application_: Application, apps: Apps) -> None:
    """See that two apps share nothing, over a socket."""
    with serving(application_) as address:

        def asked(path: str, key: str, body: bytes, headers: Mapping[str, str] = {}) -> Answered:
            sent = {**headers_for(key), **headers}
            [answered] = raw(address, as_raw("POST", path, {**sent, "connection": "close"}, body))
            return answered

        written = b'{"commands": [{"method": "upsert", "collection": "c", "id": "a", "value": {"n": 1}}]}'
        found = b'{"collection": "c", "query": "true"}'
        assert asked("/one/api/v3/store/write", ROOT, written).json["results"][0]["transactionId"] == 1
        assert asked("/two/api/v3/store/find", ROOT, found).json == {"documents": [], "txnId": 0}
        key = own_key(apps, "one")
        assert asked("/one/api/v3/store/find", key, found).status == 200
        assert asked("/two/api/v3/store/find", key, found).status == 401
        # The same author in both: neither has seen what it wrote in the other.
        assert asked("/two/api/v3/store/write", ROOT, written).json["results"][0]["transactionId"] == 1
        once = {"idempotency-key": "once"}
        transactions = [
            asked(f"/{name}/api/v4/store/write", ROOT, written, once).json["results"][0]["transactionId"]
            for name in ("one", "one", "two")
        ]
        assert transactions == [2, 2, 2]
        later = {"x-ditto-txn-id": "3", "prefer": "wait=0"}
        assert asked("/one/api/v3/store/write", ROOT, written).json["results"][0]["transactionId"] == 3
        assert asked("/one/api/v3/store/find", ROOT, found, later).status == 200
        assert asked("/two/api/v3/store/find", ROOT, found, later).code == "version-not-available"


def test_apps_are_apart(several: Application, apps: Apps) -> None:
    check_apart(several, apps)


def test_a_store_that_apps_share_is_seen(tmp_path: Path) -> None:
    with opened(tmp_path / "shared") as shared:

        @contextmanager
        def same(_directory: Path) -> Iterator[tuple[Store, KeyRing]]:
            yield shared

        with Apps({"one": tmp_path / "1", "two": tmp_path / "2"}, same) as apps, pytest.raises(AssertionError):
            check_apart(Application(apps), apps)


async def until_held(application_: Application) -> None:
    """Let the event loop run until a request waits."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
        if application_.held.ends:
            return
    raise AssertionError("nothing waits")


def test_a_wait_is_ended_by_a_write_of_its_own_app_only(several: Application, apps: Apps) -> None:
    for prefix in ("/one", "/two"):
        write(several, prefix)

    async def run() -> Answered:
        waiting = exchange("POST", "/one/api/v4/store/find", FIND, headers_for(ROOT, txn="2"))
        task = asyncio.create_task(several(waiting.scope, waiting.receive, waiting.send))
        await until_held(several)
        assert apps.opened["one"].store.stats().waiting_reads == 1
        assert apps.opened["two"].store.stats().waiting_reads == 0
        for prefix in ("/two", "/two", "/one"):
            assert not task.done()
            writing = exchange("POST", f"{prefix}/api/v4/store/write", upsert("b"), headers_for(ROOT))
            await several(writing.scope, writing.receive, writing.send)
        await task
        return waiting.answered

    assert asyncio.run(run()).json["txnId"] == 2


# --- opening, making, closing ---


def test_an_app_is_opened_once_for_all_who_ask_at_once(several: Application, tmp_path: Path) -> None:
    several.apps.opener, count = counting(opened)

    async def run() -> list[int]:
        requests = [exchange("POST", "/one/api/v4/store/find", FIND, headers_for(ROOT)) for _ in range(8)]
        await asyncio.gather(*(several(each.scope, each.receive, each.send) for each in requests))
        return [each.answered.status for each in requests]

    assert asyncio.run(run()) == [200] * 8
    assert count == [tmp_path / "one"]


def counting(opener: Callable[[Path], Any]) -> tuple[Callable[[Path], Any], list[Path]]:
    """Note what is opened."""
    noted: list[Path] = []

    def counted(directory: Path) -> Any:
        noted.append(directory)
        return opener(directory)

    return counted, noted


def test_an_app_is_made_by_the_root_key_alone(several: Application, apps: Apps, tmp_path: Path) -> None:
    write(several, "/one")
    for key in (own_key(apps, "one"), STRANGER, ROOT + "R"):
        assert write(several, "/new", key).status == 401
        assert list((tmp_path / "made").iterdir()) == []
    assert write(several, "/new").json["results"][0]["transactionId"] == 1
    assert (tmp_path / "made" / "new" / "data.mdb").exists()
    assert len(find(several, "/new").json["documents"]) == 1


@pytest.mark.parametrize("name", ["UP", "a_b", "..", "%2e%2e", "a" * 65, "a.b", "é"])
def test_no_app_is_made_of_what_is_no_id(several: Application, tmp_path: Path, name: str) -> None:
    assert write(several, f"/{name}").status == 401
    assert list((tmp_path / "made").iterdir()) == []


def test_apps_are_not_made_where_that_is_not_allowed(tmp_path: Path) -> None:
    with Apps({"one": tmp_path / "one"}, opened, root_key=ROOT) as apps:
        assert write(Application(apps), "/new").status == 401
    assert list(tmp_path.iterdir()) == []


def test_an_app_that_cannot_be_made_leaves_no_name(several: Application, apps: Apps, tmp_path: Path) -> None:
    (tmp_path / "made" / "new").write_text("in the way")
    assert write(several, "/new").status == 500
    (tmp_path / "made" / "new").unlink()
    assert "new" not in apps.directories
    assert write(several, "/new").status == 200


def test_apps_are_bounded(several: Application, apps: Apps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "APPS_MAX", 3)
    assert write(several, "/third").status == 200
    answered = write(several, "/fourth")
    assert (answered.status, answered.json["error"]["data"]["limit"]) == (429, "APPS_MAX")
    assert write(several, "/fourth", STRANGER).status == 401
    with pytest.raises(LimitExceeded):
        Apps({str(number): Path(str(number)) for number in range(4)}, opened)
    with pytest.raises(CallerError, match="one directory"):
        Apps({"one": Path("x"), "two": Path("x")}, opened)
    assert len(apps.directories) == 3


def test_stores_are_closed_with_the_apps_and_pins_with_the_server(several: Application, apps: Apps) -> None:
    with serving(several) as address, connect(address) as connection:
        body = b'{"collection": "c", "query": "true"}'
        headers = {**headers_for(ROOT), "connection": "close"}
        connection.sendall(as_raw("POST", "/one/api/v4/store/find", headers, body))
        assert answers(connection.makefile("rb").read())[0].status == 200
    store = apps.opened["one"].store
    assert store.applied == 0
    apps.close()
    with Store.open(apps.directories["one"]):
        pass


def test_ids() -> None:
    assert {"api", "txn", "admin", ""} <= ROOTS
    for name in ("a", "00000000-0000-4000-8000-000000000000", "a" * 64):
        assert is_id(name)
    for name in ("", "A", "a" * 65, "a\n", "a/b", ".", "api", "admin", "txn"):
        assert not is_id(name)
        with pytest.raises(CallerError):
            Apps({name: Path("x")}, opened)
