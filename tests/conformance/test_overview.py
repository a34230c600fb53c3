"""The overview of version 1, sentence by sentence: what shows each on a real server, or why nothing does.

Rules: a sentence stands here by the words that matter, without names of products, in the order of the text. What
belongs to a later part says so.
"""

from __future__ import annotations

import pytest

from crdtstore.http.server import application
from tests.conformance import walk
from tests.conformance.own import Own
from tests.conformance.target import Remote
from tests.conformance.walk import Walk, ask
from tests.http.calling import serving

LOGIN = "The login and its tokens are a later part: API keys are the one credential."
PLAN = "A plan, not a behaviour."
ELSEWHERE = "Points to another page."
SETTING = "Says what the API is for."


APP_ID = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"


def an_app_has_a_root_of_its_own(server: Own) -> None:
    walk.a_root_answers("/api/v1/")(server)
    with serving(application(server.store, server.keyring, app=APP_ID)) as (address, port):
        named = Remote(f"http://{address}:{port}", server.variables["KEY"])
        for host, root in ((f"{APP_ID}.localhost", "/api/v1/"), ("localhost", f"/{APP_ID}/api/v1/")):
            answer = ask(named, root, method="GET", headers={"Host": host})
            assert (answer.status, answer.json["api"]) == (200, "store v1")
        named.close()


def there_are_schemas(server: Own) -> None:
    """Calls, answers and events have a schema each, and every body and answer one in the document of the API."""
    for name in ("rpc-request", "rpc-response", "event", "datetime"):
        answer = ask(server, f"/api/v1/schema/{name}.json", method="GET")
        assert answer.status == 200
        assert answer.json["$schema"].startswith("http")
    document = ask(server, "/openapi.json", method="GET").json
    for path in ("/api/v3/store/write", "/api/v3/store/find"):
        described = document["paths"][path]["post"]
        for place in (described["requestBody"], described["responses"]["200"]):
            assert place["content"]["application/json"]["schema"]


OVERVIEW: Walk = {
    "follows a RESTful pattern and is organized into several resources": walk.documents_are_resources,
    "API Resources typically map to the key elements": "Says how to think of the next sentences.",
    "may contain one or more Collections of Documents or TimeSeries of Events": walk.there_are_collections_and_series,
    "JSON is used as the default representation": walk.json_is_the_default,
    "a sequence or stream of items are represented by JSONlines": walk.sequences_are_lines_of_json,
    "indicated by the MIME type application/json-l": walk.sequences_say_what_they_are,
    "UTF-8 encoding is used and required": walk.texts_are_in_utf8,
    "Binary data should be Base64 encoded": walk.binary_is_base64,
    "may use the Accept HTTP Header": walk.accept_chooses_the_representation,
    "Currently, Collections and TimeSeries can't be edited directly": walk.collections_are_not_edited_as_a_whole,
    "created implicitly by inserting into them": walk.collections_come_with_what_is_put_in,
    "Later, we may add the ability to create, configure, and delete entire collections": PLAN,
    "This document is intended to serve as a public facing guide": SETTING,
    "Items for future work or discussion will be called out": SETTING,
    "provides a programmatic interface": SETTING,
    "A primary use case": SETTING,
    "The canonical root URL for the HTTP API is": an_app_has_a_root_of_its_own,
    "The standard port 443 is used": "The port is up to who runs the server; TLS ends in front of it.",
    "/api/v1": walk.a_root_answers("/api/v1"),
    "For simple examples for using the HTTP API": ELSEWHERE,
    "also provides HTTP APIs for querying timeseries data": walk.series_are_queried,
    "See the timeseries section": ELSEWHERE,
    "we also have JSON schema documents": there_are_schemas,
    "They can be helpful if you have any questions": SETTING,
    'a JSON response body containing an object with a single "error" key': walk.errors_have_a_status_and_a_single_key,
    "This Error object contains the following fields": walk.an_error_has_its_fields,
    "error.code - The HTTP Status Code": walk.the_code_is_the_status,
    "error.message - A short description": walk.the_message_is_a_short_text,
    "error.data - An optional object": walk.the_data_says_more,
    "Access to the HTTP API is mediated by an Authorization: Bearer HTTP Header": walk.a_bearer_is_needed,
    "a valid, signed, JWT Token": LOGIN,
    "This token can be obtained from the following endpoint": LOGIN,
    "to secure your HTTP endpoint": ELSEWHERE,
    "The JWT encodes the identity of the client": LOGIN,
    "An X-DITTO-CLIENT-ID is required whenever issuing POST requests": walk.writes_need_a_client_id,
    "You should generate one for each client": walk.a_client_id_is_a_client,
    "Generating a new ID for each request, rather than one": walk.a_client_id_is_a_client,
    "When possible generate this ID and cache it": "Advice to clients; nothing that a server does.",
    ">>> import base64": walk.the_example_of_a_client_id_is_one,
}


@pytest.mark.parametrize("quote", [quote for quote, shown in OVERVIEW.items() if not isinstance(shown, str)])
def test_what_a_sentence_states_is_so(quote: str, server: Own) -> None:
    shown = OVERVIEW[quote]
    assert callable(shown)
    shown(server)
