"""An expired event is nowhere: every route is asked for the collection in which it lies, and gives nothing away.

Rules: routes come from the route table, so a new one is asked too. Each test has a control: what is asked the same way
of a collection or of a series whose documents may be read is answered.
"""

from __future__ import annotations

from urllib.parse import quote

import pytest

from crdtstore import Store, Upsert
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.http.event_stream import MEDIA_TYPE as EVENT_STREAM
from crdtstore.http.request import MESSAGE
from crdtstore.http.routes import find_route
from crdtstore.http.server import Application, application
from crdtstore.timeseries.append import append_events
from crdtstore.timeseries.read import read_events
from tests.http.calling import Answered, call, headers_for
from tests.http.samples import SAMPLES, Sample

SECRET = "THE-EVENT"
OTHER = "THE-DOCUMENT"
NAME = "__series:s"
EXPIRED = {"_time": "2021-01-01T00:00:00Z", "_expiration": "2021-01-01T00:00:00Z", "n": 1, "text": SECRET}
LASTING = {**EXPIRED, "_expiration": "9999-01-01T00:00:00Z"}
WAYS = (
    b'"collection": "%b"',
    b"FROM %b",
)
"""How a body names a collection."""


def bare(sample: Sample) -> Sample:
    """A request without the body that its route does not take."""
    found = find_route(sample.target)
    assert found is not None
    takes = found.route.takes_body or found.route.described_for(sample.method).takes is not None
    return sample if takes else sample._replace(body=b"")


def ends(sample: Sample) -> bool:
    """Whether the answer ends by itself."""
    found = find_route(sample.target)
    return found is not None and found.route.gives[0] != EVENT_STREAM


ASKED = [bare(each) for each in SAMPLES if each.content_type.encode() != MESSAGE.media_type]
READ = [each for each in ASKED if each.method in {"GET", "POST"} and ends(each)]


def renamed(sample: Sample, name: str) -> Sample:
    """The same request for another collection; the bytes of a file name none."""
    if sample.content_type == "application/octet-stream":
        return sample
    body = sample.body.replace(WAYS[0] % b"c", WAYS[0] % name.encode())
    body = body.replace(WAYS[1] % b"c", WAYS[1] % f"`{name}`".encode())
    target = sample.target.replace("/collections/c/", f"/collections/{quote(name, safe='')}/")
    return sample._replace(target=target, body=body)


def names_collection(sample: Sample) -> bool:
    """Whether a request names a collection; strangers do not."""
    found = find_route(sample.target)
    assert found is not None
    return renamed(sample, "x") != sample and not found.route.for_strangers


def ask(app: Application, headers: dict[str, str], sample: Sample) -> Answered:
    headers = {**headers, "prefer": "wait=0"}
    typed = {**headers, "content-type": sample.content_type} if sample.body else headers
    return call(app, sample.method, sample.target, sample.body or None, typed)


@pytest.fixture
def event(store: Store) -> str:
    """The id of an expired event that nobody has removed."""
    append_events(store, "s", [EXPIRED])
    store.write([Upsert("c", {"n": 1, "text": OTHER}, id="a")])
    [lying] = store.find(NAME).documents
    return str(lying.id)


@pytest.mark.parametrize("sample", ASKED, ids=lambda sample: f"{sample.method} {sample.target}")
def test_no_route_gives_an_expired_event(app: Application, key: str, event: str, sample: Sample) -> None:
    asked = renamed(sample, NAME)
    asked = asked._replace(
        target=asked.target.replace("documents/a", f"documents/{event}"),
        body=asked.body.replace(b'"id": "a"', f'"id": "{event}"'.encode()),
    )
    if names_collection(sample):
        answered = ask(app, headers_for(key), asked)
        assert answered.status == 403
        assert b"/api/v1/timeseries/" in answered.body
    else:
        answered = ask(app, headers_for(key), sample)
    assert SECRET.encode() not in answered.body
    assert event.encode() not in answered.body


def test_other_documents_are_found_by_this(store: Store, event: str) -> None:
    keyring = KeyRing(store)
    app, headers = application(store, keyring), headers_for(keyring.create("test", Permission.full()))
    named = [each for each in READ if names_collection(each) and b"upsert" not in each.body]
    assert len(named) > 4
    gave = {each.target for each in READ if OTHER.encode() in ask(app, headers, each).body}
    for version in ("v4", "v5"):
        routes = ("store/find", "store/findbyid", "store/execute", "collections/c/documents/a")
        assert {f"/api/{version}/{route}" for route in routes} <= gave
    assert {"/api/v1/store", "/api/v1/collections/c/documents"} <= gave
    assert not any("/timeseries/" in target for target in gave)


def test_an_event_that_lasts_is_read_as_a_series(store: Store, app: Application, key: str) -> None:
    append_events(store, "s", [LASTING])
    assert len(list(read_events(store, "s"))) == 1
    found = [each.target for each in READ if SECRET.encode() in ask(app, headers_for(key), each).body]
    assert any("/timeseries/" in target for target in found)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM c JOIN `__series:s` ON c.n = `__series:s`.n",
        "INSERT INTO c SELECT * FROM `__series:s`",
        "EXPLAIN SELECT * FROM `__series:s`",
        "UPDATE `__series:s` SET n = 2",
        "DELETE FROM `__series:s`",
        "CREATE INDEX i ON `__series:s` (n)",
        "SELECT count(*) FROM `__series:s`",
        "SELECT DISTINCT n FROM `__series:s`",
    ],
)
def test_no_statement_reads_one(app: Application, key: str, event: str, statement: str) -> None:
    answered = call(app, "POST", "/api/v4/store/execute", {"statement": statement}, headers_for(key))
    assert answered.status == 403
    assert event.encode() not in answered.body


@pytest.mark.parametrize("route", ["changes?feed=normal&since=0&", "live?"])
def test_no_query_string_names_one(app: Application, key: str, event: str, route: str) -> None:
    answered = call(app, "GET", f"/api/v4/store/{route}collection={quote(NAME)}", None, headers_for(key))
    assert answered.status == 403
    assert event.encode() not in answered.body


@pytest.mark.parametrize("form", ["", "&form=original"])
def test_the_feed_of_all_collections_leaves_it_out(app: Application, key: str, event: str, form: str) -> None:
    answered = call(app, "GET", f"/api/v4/store/changes?feed=normal&since=0{form}", None, headers_for(key))
    assert answered.status == 200
    assert event.encode() not in answered.body
    assert NAME.encode() not in answered.body
    assert b'"documentChanged"' in answered.body or form, "other documents are told of"


def test_the_collection_of_a_series_is_not_listed(app: Application, key: str, event: str) -> None:
    listed = call(app, "GET", "/api/v1/collections", None, headers_for(key))
    assert listed.json == {"collections": ["c"]}
    assert event.encode() not in listed.body
