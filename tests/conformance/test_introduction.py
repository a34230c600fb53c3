"""The introduction to version 3, sentence by sentence: what shows each on a real server, or why nothing does.

Rules: a sentence stands here by the words that matter, without names of products, in the order of the text. Twice the
same sentence stands once. What belongs to a later part says so.
"""

from __future__ import annotations

import hashlib
import re
import secrets

import pytest

from crdtstore.auth.key_form import FIXED_PART, PREFIX_LENGTH, SUFFIX_LENGTH
from crdtstore.auth.keys import KeysHere, NewKey
from crdtstore.auth.permission import Permission
from crdtstore.auth.permission_form import PermissionForm
from tests.conformance import walk
from tests.conformance.own import Own
from tests.conformance.target import Answer
from tests.conformance.walk import FIND, WRITE, Walk, ask, people, upsert

LOGIN = "The login and its tokens are a later part: API keys are the one credential."
RULES = "Different here: a rule may be about any field, and holds before and after a write."
ADVICE = "Advice to clients; nothing that a server does."
ELSEWHERE = "Points to another page."
SETTING = "Says what the API is for."
TITLE = "A heading, a picture or a link of the page."


# --- keys ---


def keys_are_one_way(server: Own) -> None:
    for method in ("GET", "POST"):
        assert ask(server, FIND, {"collection": "people", "query": "true"}, method).status == 200


def keys_live_without_a_user(server: Own) -> None:
    [(_, kept)] = server.keyring.known()
    assert kept.name == "conformance"
    assert kept.expires_ms is None


def keys_are_made_listed_and_revoked(server: Own) -> None:
    token = server.keyring.create("another", Permission.full())
    assert sorted(kept.name for _, kept in server.keyring.known()) == ["another", "conformance"]
    assert people(server, {"Authorization": f"Bearer {token}"}).status == 200
    server.keyring.revoke(token.partition(FIXED_PART)[0])
    assert people(server, {"Authorization": f"Bearer {token}"}).status == 401


def keys_are_for_verbs_and_collections(server: Own) -> None:
    def asked(permission: Permission, path: str, collection: str) -> Answer:
        token = server.keyring.create("limited", permission)
        command = {"method": "upsert", "collection": collection, "id": "a", "value": {}}
        body = {"collection": collection, "query": "true", "commands": [command]}
        return ask(server, path, body, headers={"Authorization": f"Bearer {token}"})

    for name in ("people", "cars"):
        asked(Permission.full(), WRITE, name)
    for verbs in (frozenset[str](), frozenset({"read"}), frozenset({"write"}), frozenset({"read", "write"})):
        for collections in (None, frozenset({"people"})):
            permission = Permission.of(verbs, collections)
            for name in ("people", "cars"):
                allowed = collections is None or name in collections
                reads, writes = (allowed and verb in verbs for verb in ("read", "write"))
                assert asked(permission, WRITE, name).status == (200 if writes else 403)
                found = asked(permission, FIND, name)
                assert (found.status, bool(found.json["documents"])) == (200, reads)


def the_example_of_a_write_is_answered(server: Own) -> None:
    body = {"commands": [{"method": "upsert", "collection": "people", "value": {"name": "Susan", "age": 31}}]}
    answer = ask(server, WRITE, body, headers={"X-DITTO-CLIENT-ID": "AAAAAAAAAAAAAAAAAAAABQ=="})
    assert answer.status == 200
    [found] = people(server).json["documents"]
    assert found["fields"] == {"name": "Susan", "age": 31}
    assert answer.json["results"][0]["id"] == found["id"]


def a_key_has_three_parts(server: Own) -> None:
    keys = [server.keyring.create("another", Permission.full()) for _ in range(8)]
    parts = [re.fullmatch(r"([0-9A-Za-z]{11})(_cs1_)([0-9A-Za-z]{32})", token) for token in keys]
    assert len({part[1] for part in parts if part}) == len({part[3] for part in parts if part}) == 8
    assert {part[2] for part in parts if part} == {"_cs1_"}


def a_key_is_drawn_by_the_systems_generator(server: Own) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "choice", lambda letters: letters[0])
        token = server.keyring.create("another", Permission.full())
    assert token == "0" * PREFIX_LENGTH + FIXED_PART + "0" * SUFFIX_LENGTH


def only_a_scrypt_is_kept(server: Own) -> None:
    token = server.keyring.create("another", Permission.full())
    prefix, _, suffix = token.partition(FIXED_PART)
    kept = dict(server.keyring.known())[prefix]
    hashed = hashlib.scrypt(suffix.encode(), salt=kept.salt, n=kept.n, r=kept.r, p=kept.p, dklen=len(kept.hash))
    assert kept.hash == hashed


