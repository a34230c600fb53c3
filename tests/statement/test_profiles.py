"""The table of profiles in docs/query-dql.md is what statements do; declared types are written and read as such."""

from __future__ import annotations

from typing import Any, Final, get_args

import msgspec
import pytest

from crdtstore.errors import CallerError, InvalidQuery, InvalidValue, QuerySyntaxError
from crdtstore.query.dql import messages
from crdtstore.query.dql.profile import PROFILES, Profile, is_strict, version_of, with_strictness
from tests.docs.pages import ROOT
from tests.statement.scene import make_store, refused, rows

PAGE: Final = (ROOT / "docs" / "query-dql.md").read_text(encoding="utf-8")
SETUP: Final = next(line for line in PAGE.splitlines() if line.startswith("INSERT INTO COLLECTION c"))


def table() -> list[tuple[str, Profile, str]]:
    """Each cell of the page's table: the statement, the profile, and what it says."""
    head, _, *lines = PAGE[PAGE.index("<!-- profiles -->") :].split("\n\n")[0].splitlines()[1:]
    profiles: list[Any] = [cell.strip("` ") for cell in head.split("|")[2:-1]]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    return [(line[0].strip("`"), each, said) for line in cells for each, said in zip(profiles, line[1:], strict=True)]


def outcome(text: str, profile: Profile) -> str:
    """What the page says of what a statement does."""
    store = make_store()
    store.execute(SETUP)
    try:
        found = store.execute(text, profile=profile).rows_json
    except QuerySyntaxError:
        return "cannot be read"
    except CallerError as error:
        return str(error.data["description"])
    return f"`{found[0].decode()}`" if found else "no row"


@pytest.mark.parametrize(("text", "profile", "said"), table())
def test_the_page_is_right(text: str, profile: Profile, said: str) -> None:
    assert outcome(text, profile) == said


def test_the_page_has_all_profiles_and_tells_them_apart() -> None:
    columns = {profile: [said for _, each, said in table() if each == profile] for profile in PROFILES}
    assert len({tuple(column) for column in columns.values()}) == len(PROFILES) == len(get_args(Profile))
    assert {len(column) for column in columns.values()} == {len(table()) // 4}


def test_strictness_is_put_on_and_taken_off() -> None:
    for profile in PROFILES:
        for strict in (True, False):
            found = with_strictness(profile, strict)
            assert (version_of(found), is_strict(found)) == (version_of(profile), strict)


DECLARED: Final = (
    "COLLECTION c (k COUNTER, p PN_COUNTER, r REGISTER, t ATTACHMENT, m MAP (k COUNTER, m MAP (x REGISTER)))"
)
TOKEN: Final = {"id": "a", "len": 1, "metadata": {}}
DOCUMENT: Final = {"_id": 1, "k": 1, "m": {"k": 2, "m": {"x": {"y": 1}}}, "p": 1.5, "r": {"a": 1}, "t": TOKEN}


@pytest.mark.parametrize("profile", PROFILES)
def test_declared_types_are_written_and_read(profile: Profile) -> None:
    store = make_store()
    store.execute(f"INSERT INTO {DECLARED} DOCUMENTS (:one)", {"one": DOCUMENT}, profile=profile)
    assert rows(store, DECLARED, profile) == rows(store) == [DOCUMENT]
    changed = store.execute(
        f"UPDATE {DECLARED} SET m.m.x = {{'z': 1}}, r = {{'b': 2}}, t = :token "
        "APPLY k INCREMENT BY 1, p PN_INCREMENT BY 0.5, m.k RESTART WITH 7 RETURNING *",
        {"token": {**TOKEN, "len": 2}},
        profile=profile,
    )
    expected = {
        "_id": 1,
        "k": 2,
        "m": {"k": 7, "m": {"x": {"z": 1}}},
        "p": 2.0,
        "r": {"b": 2},
        "t": {**TOKEN, "len": 2},
    }
    assert changed.items == rows(store) == [expected]


def test_types_live_side_by_side_and_each_statement_sees_its_own() -> None:
    store = make_store()
    store.execute("INSERT INTO c DOCUMENTS ({'_id': 1, 'f': 5})")
    store.execute("UPDATE COLLECTION c (f MAP) SET f.a = 1")
    store.execute("UPDATE COLLECTION c (f COUNTER) APPLY f INCREMENT BY 7")
    seen = {kind: rows(store, f"COLLECTION c (f {kind})")[0].get("f") for kind in ("REGISTER", "MAP", "COUNTER")}
    assert seen == {"REGISTER": 5, "MAP": {"a": 1}, "COUNTER": 7}
    assert rows(store) == [{"_id": 1, "f": 7}]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("INSERT INTO COLLECTION c (m MAP) DOCUMENTS ({'_id': 1, 'm': 5})", "m"),
        ("INSERT INTO COLLECTION c (m MAP (n MAP)) DOCUMENTS ({'_id': 1, 'm': {'n': null}})", "m.n"),
        ("UPDATE COLLECTION c (t ATTACHMENT) SET t -> default()", "t"),
        ("UPDATE COLLECTION c (t ATTACHMENT) APPLY t INCREMENT BY 1", "t"),
        ("UPDATE COLLECTION c (k COUNTER) SET k.a = 1", "k"),
        ("UPDATE COLLECTION c (k COUNTER) UNSET k.a", "k"),
    ],
)
def test_a_type_has_to_fit(text: str, path: str) -> None:
    assert refused(make_store(), text, error=InvalidQuery).data["path"] == path


@pytest.mark.parametrize("text", ["({'_id': 1, 'k': 'a'})", "({'_id': 1, 't': 'a'})", "({'_id': 1, 't': {'id': 'a'}})"])
def test_a_value_has_to_fit_its_type(text: str) -> None:
    source = "COLLECTION c (k COUNTER, t ATTACHMENT)"
    assert refused(make_store(), f"INSERT INTO {source} DOCUMENTS {text}", error=InvalidValue).data["document"] == 1


@pytest.mark.parametrize(
    "text", ["SET m.a.b = 1", "SET m.a = {'b': 1}, m.c.d = 2", "UNSET m.a.b", "APPLY m.k INCREMENT BY 1"]
)
def test_what_is_not_declared_inside_of_a_map_is_a_register_if_strict(text: str) -> None:
    error = refused(make_store(), f"UPDATE COLLECTION c (m MAP) {text}", profile="v4", error=InvalidQuery)
    assert error.data["description"] == messages.NOT_ON_REGISTER


def test_an_undeclared_object_is_one_value_if_strict() -> None:
    left, right = make_store(1), make_store(2)
    left.execute("INSERT INTO c DOCUMENTS ({'_id': 1, 'o': {'a': 1}})", profile="v4")
    right.apply(entry.record for entry in left.changes())
    left.execute("UPDATE c SET o = {'b': 1}", profile="v4")
    right.execute("UPDATE c SET o = {'c': 1}", profile="v4")
    left.apply(entry.record for entry in right.changes())
    assert rows(left) == [{"_id": 1, "o": {"c": 1}}]
    assert msgspec.json.decode(left.execute("SELECT o FROM c", profile="v4").rows_json[0]) == {"o": {"c": 1}}
