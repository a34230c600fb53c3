"""Whatever is sent that the document allows, or nearly allows, the answer is one that it describes.

Rules: few requests in the normal run, the same each time; `-m slow` sends many, and `--hypothesis-profile=search` new
ones. A planted bug shows that the check sees one.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from schemathesis import GenerationMode

from crdtstore import Store, limits
from crdtstore.auth import api_key
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.http.route import Route
from crdtstore.http.routes import find_route
from crdtstore.http.server import Application, application
from tests.http.openapi.generated import check, operations

EACH = pytest.mark.parametrize(
    ("route", "method"), operations(), ids=lambda each: each if isinstance(each, str) else each.path
)
MODE = pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
FEW, MANY = 4, 500


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Application, str]]:
    with Store.in_memory() as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(api_key, "SCRYPT_N", 2)
        # An answer that goes on would never end here: each is refused as one too many.
        patch.setattr(limits, "OPEN_STREAMS_MAX", 0)
        keyring = KeyRing(store)
        yield application(store, keyring, wait_seconds=0), keyring.create("a", Permission.full())


@EACH
@MODE
def test_every_answer_is_described(
    served: tuple[Application, str], route: Route, method: str, mode: GenerationMode
) -> None:
    check(*served, route, method, mode, FEW)


@pytest.mark.slow
@EACH
@MODE
def test_every_answer_to_many_is_described(
    served: tuple[Application, str], route: Route, method: str, mode: GenerationMode
) -> None:
    check(*served, route, method, mode, MANY)


@pytest.mark.parametrize("wrong", ["{}", "documents"], ids=["no key", "no JSON"])
def test_a_bug_is_seen(served: tuple[Application, str], monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    found = find_route("/api/v3/store/find")
    assert found is not None
    monkeypatch.setattr("crdtstore.http.store.find.body_of", lambda *_: wrong.encode())
    with pytest.raises(Exception, match=r"txnId|Expecting value"):
        check(*served, found.route, "POST", GenerationMode.POSITIVE, 20, shrink=False)