def a_key_is_shown_once(server: Own) -> None:
    token = server.keyring.create("another", Permission.full())
    suffix = token.partition(FIXED_PART)[2].encode()
    rows = [key + value for key, value in server.store.scan_settings(b"")]
    assert rows
    assert not any(suffix in row for row in rows)
    assert suffix not in ask(server, "/admin/stats", method="GET").body


def the_last_use_of_a_key_is_kept(server: Own) -> None:
    keys = KeysHere(server.keyring)
    made = keys.create(NewKey("another", PermissionForm()))
    assert made.last_used_at is None
    ask(server, "/admin/stats", method="GET", headers={"Authorization": f"Bearer {made.key}"})
    assert keys.explain(made.prefix).last_used_at is not None


# --- transactions ---


def writes_answer_their_transaction(server: Own) -> None:
    answer = ask(server, WRITE, {"commands": [{"method": "upsert", "collection": "people", "id": "a", "value": {}}]})
    assert answer.json["results"][0]["transactionId"] == int(answer.headers["x-ditto-txn-id"]) == 1
    created = ask(server, walk.V1_CAR, {"color": "blue"})
    removed = ask(server, walk.V1_CAR, method="DELETE")
    assert [created.json["txn_id"], removed.json["txn_id"]] == [2, 3]
    assert [int(each.headers["x-ditto-txn-id"]) for each in (created, removed)] == [2, 3]
    assert people(server, {"X-DITTO-TXN-ID": "3"}).status == 200


def a_request_is_one_transaction(server: Own) -> None:
    commands = [
        {"method": "upsert", "collection": "people", "id": "a", "value": {"age": 1}},
        {"method": "upsert", "collection": "people", "id": "b", "value": {"age": 2}},
        {"method": "remove", "collection": "people", "query": "age == 1"},
    ]
    answer = ask(server, WRITE, {"commands": commands})
    assert [result["transactionId"] for result in answer.json["results"]] == [1, 1, 1]
    refused = ask(server, WRITE, {"commands": [*commands, {"method": "upsert", "collection": "people", "value": 1}]})
    assert refused.status == 400
    assert people(server).json == {"documents": [{"id": "b", "fields": {"age": 2}}], "txnId": 1}


def transactions_are_in_order(server: Own) -> None:
    txns = [upsert(server, "a", n=number) for number in range(5)]
    assert txns == sorted(set(txns))
    assert people(server).json["documents"][0]["fields"] == {"n": 4}


def a_read_takes_the_header_or_not(server: Own) -> None:
    txn = upsert(server, "a", age=1)
    for header in (None, "0", str(txn)):
        assert people(server, {"X-DITTO-TXN-ID": header}).json["txnId"] == txn


def a_read_is_of_the_newest(server: Own) -> None:
    for number in range(5):
        txn = upsert(server, "a", n=number)
        assert people(server).json == {"documents": [{"id": "a", "fields": {"n": number}}], "txnId": txn}


def what_is_not_there_in_time_is_an_error(server: Own) -> None:
    server.app.wait_seconds = 0
    upsert(server, "a", age=1)
    answer = people(server, {"X-DITTO-TXN-ID": "2"})
    assert (answer.status, answer.json["error"]["data"]["code"]) == (404, "version-not-available")
    upsert(server, "a", age=2)
    assert people(server, {"X-DITTO-TXN-ID": "2"}).status == 200


def the_seventeenth_is_in_the_next_read(server: Own) -> None:
    txns = [upsert(server, number, age=number) for number in range(17)]
    assert txns[-1] == 17
    answer = people(server, {"X-DITTO-TXN-ID": "17"})
    assert {"id": 16, "fields": {"age": 16}} in answer.json["documents"]
    assert answer.json["txnId"] == 17


INTRODUCTION: Walk = {
    "follows a RESTful pattern and is organized into several resources": walk.documents_are_resources,
    "API Resources typically map to the key elements": "Says how to think of the next sentences.",
    "may contain one or more Collections of Documents or TimeSeries of Events": walk.there_are_collections_and_series,
    "JSON is used as the default representation": walk.json_is_the_default,
    "a sequence or stream of items are represented by JSONlines": walk.sequences_are_lines_of_json,
    "indicated by the MIME type application/json-l": walk.sequences_say_what_they_are,
    "UTF-8 encoding is used and required": walk.texts_are_in_utf8,
    "Binary data should be Base64 encoded": walk.binary_is_base64,
    "may use the Accept HTTP Header": walk.accept_chooses_the_representation,
    "For simple examples for using the HTTP API": ELSEWHERE,
    "also provides HTTP APIs for querying timeseries data": walk.series_are_queried,
    "See the timeseries section": ELSEWHERE,
    "provides a programmatic interface": SETTING,
    "A primary use case": SETTING,
    "The canonical root URL for the HTTP API can be found": "Where a server is found is up to who runs it.",
    "The standard port 443 is used": "The port is up to who runs the server; TLS ends in front of it.",
    "/api/v3": walk.a_root_answers("/api/v3"),
    "An X-DITTO-CLIENT-ID is required whenever issuing POST requests": walk.writes_need_a_client_id,
    "You should generate one for each client": walk.a_client_id_is_a_client,
    "Generate this ID once and cache it": ADVICE,
    "Client IDs are used to resolve conflicts": walk.client_ids_resolve_conflicts,
    "Generating a new ID for each request will cause performance issues": walk.a_client_id_is_a_client,
    ">>> import base64": walk.the_example_of_a_client_id_is_one,
    "Access to the HTTP API is mediated by an Authorization: Bearer HTTP Header": walk.a_bearer_is_needed,
    "There are two ways to authorize access": keys_are_one_way,
    "Long-lived API tokens are great for server-side hydration": keys_live_without_a_user,
    "These API keys can be obtained and managed": keys_are_made_listed_and_revoked,
    "own read and write permissions, scoped to particular collections": keys_are_for_verbs_and_collections,
    "you can only specify a permission query on the _id field": RULES,
    "Mutable properties are currently not supported": RULES,
    "We are working on adding this feature": "A plan, not a behaviour.",
    "Once you have your API Key": keys_are_one_way,
    "curl --location --request POST": the_example_of_a_write_is_answered,
    "The API key is formed by three parts": a_key_has_three_parts,
    "generated through cryptographically secure PRNG": a_key_is_drawn_by_the_systems_generator,
    "The suffix is hashed using scrypt": only_a_scrypt_is_kept,
    "The unhashed API key will only be shown once": a_key_is_shown_once,
    "an approximate of the timestamp when the API key is last used": the_last_use_of_a_key_is_kept,
    "There are specific cases where a broad, long-lived HTTP API key": LOGIN,
    "For user-scoped credentials, you can use a JWT": LOGIN,
    "To retrieve a JWT for a particular user": LOGIN,
    "First, set your application to enable Authentication": LOGIN,
    "This involves deploying an authentication server": LOGIN,
    "auth/login endpoint": LOGIN,
    "This is the same endpoint used to authorize small peers": LOGIN,
    "curl --location \\": LOGIN,
    "The following payload will be returned": LOGIN,
    "Extract the accessToken value": LOGIN,
    "You can use the accessExpiry value": LOGIN,
    "Once you have this token": LOGIN,
    'a JSON response body containing an object with a single "error" key': walk.errors_have_a_status_and_a_single_key,
    "This Error object contains the following fields": walk.an_error_has_its_fields,
    "error.code - The HTTP Status Code": walk.the_code_is_the_status,
    "error.message - A short description": walk.the_message_is_a_short_text,
    "error.data - An optional object": walk.the_data_says_more,
    "A successful response to POST or DELETE requests will include a Transaction ID": writes_answer_their_transaction,
    "This type of insertion is non-blocking": "Different here: a write is answered when it is on disk.",
    "Each HTTP API write request represents a distinct transaction": a_request_is_one_transaction,
    "represent the order in which transactions should be applied": transactions_are_in_order,
    "Each write request returns its associated Transaction ID": writes_answer_their_transaction,
    "GET requests can optionally specify a Transaction ID": a_read_takes_the_header_or_not,
    "This header will instruct the server to wait": walk.a_reader_waits,
    "may still be replicating": "Of a server of several nodes; each store here is one, and reads what it has applied.",
    "the default behavior is to use the most recent version": a_read_is_of_the_newest,
    "can't supply the version of the data requested, an error will be returned": what_is_not_there_in_time_is_an_error,
    "you write data using the HTTP API and get back Transaction 17": the_seventeenth_is_in_the_next_read,
    "we would include the header X-DITTO-TXN-ID: 17": the_seventeenth_is_in_the_next_read,
    "will return an error when the requested": what_is_not_there_in_time_is_an_error,
    "has a new documentation site": TITLE,
    "This legacy site is preserved": TITLE,
}


@pytest.mark.parametrize("quote", [quote for quote, shown in INTRODUCTION.items() if not isinstance(shown, str)])
def test_what_a_sentence_states_is_so(quote: str, server: Own) -> None:
    shown = INTRODUCTION[quote]
    assert callable(shown)
    shown(server)
